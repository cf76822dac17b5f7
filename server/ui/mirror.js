// Keeps the model in step with the server: a listing of everything, then events, and small requests
// for what events do not carry (times, reasons, the order of the waiters).

import { Refused, Unreachable } from "./api.js";
import { followEvents } from "./event_stream.js";
import { PacedTask } from "./paced_task.js";

const pageSize = 1000;
const locksMax = 50_000; // shown at a time; for more, the user narrows the path
const locksFew = 40_000; // below this, a truncated list is continued
const waitersMax = 5_000; // shown
const placesMax = 20_000; // entries read to find these: many may be kept places
const refreshedMax = 12; // paths whose expiries are requested at a time
const freshFor = 10_000; // milliseconds

/** A position after every lock granted before this fence. */
const justBefore = (fence) => `${fence - 1}.65535`;

export class Mirror {
  #api;
  #model;
  #clock;
  #report;
  #prefix = "";
  #stop = new AbortController();
  #firstUndetailed = Infinity; // the lowest fence of the locks known from events only
  #next = null; // where a truncated list continues
  #generation = 0; // of that list
  #isRefreshing = false;
  #details = new PacedTask(() => this.#quietly(() => this.#fetchDetails()), 150);
  #waiting = new PacedTask(() => this.#quietly(() => this.#fetchWaiters()), 250);
  #cooling = new PacedTask(() => this.#quietly(() => this.#fetchCooling()), 250);
  #more = new PacedTask(() => this.#quietly(() => this.#listMore()), 250);

  /**
   * report.connection(state, error): connecting, live, reconnecting, paused, or refused for good.
   * report.listed({ isWhole, isAnew }): the list is complete, or truncated; isAnew: it was read again
   * because events were missed. report.waiters(isWhole). report.events(events).
   */
  constructor({ api, model, clock, report }) {
    this.#api = api;
    this.#model = model;
    this.#clock = clock;
    this.#report = report;
  }

  /** Discards everything and starts again, at and below this path. */
  start(prefix) {
    this.#prefix = prefix === "/" ? "" : prefix;
    this.#model.clear();
    this.#begin();
  }

  /** Sends no more requests until started or resumed. */
  pause() {
    this.#halt();
    this.#report.connection("paused");
  }

  /** Ends a pause. What is known stays visible while it is read again. */
  resume() {
    this.#model.distrust();
    this.#begin();
  }

  #halt() {
    this.#stop.abort();
    for (const task of [this.#details, this.#waiting, this.#cooling, this.#more]) task.cancel();
  }

  #begin() {
    this.#halt();
    this.#stop = new AbortController();
    this.#firstUndetailed = Infinity;
    this.#next = null;
    this.#report.connection("connecting");
    this.#follow(this.#stop.signal);
  }

