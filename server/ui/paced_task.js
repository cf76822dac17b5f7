// A rate-limited task: it never runs twice at the same time, nor for more than a fifth of the time.

export class PacedTask {
  #run;
  #gap;
  #timer = 0;
  #isRunning = false;
  #isWanted = false;

  /** `run` is async and must not throw. `gap`: minimum delay between ask() and the run, in milliseconds. */
  constructor(run, gap) {
    this.#run = run;
    this.#gap = gap;
  }

  ask() {
    this.#isWanted = true;
    if (this.#isRunning || this.#timer !== 0) return;
    this.#timer = setTimeout(() => this.#begin(), this.#gap);
  }

  cancel() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#isWanted = false;
  }

  async #begin() {
    this.#isRunning = true;
    this.#isWanted = false;
    const began = performance.now();
    await this.#run();
    const rest = Math.max(this.#gap, 4 * (performance.now() - began));
    this.#isRunning = false;
    this.#timer = setTimeout(() => {
      this.#timer = 0;
      if (this.#isWanted) this.#begin();
    }, rest);
  }
}
