// Makes elements. Texts become text nodes: whatever stands in them is only ever shown.

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

/** What a text from left to right consists of, whatever letters are in it: the order on the screen is
 * that of the text, as that of a path has to be. Belongs into an element with `dir="ltr"`. */
export function inOrder(text) {
  return piecesByDirection(text).map((piece, i) => (i % 2 ? element("bdi", { dir: "rtl" }, piece) : piece));
}

/** As setText, of a text from left to right. */
export function setTextInOrder(target, text) {
  if (target.textContent !== text) target.replaceChildren(...inOrder(text).filter(Boolean));
}

const longFrom = 300; // characters

/** The element; when its text is long, as high as some lines, and scrolled, by the keyboard as well. */
export function bounded(made) {
  if (made.textContent.length >= longFrom) {
    made.classList.add("long");
    made.tabIndex = 0;
  }
  return made;
}

/** Changes the text only when it is another: everything else costs layout. */
export function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

export function setAttribute(target, name, value) {
  if (value === null) target.removeAttribute(name);
  else if (target.getAttribute(name) !== String(value)) target.setAttribute(name, value);
}
