// Summarises the locks and waiters of a path for its row.

import { duration } from "./durations.js";
import { counted, readable } from "./readable_text.js";

/** Joins the texts without duplicates. */
const joined = (texts, separator) => [...new Set(texts)].filter(Boolean).map(readable).join(separator);

const oldest = (items) => Math.min(...items.map((item) => item.since));

/** Returns the lock that expires first, or null if none expires. */
export function firstToEnd(locks) {
  const ending = locks.filter((lock) => lock.expiresAt !== null);
  return ending.length === 0 ? null : ending.reduce((a, b) => (b.expiresAt < a.expiresAt ? b : a));
}

/** The state of a path as `{ kind, text }`; null if it has neither locks nor waiters. */
function stateOf({ locks, waiters }) {
  if (locks.length === 0) return waiters.length > 0 ? { kind: "wanted", text: "wanted" } : null;
  if (locks.every((lock) => lock.state === "cooling")) return { kind: "cooling", text: "cooling" };
  if (locks.length > 1) return { kind: "shared", text: `shared × ${locks.length}` };
  return { kind: locks[0].mode, text: locks[0].mode };
}

function endOf(locks, now) {
  if (locks.length === 0) return { text: "", left: null };
  const first = firstToEnd(locks);
  if (first) {
    const left = first.expiresAt - now;
    const whole = first.ttl ?? first.expiresAt - first.at;
    return {
      text: left > 0 ? duration(left) : "due",
      left: Math.max(0, Math.min(1, left / Math.max(1, whole))),
    };
  }
  return { text: locks.every((lock) => lock.isDetailed) ? "on release" : "…", left: null };
}

/** The part of a row that changes with time. */
export function timesOf({ locks, waiters }, now) {
  const shown = locks.length > 0 ? locks : waiters;
  return {
    age: shown.length > 0 ? duration(now - oldest(shown)) : "",
    end: endOf(locks, now),
  };
}

/** The rest of a row. */
export function summaryOf({ node, isOpen, isParent }) {
  const { locks, waiters } = node;
  const isBare = locks.length === 0 && waiters.length === 0;
  const waiting = isParent && !isOpen ? node.waitingBelow : waiters.length;
  const nobody = locks.length === 0 ? "nobody" : "";
  const below = node.heldBelow > 0 ? `${node.heldBelow.toLocaleString("en")} held below` : "";
  return {
    state: stateOf(node),
    isBare,
    holder: joined(locks.map((lock) => lock.owner), ", "),
    note: isBare ? below || `${counted(node.waitingBelow, "request")} below` : nobody,
    waiting: waiting === 0 ? "" : waiting.toLocaleString("en"),
    why: joined((locks.length > 0 ? locks : waiters).map((each) => each.meta), " · "),
  };
}
