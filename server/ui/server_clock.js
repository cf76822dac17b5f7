// Converts between the server's clock and the browser's. All times of the page are on the browser's
// clock; only fences (microseconds since 1970 at the grant) come from the server's.

export class ServerClock {
  #ahead = 0; // milliseconds that the server's clock is ahead of ours
  #isExact = false;

  /** Learns from a lock just received: its grant plus its age is the server's current time. */
  learnFromLock(fence, heldMs, receivedAt) {
    if (heldMs <= 0) return; // granted in this millisecond, or a fence that is ahead of the clock
    this.#ahead = fence / 1000 + heldMs - receivedAt;
    this.#isExact = true;
  }

  /** Learns from the header Date, in whole seconds, while nothing more exact is known. */
  learnFromDate(date, receivedAt) {
    const told = Date.parse(date ?? "");
    if (!this.#isExact && !Number.isNaN(told)) this.#ahead = told + 500 - receivedAt;
  }

  /** When the lock with this fence was granted, on the browser's clock. */
  grantedAt(fence) {
    return Math.min(fence / 1000 - this.#ahead, Date.now());
  }
}
