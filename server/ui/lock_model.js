// What is held, as far as it is known here. Told by listings and by events, which overtake each
// other on their way; the journal index that each was decided at tells which of two is newer.

import { LockTree } from "./lock_tree.js";

const keyOf = ({ path, fence }) => `${path} ${fence}`;
/** Two locks of one path. */
const canStandTogether = (a, b) => a.mode === "shared" && b.mode === "shared";
const endings = new Set(["released", "expired", "forced", "cooled"]);

export class LockModel {
  tree = new LockTree();
  locks = new Map(); // by path and fence, which never come again together
  waiters = [];
  cooling = 0;
  #ended = new Map(); // by path: ends that a listing under way may not know yet
  #listings = 0; // under way
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

  /** Whatever the server says next is newer than all that is known, also when its index is lower:
   * it may have another store now. */
  distrust() {
    for (const lock of this.locks.values()) lock.index = 0;
    this.#ended.clear();
  }

  /** Around each request for a list, so that an end is remembered until its answer is there. */
  beginListing() {
    ++this.#listings;
  }

  endListing() {
    if (--this.#listings === 0) this.#ended.clear();
  }

  /** Before a listing of everything; sweep() after it. */
  beginGeneration() {
    return ++this.#generation;
  }

  /** Of a listing of everything whose first answer was decided at `index`: what it did not name is
   * gone, but for what came later. */
  sweep(generation, index) {
    if (generation !== this.#generation) return; // a newer listing has begun meanwhile
    for (const lock of [...this.locks.values()]) {
      if (lock.generation !== generation && lock.index <= index) this.#remove(lock);
    }
    this.#onChange();
  }

  /** Locks as the server's lists have them, decided at `index`, received `at`. */
  applyListed(listed, index, at) {
    for (const told of listed) {
      const key = keyOf(told);
      this.#clock.learnFromLock(told.fence, told.held_ms, at);
      const known = this.locks.get(key);
      if (known && known.index > index) {
        known.generation = this.#generation; // it lives; which of its times is right comes later
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

  /** All that is held at one path. */
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
    // Gone by now, but it has shown that what was there before it is gone as well.
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
      arrivedAt: Date.now(), // to be seen that it is new
      isDetailed: false,
      generation: this.#generation,
    });
  }

  #end(event) {
    this.#rememberEnd(event, event.index);
    const lock = this.locks.get(keyOf(event));
    // A listing of later may have said already that it cools.
    if (lock && lock.index < event.index) this.#remove(lock);
  }

  /** A lease that changes its lock's mode tells no end of the old one, but of two locks of a path
   * that cannot stand together the later grant shows that the other is gone. */
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

  /** Whether what was decided at `index` names a lock that has gone since, or was replaced. */
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
