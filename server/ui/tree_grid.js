// The tree on the screen: a treegrid with elements for the visible rows only. The focus stays on the
// grid; aria-activedescendant names the active row.

import { setAttribute } from "./element.js";
import { TreeRow } from "./tree_row.js";

const overscan = 8; // extra rows above and below the visible ones
const typeaheadPause = 700; // milliseconds

export class TreeGrid {
  #grid;
  #canvas;
  #on;
  #rows = [];
  #places = new Map(); // path: index in #rows
  #active = 0;
  #activePath = "";
  #shown = new Map(); // path: TreeRow
  #spare = [];
  #rowHeight = 40;
  #typed = "";
  #typedAt = 0;
  #isPaintWanted = false;

  /** Callbacks: on.open(path), on.toggle(path, isOpen), on.force(path), on.leave(). */
  constructor(grid, canvas, on) {
    this.#grid = grid;
    this.#canvas = canvas;
    this.#on = on;
    grid.addEventListener("scroll", () => this.#wantPaint(), { passive: true });
    grid.addEventListener("keydown", (event) => this.#onKey(event));
    canvas.addEventListener("click", (event) => this.#onClick(event));
    new ResizeObserver(() => this.#onResize()).observe(grid);
    this.#onResize();
  }

  get activePath() {
    return this.#activePath;
  }

  focus() {
    this.#grid.focus({ preventScroll: true });
  }

  setRows(rows) {
    const anchor = this.#anchor();
    this.#rows = rows;
    this.#places = new Map(rows.map((row, index) => [row.node.path, index]));
    setAttribute(this.#grid, "aria-rowcount", rows.length + 1);
    this.#canvas.style.height = `${rows.length * this.#rowHeight}px`;
    const at = this.#places.get(this.#activePath);
    this.#active = at ?? Math.max(0, Math.min(this.#active, rows.length - 1));
    if (anchor) {
      const moved = this.#places.get(anchor.path);
      if (moved !== undefined) this.#grid.scrollTop = moved * this.#rowHeight + anchor.into;
    }
    this.#paint();
  }

  /** The locks of the rows that have elements. */
  shownLocks() {
    return [...this.#shown.values()].flatMap((shown) => shown.row.node.locks);
  }

  tick() {
    const now = Date.now();
    for (const shown of this.#shown.values()) shown.tick(now);
  }

  /** Moves to the row of this path. Returns false if it has none. */
  select(path) {
    const index = this.#places.get(path);
    if (index !== undefined) this.#goTo(index);
    else this.#activePath = path;
    return index !== undefined;
  }

  /** The row at the top, which stays there when rows above it come and go. */
  #anchor() {
    const top = this.#grid.scrollTop;
    if (top === 0) return null;
    const first = this.#rows[Math.floor(top / this.#rowHeight)];
    return first ? { path: first.node.path, into: top % this.#rowHeight } : null;
  }

  #onResize() {
    const height = parseFloat(getComputedStyle(this.#grid).getPropertyValue("--row-height"));
    if (height && height !== this.#rowHeight) {
      this.#rowHeight = height;
      this.#canvas.style.height = `${this.#rows.length * height}px`;
    }
    this.#wantPaint();
  }

  #wantPaint() {
    if (this.#isPaintWanted) return;
    this.#isPaintWanted = true;
    requestAnimationFrame(() => {
      this.#isPaintWanted = false;
      this.#paint();
    });
  }

  #paint() {
    const now = Date.now();
    const top = this.#grid.scrollTop;
    const begin = Math.max(0, Math.floor(top / this.#rowHeight) - overscan);
    const seen = Math.ceil(this.#grid.clientHeight / this.#rowHeight) + 2 * overscan;
    const end = Math.min(this.#rows.length, begin + seen);
    const wanted = [];
    for (let index = begin; index < end; ++index) wanted.push(index);
    const active = this.#active;
    if (active < begin) wanted.unshift(active);
    else if (active >= end && active < this.#rows.length) wanted.push(active);
    if (this.#rows.length === 0) wanted.length = 0;

    const paths = new Set(wanted.map((index) => this.#rows[index].node.path));
    for (const [path, shown] of this.#shown) {
      if (paths.has(path)) continue;
      this.#shown.delete(path);
      this.#spare.push(shown);
    }
    let next = this.#canvas.firstChild;
    for (const index of wanted) {
      const row = this.#rows[index];
      let shown = this.#shown.get(row.node.path);
      if (!shown) {
        shown = this.#spare.pop() ?? new TreeRow();
        this.#shown.set(row.node.path, shown);
      }
      shown.show(row, index, index === active, now);
      shown.element.style.transform = `translateY(${index * this.#rowHeight}px)`;
      // Screen readers follow the order of the elements.
      if (shown.element === next) next = next.nextSibling;
      else this.#canvas.insertBefore(shown.element, next);
    }
    for (const spare of this.#spare) spare.element.remove();
    this.#spare.length = Math.min(this.#spare.length, 64);
    setAttribute(
      this.#grid,
      "aria-activedescendant",
      active < this.#rows.length ? `row-${active}` : null,
    );
  }

  #goTo(index) {
    if (this.#rows.length === 0) return;
    this.#active = Math.max(0, Math.min(index, this.#rows.length - 1));
    this.#activePath = this.#rows[this.#active].node.path;
    const head = this.#grid.firstElementChild.offsetHeight;
    const top = this.#active * this.#rowHeight;
    const room = this.#grid.clientHeight - head - this.#rowHeight;
    if (top < this.#grid.scrollTop) this.#grid.scrollTop = top;
    else if (top > this.#grid.scrollTop + room) this.#grid.scrollTop = top - room;
    this.#paint();
  }

  #onClick(event) {
    const shown = event.target.closest(".row")?.treeRow;
    if (!shown) return;
    const { row } = shown;
    this.focus();
    this.#goTo(this.#places.get(row.node.path));
    const isBare = row.node.locks.length + row.node.waiters.length === 0;
    if (row.isParent && (event.target.closest(".twist") || isBare)) {
      this.#on.toggle(row.node.path, !row.isOpen);
    } else {
      this.#on.open(row.node.path);
    }
  }

  #onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const row = this.#rows[this.#active];
    if (!row) return;
    if (this.#act(event, row)) {
      event.preventDefault();
      event.stopPropagation();
    }
  }

  /** Returns false if the key has no meaning here. */
  #act({ key, shiftKey }, row) {
    const page = Math.max(1, Math.floor(this.#grid.clientHeight / this.#rowHeight) - 2);
    switch (key) {
      case "ArrowDown":
        return this.#goTo(this.#active + 1), true;
      case "ArrowUp":
        return this.#goTo(this.#active - 1), true;
      case "PageDown":
        return this.#goTo(this.#active + page), true;
      case "PageUp":
        return this.#goTo(this.#active - page), true;
      case "Home":
        return this.#goTo(0), true;
      case "End":
        return this.#goTo(this.#rows.length - 1), true;
      case "ArrowRight":
        if (row.isOpen) this.#goTo(this.#active + 1);
        else if (row.isParent) this.#on.toggle(row.node.path, true);
        return true;
      case "ArrowLeft":
        if (row.isOpen) this.#on.toggle(row.node.path, false);
        else if (row.parentIndex >= 0) this.#goTo(row.parentIndex);
        return true;
      case "Enter":
        return this.#on.open(row.node.path), true;
      case " ":
        if (this.#isTyping()) break;
        return this.#on.open(row.node.path), true;
      case "Delete":
        return this.#on.force(row.node.path), true;
      case "Escape":
        return this.#on.leave();
      case "/":
      case "?":
        return false; // handled by the page
    }
    if (key.length !== 1 || (shiftKey && key === " ")) return false;
    this.#typeahead(key);
    return true;
  }

  #isTyping() {
    return this.#typed !== "" && performance.now() - this.#typedAt < typeaheadPause;
  }

  /** Moves to the next row that begins with the typed text. */
  #typeahead(key) {
    const goesOn = this.#isTyping();
    this.#typed = (goesOn ? this.#typed : "") + key.toLowerCase();
    this.#typedAt = performance.now();
    const count = this.#rows.length;
    for (let step = goesOn ? 0 : 1; step <= count; ++step) {
      const index = (this.#active + step) % count;
      const { lead, name } = this.#rows[index];
      const begins = [lead + name, name].some((text) => text.toLowerCase().startsWith(this.#typed));
      if (begins) return this.#goTo(index);
    }
  }
}
