// The known locks and waiters. Listings and events update it and may overtake each other; each carries
// the journal index of its decision, and the greater index is newer.

import { LockTree } from "./lock_tree.js";

const keyOf = ({ path, fence }) => `${path} ${fence}`;
/** Whether two locks of the same path are compatible. */
const canStandTogether = (a, b) => a.mode === "shared" && b.mode === "shared";
const endings = new Set(["released", "expired", "forced", "cooled"]);

export class LockModel {
  tree = new LockTree();
  locks = new Map(); // by path and fence, a pair that never recurs
  waiters = [];
  cooling = 0;
  #ended = new Map(); // by path: ends that a listing in progress may not know yet
  #listings = 0; // in progress
  #generation = 0;
  #onChange;
  #clock;

  constructor(clock, onChange) {
    this.#clock = clock;
    this.#onChange = onChange;
  }

  clear() {
    this.tree.clear();
    this.locks.clear();
    this.#ended.clear();
    this.waiters = [];
    this.cooling = 0;
    this.#onChange();
  }

  /** Treats everything known as older than whatever the server reports next, even with a lower index:
   * it may have another store by then. */
  distrust() {
    for (const lock of this.locks.values()) lock.index = 0;
    this.#ended.clear();
  }

  /** Encloses each request for a list, so that ends are remembered until its answer has arrived. */
  beginListing() {
    ++this.#listings;
  }

  endListing() {
    if (--this.#listings === 0) this.#ended.clear();
  }

  /** Call before a listing of everything, and sweep() after it. */
  beginGeneration() {
    return ++this.#generation;
  }

  /** Removes the locks that a listing of everything did not name, except those newer than `index`, at
   * which its first answer was decided. */
  sweep(generation, index) {
    if (generation !== this.#generation) return; // a newer listing has started
    for (const lock of [...this.locks.values()]) {
      if (lock.generation !== generation && lock.index <= index) this.#remove(lock);
    }
    this.#onChange();
  }

  /** Applies locks from a list of the server, decided at `index` and received `at`. */
  applyListed(listed, index, at) {
    for (const told of listed) {
      const key = keyOf(told);
      this.#clock.learnFromLock(told.fence, told.held_ms, at);
      const known = this.locks.get(key);
      if (known && known.index > index) {
        known.generation = this.#generation; // it exists; its right times follow later
        if (known.isDetailed) continue;
      }
      if (!known) {
        if (this.#isOver(told, index)) continue;
        this.#replaceBy(told, index);
      }
      this.#put(known, {
        key,
        path: told.path,
        owner: told.owner,
        mode: told.mode,
        lockParents: told.lock_parents,
        lockChildren: told.lock_children,
        fence: told.fence,
        state: told.state,
        since: at - told.held_ms,
        ttl: told.ttl_ms,
        expiresAt: told.expires_in_ms === null ? null : at + told.expires_in_ms,
        meta: told.meta ?? "",
        index: Math.max(index, known?.index ?? 0),
        at,
        isDetailed: true,
        generation: this.#generation,
      });
    }
    this.#onChange();
  }

  /** Applies the complete list of holders of one path. */
  applyHolders(path, holders, index, at) {
    this.applyListed(holders, index, at);
    const named = new Set(holders.map(keyOf));
    for (const lock of [...(this.tree.find(path)?.locks ?? [])]) {
      if (!named.has(lock.key) && lock.index <= index) this.#remove(lock);
    }
    this.#onChange();
  }

  setWaiters(listed, at) {
    this.waiters = listed.map((told) => ({
      path: told.path,
      owner: told.owner,
      mode: told.mode,
      since: at - told.waiting_ms,
      meta: told.meta ?? "",
    }));
    this.tree.setWaiters(this.waiters);
    this.#onChange();
  }

  applyEvents(events) {
    for (const event of events) {
      if (event.kind === "granted") this.#grant(event);
      else if (endings.has(event.kind)) this.#end(event);
    }
    this.#onChange();
  }

  #grant(event) {
    const key = keyOf(event);
    if (this.locks.has(key)) return;
    this.#replaceBy(event, event.index);
    // It has ended already, but it shows that the locks which it replaced have ended, too.
    if (this.#isOver(event, event.index)) return this.#rememberEnd(event, event.index);
    this.#put(undefined, {
      key,
      path: event.path,
      owner: event.owner,
      mode: event.mode,
      lockParents: event.lock_parents === true,
      lockChildren: event.lock_children === true,
      fence: event.fence,
      state: "held",
      since: this.#clock.grantedAt(event.fence),
      ttl: null,
      expiresAt: null,
      meta: "",
      index: event.index,
      at: Date.now(),
      arrivedAt: Date.now(), // to highlight it as new
      isDetailed: false,
      generation: this.#generation,
    });
  }

  #end(event) {
    this.#rememberEnd(event, event.index);
    const lock = this.locks.get(keyOf(event));
    // A later listing may have reported already that it is cooling.
    if (lock && lock.index < event.index) this.#remove(lock);
  }

  /** Removes the locks that this one replaces. When a lease changes the mode of its lock, there is no
   * event for the end of the old one; but of two incompatible locks of a path, the one granted earlier
   * has ended. */
  #replaceBy(lock, index) {
    for (const other of [...(this.tree.find(lock.path)?.locks ?? [])]) {
      if (other.fence > lock.fence || canStandTogether(other, lock)) continue;
      if (other.index >= index) continue;
      this.#rememberEnd(other, index);
      this.#remove(other);
    }
  }

  #rememberEnd({ path, fence, mode }, index) {
    if (this.#listings === 0) return;
    const ends = this.#ended.get(path) ?? [];
    ends.push({ fence, mode, index });
    this.#ended.set(path, ends);
  }

  /** Whether a lock named at `index` has since ended or been replaced. */
  #isOver(lock, index) {
    const replaces = (other) => other.fence > lock.fence && !canStandTogether(other, lock);
    const ends = this.#ended.get(lock.path) ?? [];
    const here = this.tree.find(lock.path)?.locks ?? [];
    return (
      here.some(replaces) ||
      ends.some((end) => end.index > index && (end.fence === lock.fence || replaces(end)))
    );
  }

  #put(known, lock) {
    if (known) {
      if (known.state !== lock.state) this.cooling += lock.state === "cooling" ? 1 : -1;
      known.searchText = undefined;
      Object.assign(known, lock);
      return;
    }
    this.locks.set(lock.key, lock);
    if (lock.state === "cooling") ++this.cooling;
    this.tree.addLock(lock);
  }

  #remove(lock) {
    this.locks.delete(lock.key);
    if (lock.state === "cooling") --this.cooling;
    this.tree.removeLock(lock);
  }
}
