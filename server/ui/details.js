// The details panel of a path: its holders, the locks that cover it, and the queue of its waiters.

import { Refused } from "./api.js";
import { chosenDuration, duration, pointInTime } from "./durations.js";
import { bounded, element, inOrder, setText } from "./element.js";
import { counted, readable, readablePath } from "./readable_text.js";

const owner = (name) => element("bdi", { class: "owner" }, readable(name));
const meta = (text) => bounded(element("bdi", { class: "meta" }, readable(text)));
const pathText = (path) => element("span", { dir: "ltr" }, inOrder(readablePath(path)));
const chip = (kind, text = kind) => element("span", { class: "chip", "data-kind": kind }, text);

function closedBy({ lock_parents: parents, lock_children: children }) {
  if (parents && children) return "this path, its parents and everything below";
  if (parents) return "this path and its parents, not what is below";
  if (children) return "this path and everything below, not its parents";
  return "exactly this path";
}

function sentenceOf({ free, holders, holder_count: count, covered_by: covers, waiter_count: waiting }) {
  if (count === 1) return [owner(holders[0].owner), " holds this."];
  if (count > 1) return [`${count} share this.`];
  if (covers.length > 0) return ["Nobody holds this itself, but it is not free: see below what covers it."];
  if (waiting > 0) return ["Nobody holds this; its waiters also wait for something else."];
  return [free ? "This is free." : "Nobody holds this, but somebody waits for what covers it."];
}

const rest = (shown) => element("p", { class: "quiet" }, `These are the first ${shown}.`);

export class Details {
  path = "";
  #panel;
  #mirror;
  #clock;
  #on;
  #times = []; // functions that update the displayed times
  #shape = ""; // what is displayed, without the times
  #looked = null;

