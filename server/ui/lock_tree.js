// The tree of the paths with a lock or a waiter at or below them. Independent of the server.

import { readableSegment } from "./readable_text.js";

/** Sorts numbers in names by value. Not Intl.Collator, which takes ten times as long. */
const sortKeyOf = (name) => name.toLowerCase().replace(/\d+/g, (digits) => digits.padStart(12, "0"));

function isBefore(a, b) {
  if (a.sortKey !== b.sortKey) return a.sortKey < b.sortKey;
  return a.path < b.path;
}

/** The index at which `node` is, or belongs, in the sorted `nodes`. */
function placeOf(nodes, node) {
  let low = 0;
  for (let high = nodes.length; low < high; ) {
    const middle = (low + high) >> 1;
    if (nodes[middle] === node) return middle;
    if (isBefore(nodes[middle], node)) low = middle + 1;
    else high = middle;
  }
  return low;
}

export class LockTree {
  #nodes = new Map();

  constructor() {
    this.clear();
  }

  clear() {
    this.#nodes.clear();
    this.root = this.#make("/", "", null);
  }

  find(path) {
    return this.#nodes.get(path);
  }

  addLock(lock) {
    const node = this.#reach(lock.path);
    node.locks.push(lock);
    this.#count(node, "heldBelow", 1);
  }

  removeLock(lock) {
    const node = this.#nodes.get(lock.path);
    node.locks.splice(node.locks.indexOf(lock), 1);
    this.#count(node, "heldBelow", -1);
    this.#prune(node);
  }

  /** Replaces all waiters. They are in the order of the queue. */
  setWaiters(waiters) {
    const before = [...this.#nodes.values()].filter((node) => node.waiters.length > 0);
    for (const node of before) {
      this.#count(node, "waitingBelow", -node.waiters.length);
      node.waiters = [];
    }
    for (const waiter of waiters) {
      const node = this.#reach(waiter.path);
      node.waiters.push(waiter);
      this.#count(node, "waitingBelow", 1);
    }
    for (const node of before) this.#prune(node);
  }

  #make(path, segment, parent) {
    const name = readableSegment(segment);
    const node = {
      path,
      parent,
      name,
      readable: parent ? `${parent.parent ? parent.readable : ""}/${name}` : "/",
      sortKey: sortKeyOf(name),
      depth: parent ? parent.depth + 1 : 0,
      children: [], // sorted
      locks: [],
      waiters: [],
      heldBelow: 0, // including its own
      waitingBelow: 0,
    };
    this.#nodes.set(path, node);
    return node;
  }

  #reach(path) {
    const known = this.#nodes.get(path);
    if (known) return known;
    const slash = path.lastIndexOf("/");
    const parent = this.#reach(path.slice(0, slash) || "/");
    const node = this.#make(path, path.slice(slash + 1), parent);
    parent.children.splice(placeOf(parent.children, node), 0, node);
    return node;
  }

  #count(node, what, by) {
    for (let at = node; at; at = at.parent) at[what] += by;
  }

  #prune(node) {
    for (let at = node; at.parent && at.heldBelow + at.waitingBelow === 0; at = at.parent) {
      if (this.#nodes.get(at.path) !== at) return; // already pruned
      this.#nodes.delete(at.path);
      at.parent.children.splice(placeOf(at.parent.children, at), 1);
    }
  }
}
