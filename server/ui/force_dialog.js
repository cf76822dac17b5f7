// Asks for confirmation and a reason, then ends exactly that lock.

import { Refused } from "./api.js";
import { duration, pointInTime } from "./durations.js";
import { bounded, element, inOrder } from "./element.js";
import { counted, readable, readablePath } from "./readable_text.js";

const reasonBytesMax = 255;
const bytesOf = (text) => new TextEncoder().encode(text).length;

export class ForceDialog {
  #dialog;
  #api;
  #clock;
  #on;
  #lock = null;
  #isSending = false;
  #isOver = false; // the lock has ended: nothing is left to confirm

  /** on.ended(lock): the lock was ended. */
  constructor(dialog, api, clock, on) {
    this.#dialog = dialog;
    this.#api = api;
    this.#clock = clock;
    this.#on = on;
    this.#find("form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
    this.#find(".cancel").addEventListener("click", () => dialog.close());
    this.#find("#reason").addEventListener("input", () => this.#check());
    dialog.addEventListener("close", () => (this.#lock = null));
  }

  /** `lock` as listed by the server; `waiting`: the number of requests that wait for its path. */
  open(lock, waiting) {
    this.#lock = lock;
    const fact = (name, ...value) => [element("dt", {}, name), element("dd", {}, ...value)];
    const bdi = (text) => bounded(element("bdi", {}, text));
    const expires = lock.expires_in_ms;
    const isCooling = lock.state === "cooling";
    this.#find("h2").textContent = isCooling ? "Open this path now?" : "End this lock?";
    this.#find(".consequence").textContent = isCooling
      ? "This lock was lost, and its holder may not have noticed yet. The next waiter gets the path immediately."
      : "Its holder is not asked. It learns of this with its next call, and may still be working until then.";
    this.#find(".confirm").textContent = isCooling ? "Open the path" : "End the lock";
    this.#find(".what").replaceChildren(
      ...[
        fact("Path", bounded(element("span", { dir: "ltr" }, inOrder(readablePath(lock.path))))),
        fact("Holder", bdi(readable(lock.owner))),
        fact("Mode", lock.mode),
        fact("Since", `${pointInTime(this.#clock.grantedAt(lock.fence))}, for ${duration(lock.held_ms)}`),
        fact(isCooling ? "Would open" : "Would end", expires === null ? "when it is released" : `in ${duration(expires)}${isCooling ? "" : ", unless renewed"}`),
        lock.meta ? fact("Why it is held", bdi(readable(lock.meta))) : [],
        fact("Next", waiting > 0 ? `${counted(waiting, "request waits", "requests wait")} for it` : "nobody waits for it"),
        fact("Fence", element("code", {}, String(lock.fence))),
      ].flat(),
    );
    this.#find("#reason").value = "";
    this.#isOver = false;
    this.#dialog.showModal();
    this.#find("#reason").focus();
    this.#check();
  }

  /** To be called when locks have ended: the question may have become moot. */
  review(isHeld) {
    if (!this.#lock || this.#isSending || this.#isOver || isHeld(this.#lock)) return;
    this.#isOver = true;
    this.#tell("This lock has ended in the meantime; there is nothing left to do.");
    this.#allow();
  }

  #find(selector) {
    return this.#dialog.querySelector(selector);
  }

  #tell(text) {
    const problem = this.#find(".problem");
    problem.textContent = text;
    problem.hidden = text === "";
  }

  #check() {
    if (this.#isOver) return;
    const isTooLong = bytesOf(this.#reason()) > reasonBytesMax;
    this.#tell(isTooLong ? `The reason is longer than ${reasonBytesMax} bytes.` : "");
    this.#allow();
  }

  #reason() {
    return this.#find("#reason").value.trim();
  }

  #allow() {
    const size = bytesOf(this.#reason());
    const isFit = size > 0 && size <= reasonBytesMax;
    this.#find(".confirm").disabled = this.#isOver || this.#isSending || !isFit;
  }

  async #send() {
    const lock = this.#lock;
    const reason = this.#reason();
    if (!lock || this.#find(".confirm").disabled) return;
    this.#isSending = true;
    this.#check();
    try {
      await this.#api.force(lock, reason);
      this.#dialog.close();
      this.#on.ended(lock);
    } catch (error) {
      if (this.#lock !== lock) return; // the dialog has been closed meanwhile
      this.#isOver = error instanceof Refused && error.status === 404;
      this.#tell(this.#sentenceOf(error));
    } finally {
      this.#isSending = false;
      this.#allow();
    }
  }

  #sentenceOf(error) {
    if (!(error instanceof Refused)) {
      return `${error.message} It is not known whether the lock was ended; check the list.`;
    }
    if (error.status === 404) return "This lock has ended in the meantime; nothing was changed.";
    if (error.status === 401) return "The server requires a key for this; press Key to enter one.";
    if (error.status === 403) return `You may not end this lock. ${error.message}`;
    return error.message;
  }
}