  /** Callbacks: on.force(lock), on.select(path), on.close(). */
  constructor(panel, mirror, clock, on) {
    this.#panel = panel;
    this.#mirror = mirror;
    this.#clock = clock;
    this.#on = on;
    panel.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      on.close();
    });
  }

  get isOpen() {
    return this.path !== "";
  }

  async open(path) {
    this.path = path;
    this.#shape = "";
    this.#looked = null;
    this.#times = [];
    this.#panel.hidden = false;
    this.#draw([element("p", { class: "quiet" }, "Asking the server…")]);
    await this.refresh();
  }

  close() {
    this.path = "";
    this.#panel.hidden = true;
    this.#panel.replaceChildren();
  }

  /** Asks the server, and redraws only if something other than the times has changed. */
  async refresh() {
    const { path } = this;
    if (!path) return;
    try {
      const looked = await this.#mirror.look(path);
      if (this.path !== path) return; // another path has been opened meanwhile
      this.#looked = looked;
      const shape = JSON.stringify(looked.body, (name, value) => (/_ms$/.test(name) && name !== "ttl_ms" ? 0 : value));
      if (shape !== this.#shape) {
        this.#shape = shape;
        this.#times = [];
        this.#draw(this.#contents(looked.body));
      }
      this.tick();
    } catch (error) {
      if (this.path !== path || error.name === "AbortError") return;
      if (this.#looked && !(error instanceof Refused)) return; // the connection's state shows it
      this.#shape = "";
      this.#draw([element("p", { class: "problem" }, error.message)]);
    }
  }

  tick() {
    if (!this.#looked) return;
    const since = Date.now() - this.#looked.at;
    for (const update of this.#times) update(this.#looked.body, since);
  }

  #draw(contents) {
    const focused = this.#panel.contains(document.activeElement)
      ? document.activeElement.dataset.focus
      : undefined;
    const { scrollTop } = this.#panel;
    this.#panel.replaceChildren(this.#head(), ...contents);
    this.#panel.scrollTop = scrollTop;
    if (focused) this.#panel.querySelector(`[data-focus="${CSS.escape(focused)}"]`)?.focus();
  }

  #head() {
    const button = (text, focus, click, label) =>
      element("button", { type: "button", class: "plain", "data-focus": focus, "aria-label": label, on: { click } }, text);
    const copy = button("Copy", "copy", () => this.#copy(copy), "Copy the path");
    return element(
      "header",
      {},
      bounded(element("h2", { tabindex: "-1", "data-focus": "path" }, pathText(this.path))),
      element("div", { class: "actions" }, copy, button("Close", "close", () => this.#on.close(), "Close the details")),
    );
  }

  async #copy(button) {
    try {
      await navigator.clipboard.writeText(this.path);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Not allowed here";
    }
    setTimeout(() => (button.textContent = "Copy"), 1500);
  }

  #contents(state) {
    const contents = [element("p", { class: "sentence" }, ...sentenceOf(state))];
    state.holders.forEach((_, i) => contents.push(this.#holder(state, i)));
    if (state.holder_count > state.holders.length) contents.push(rest(state.holders.length));
    if (state.covered_by.length > 0) contents.push(this.#covers(state));
    if (state.waiter_count > 0) contents.push(this.#waiters(state));
    return contents;
  }

  #holder(state, i) {
    const lock = state.holders[i];
    const fact = (name, ...value) => [element("dt", {}, name), element("dd", {}, ...value)];
    const age = element("span");
    const end = element("span");
    this.#times.push((told, since) => {
      const { held_ms: held, expires_in_ms: left } = told.holders[i];
      setText(age, `for ${duration(held + since)}`);
      if (left !== null) setText(end, left > since ? `in ${duration(left - since)}` : "at any moment");
    });
    const isCooling = lock.state === "cooling";
    const force = { type: "button", class: "danger", "data-focus": `force ${lock.fence}` };
    return element(
      "section",
      { class: "card", "aria-label": `Lock of ${readable(lock.owner)}` },
      element("h3", {}, owner(lock.owner), chip(isCooling ? "cooling" : lock.mode)),
      element(
        "dl",
        {},
        fact("Since", `${pointInTime(this.#clock.grantedAt(lock.fence))}, `, age),
        fact(
          isCooling ? "Free again" : "Ends",
          lock.expires_in_ms === null ? "when it is released" : end,
          lock.ttl_ms !== null ? `, unless renewed (TTL ${chosenDuration(lock.ttl_ms)})` : "",
        ),
        fact("Why", lock.meta ? meta(lock.meta) : element("span", { class: "quiet" }, "not given")),
        fact("Closes", closedBy(lock)),
        fact("Fence", element("code", {}, String(lock.fence))),
      ),
      isCooling
        ? element("p", { class: "quiet" }, "It was lost; the path stays closed for a while, so that its holder can notice.")
        : null,
      element(
        "button",
        { ...force, on: { click: () => this.#on.force(this.#now(i)) } },
        isCooling ? "Open the path now…" : "End this lock…",
      ),
    );
  }

  /** The holder with its times advanced since the last answer. */
  #now(i) {
    const lock = this.#looked.body.holders[i];
    const since = Date.now() - this.#looked.at;
    const left = lock.expires_in_ms;
    return {
      ...lock,
      held_ms: lock.held_ms + since,
      expires_in_ms: left === null ? null : Math.max(0, left - since),
    };
  }

  #covers({ covered_by: covers, covered_by_count: count }) {
    const select = (path) => () => this.#on.select(path);
    const item = (lock) =>
      element(
        "li",
        {},
        element("button", { type: "button", class: "link", "data-focus": `to ${lock.path} ${lock.fence}`, on: { click: select(lock.path) } }, pathText(lock.path)),
        element("span", { class: "by" }, " ", owner(lock.owner), " ", chip(lock.state === "cooling" ? "cooling" : lock.mode)),
      );
    return element(
      "section",
      {},
      element("h3", {}, "Covered by"),
      element("ul", { class: "covers" }, covers.map(item)),
      count > covers.length ? rest(covers.length) : null,
    );
  }

  #waiters({ waiters, waiter_count: count }) {
    const item = (waiter, i) => {
      const age = element("span", { class: "number" });
      this.#times.push((told, since) => setText(age, duration(told.waiters[i].waiting_ms + since)));
      return element(
        "li",
        { value: waiter.place },
        element("div", { class: "line" }, owner(waiter.owner), chip(waiter.mode), age),
        waiter.meta ? meta(waiter.meta) : null,
      );
    };
    return element(
      "section",
      {},
      element("h3", {}, counted(count, "request waits", "requests wait")),
      element("ol", { class: "waiters" }, waiters.map(item)),
      count > waiters.length ? rest(waiters.length) : null,
    );
  }
}