  async #follow(signal) {
    let hasBeenOpen = false;
    let hasListed = false; // without being open
    try {
      await followEvents({
        api: this.#api,
        prefix: this.#prefix,
        signal,
        onOpen: ({ isContinued }) => {
          this.#report.connection("live");
          if (!isContinued) {
            this.#relist(signal, hasBeenOpen);
          } else {
            this.#waiting.ask(); // a restarted server has none and sends no event
            this.#cooling.ask();
          }
          hasBeenOpen = true;
        },
        onReset: () => this.#relist(signal, true),
        onEvents: (events) => this.#onEvents(events),
        onDown: (error) => {
          this.#report.connection("reconnecting", error);
          // Without events, for example because of too many readers, show at least what is held.
          if (error instanceof Refused && !hasBeenOpen && !hasListed) {
            hasListed = true;
            this.#relist(signal, false);
          }
        },
      });
    } catch (error) {
      if (error instanceof Refused) this.#report.connection("refused", error);
      else throw error;
    }
  }

  #onEvents(events) {
    this.#model.applyEvents(events);
    for (const { kind, fence, cooling_ms: cools } of events) {
      if (kind === "granted") {
        this.#firstUndetailed = Math.min(this.#firstUndetailed, fence);
        this.#details.ask();
        if (this.#model.waiters.length > 0) this.#waiting.ask();
      } else if (kind === "waiting" || kind === "left") {
        this.#waiting.ask();
      } else if (cools) {
        this.#cooling.ask();
      }
    }
    if (this.#next !== null && this.#model.locks.size < locksFew) this.#more.ask();
    this.#report.events(events);
  }

  async #relist(signal, isAnew) {
    if (isAnew) this.#model.distrust();
    const generation = this.#model.beginGeneration();
    this.#generation = generation;
    this.#next = null;
    let first;
    let listed = 0;
    try {
      const next = await this.#list({}, signal, (page) => {
        first ??= page.index;
        listed += page.body.locks.length;
        return listed < locksMax;
      });
      if (signal.aborted || generation !== this.#generation) return;
      this.#next = next;
      this.#model.sweep(generation, first);
      this.#report.listed({ isWhole: next === null, isAnew });
      if (next !== null && this.#model.locks.size < locksFew) this.#more.ask();
      await this.#fetchWaiters();
    } catch (error) {
      this.#onListError(error, signal, () => this.#relist(signal, isAnew));
    }
  }

  /** Continues a truncated list once enough of its locks have ended. */
  async #listMore() {
    const { signal } = this.#stop;
    const generation = this.#generation;
    if (this.#next === null) return;
    try {
      const next = await this.#list({ after: this.#next }, signal, () => this.#model.locks.size < locksMax);
      if (signal.aborted || generation !== this.#generation) return;
      this.#next = next;
      this.#report.listed({ isWhole: next === null, isAnew: false });
    } catch (error) {
      this.#onListError(error, signal, () => this.#more.ask()); // maybe no event triggers it again
    }
  }

  /** Retries a temporary failure after a second; a permanent one stops everything. */
  #onListError(error, signal, again) {
    if (signal.aborted) return;
    const isRefused = error instanceof Refused;
    if (error instanceof Unreachable || (isRefused && error.isPassing)) {
      setTimeout(() => signal.aborted || again(), 1000);
      return;
    }
    if (!isRefused) console.error(error);
    this.#halt();
    this.#report.connection("refused", error);
  }

  /** Reads a list page by page into the model. Resolves with the position to continue at if
   * `goesOn(page)` stopped it, otherwise with null. */
  async #list({ after, ...parameters }, signal, goesOn = () => true) {
    while (after !== null) {
      this.#model.beginListing();
      try {
        const page = await this.#ask({ ...parameters, after }, signal);
        this.#clock.learnFromDate(page.date, page.at);
        this.#model.applyListed(page.body.locks, page.index, page.at);
        after = page.body.next;
        const isWanted = goesOn(page);
        if (!isWanted) return after;
      } finally {
        this.#model.endListing();
      }
    }
    return null;
  }

  #ask(parameters, signal) {
    return this.#api.call("v1/locks", {
      parameters: { prefix: this.#prefix, limit: pageSize, ...parameters },
      signal,
    });
  }

  async #fetchDetails() {
    const after = justBefore(this.#firstUndetailed);
    this.#firstUndetailed = Infinity;
    await this.#list({ after }, this.#stop.signal);
  }

  #fetchCooling() {
    return this.#list({ state: "cooling" }, this.#stop.signal);
  }

  async #fetchWaiters() {
    const waiters = [];
    let places = 0;
    let at = Date.now();
    let after;
    while (after !== null && waiters.length < waitersMax && places < placesMax) {
      const page = await this.#ask({ state: "waiting", after }, this.#stop.signal);
      places += page.body.locks.length;
      waiters.push(...page.body.locks.filter((waiter) => waiter.connected));
      ({ at } = page);
      after = page.body.next;
    }
    this.#model.setWaiters(waiters, at);
    this.#report.waiters(after === null);
  }

  /** Ignores expected failures: the next event or connection triggers the request again. */
  async #quietly(task) {
    try {
      await task();
    } catch (error) {
      const isExpected =
        this.#stop.signal.aborted || error instanceof Refused || error instanceof Unreachable;
      if (!isExpected) console.error(error);
    }
  }

  /** Requests the locks whose expiry may have moved, because renewals send no event. */
  async refresh(locks) {
    if (this.#isRefreshing || this.#stop.signal.aborted) return;
    const now = Date.now();
    const isOld = ({ at, ttl, expiresAt }) =>
      expiresAt !== null && (now - at > Math.min(freshFor, (ttl ?? freshFor) / 3) || expiresAt < now);
    const old = locks.filter((lock) => isOld(lock) && now - lock.at > 900);
    old.sort((a, b) => a.at - b.at);
    this.#isRefreshing = true;
    const paths = [...new Set(old.map((lock) => lock.path))].slice(0, refreshedMax);
    for (const path of paths) await this.#quietly(() => this.look(path));
    this.#isRefreshing = false;
  }

  /** For a path with more holders than its view names: reads a page of the list, from the lock that was
   * updated the longest time ago. */
  async #lookAtOldest(path) {
    const locks = [...(this.#model.tree.find(path)?.locks ?? [])];
    if (locks.length === 0) return;
    const oldest = locks.reduce((a, b) => (b.at < a.at || (b.at === a.at && b.fence < a.fence) ? b : a));
    const prefix = path === "/" ? "" : path;
    const page = await this.#ask({ prefix, after: justBefore(oldest.fence) }, this.#stop.signal);
    this.#model.applyListed(page.body.locks, page.index, page.at);
  }

  /** Resolves with the server's view of one path, and puts its holders into the model. */
  async look(path) {
    this.#model.beginListing();
    try {
      const looked = await this.#api.call(`v1/locks${path}`, { signal: this.#stop.signal });
      const { holders, holder_count: count } = looked.body;
      if (count === holders.length) {
        this.#model.applyHolders(path, holders, looked.index, looked.at);
      } else {
        this.#model.applyListed(holders, looked.index, looked.at);
        await this.#quietly(() => this.#lookAtOldest(path));
      }
      return looked;
    } finally {
      this.#model.endListing();
    }
  }
}
