// Announces changes to screen readers, politely and not for every event.

const quietFor = 700; // milliseconds; of several announcements within it only the last is made

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
