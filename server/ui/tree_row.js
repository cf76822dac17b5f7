// One row of the tree on the screen. Its elements are created once and then updated.

import { element, setAttribute, setText, setTextInOrder } from "./element.js";
import { summaryOf, timesOf } from "./lock_summary.js";
import { keptInOrder } from "./readable_text.js";

const indentMax = 16; // levels; deeper ones are not indented further and show their level
const freshFor = 1_200; // milliseconds

export class TreeRow {
  row;
  #lead = element("span", { class: "lead" });
  #name = element("span", { class: "name" });
  #depth = element("span", { class: "depth" });
  #twist = element("span", { class: "twist", "aria-hidden": "true" });
  #holder = element("bdi", { class: "owner" });
  #note = element("span", { class: "note" });
  #chip = element("span", { class: "chip" });
  #age = element("div", { role: "gridcell", class: "age number" });
  #left = element("span", { class: "left" });
  #gauge = element("span", { class: "gauge", "aria-hidden": "true" }, element("span"));
  #waiting = element("span", { class: "count" });
  #why = element("bdi", { class: "why-text" });

  constructor() {
    const cell = (name, ...children) => element("div", { role: "gridcell", class: name }, ...children);
    this.path = cell("path", this.#twist, this.#depth, element("span", { class: "label", dir: "ltr" }, this.#lead, this.#name));
    this.element = element(
      "div",
      { role: "row", class: "row" },
      this.path,
      cell("holder", this.#holder, this.#note),
      cell("state", this.#chip),
      this.#age,
      cell("end number", this.#left, this.#gauge),
      cell("waiting number", this.#waiting),
      cell("why", this.#why),
    );
    this.element.treeRow = this;
  }

  show(row, index, isActive, now) {
    this.row = row;
    const { node } = row;
    const target = this.element;
    setAttribute(target, "id", `row-${index}`);
    setAttribute(target, "aria-rowindex", index + 2); // the header row is the first
    setAttribute(target, "aria-level", row.level);
    setAttribute(target, "aria-posinset", row.place);
    setAttribute(target, "aria-setsize", row.siblings);
    setAttribute(target, "aria-expanded", row.isParent ? row.isOpen : null);
    setAttribute(target, "aria-selected", isActive);
    target.style.setProperty("--indent", Math.min(row.level - 1, indentMax));
    setText(this.#depth, row.level - 1 > indentMax ? `${row.level}` : "");
    setTextInOrder(this.#lead, row.lead);
    setTextInOrder(this.#name, row.name);
    setAttribute(this.path, "title", keptInOrder(node.readable));

    const summary = summaryOf(row);
    setText(this.#holder, summary.holder);
    setAttribute(this.#holder, "title", summary.holder || null);
    setText(this.#note, summary.note);
    setText(this.#chip, summary.state?.text ?? "");
    setAttribute(this.#chip, "data-kind", summary.state?.kind ?? null);
    setText(this.#waiting, summary.waiting);
    setText(this.#why, summary.why);
    setAttribute(this.#why, "title", summary.why || null);
    target.classList.toggle("bare", summary.isBare);
    const isFresh = node.locks.some((lock) => now - (lock.arrivedAt ?? 0) < freshFor);
    target.classList.toggle("fresh", isFresh);
    this.tick(now);
  }

  /** Updates what changes with time. */
  tick(now) {
    const { age, end } = timesOf(this.row.node, now);
    setText(this.#age, age);
    setText(this.#left, end.text);
    this.#left.classList.toggle("quiet", end.left === null);
    this.#gauge.hidden = end.left === null;
    if (end.left !== null) this.#gauge.firstChild.style.transform = `scaleX(${end.left.toFixed(3)})`;
    this.#gauge.classList.toggle("low", end.left !== null && end.left < 0.2);
  }
}
