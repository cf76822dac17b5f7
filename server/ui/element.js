// Creates elements. Texts become text nodes, so their contents are displayed and never interpreted.

import { piecesByDirection } from "./readable_text.js";

/** `attributes`: class, role, aria-…, title …; `on`: { click: handler }. Children: elements or
 * texts; null and "" are left out. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "on") {
      for (const [kind, handler] of Object.entries(value)) made.addEventListener(kind, handler);
    } else if (value !== undefined && value !== null && value !== false) {
      made.setAttribute(key, value === true ? "" : value);
    }
  }
  made.append(...children.flat().filter((child) => child !== null && child !== ""));
  return made;
}

/** The child nodes that display a text from left to right, whatever letters it contains: the order on
 * the screen must be that of the text, as in a path. For an element with `dir="ltr"`. */
export function inOrder(text) {
  return piecesByDirection(text).map((piece, i) => (i % 2 ? element("bdi", { dir: "rtl" }, piece) : piece));
}

/** Like setText, for a text from left to right. */
export function setTextInOrder(target, text) {
  if (target.textContent !== text) target.replaceChildren(...inOrder(text).filter(Boolean));
}

const longFrom = 300; // characters

/** Returns the element. If its text is long, limits its height and makes it scrollable, also by keyboard. */
export function bounded(made) {
  if (made.textContent.length >= longFrom) {
    made.classList.add("long");
    made.tabIndex = 0;
  }
  return made;
}

/** Changes the text only if it differs, because every change costs a layout. */
export function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

export function setAttribute(target, name, value) {
  if (value === null) target.removeAttribute(name);
  else if (target.getAttribute(name) !== String(value)) target.setAttribute(name, value);
}
