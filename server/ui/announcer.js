// Tells screen readers what changed, politely and not for every event.

const quietFor = 700; // milliseconds; only the last of what is said in between is told

export class Announcer {
  #region;
  #timer = 0;

  constructor(region) {
    this.#region = region;
  }

  say(text) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#region.textContent = text;
    }, quietFor);
  }
}
