// A search: `owner:ci path:/build why:release words`, and a state.

const fields = new Set(["owner", "path", "why"]);

/** Splits `text` into terms, all of which must match. A term without a field is searched in all fields. */
function termsOf(text) {
  const terms = [];
  for (const [, field, quoted, plain] of text.matchAll(/(?:(\w+):)?(?:"([^"]*)"|(\S+))/g)) {
    const name = field?.toLowerCase();
    const isKnown = fields.has(name);
    const word = quoted ?? plain;
    const wanted = (isKnown || !field ? word : `${field}:${word}`).toLowerCase();
    if (wanted) terms.push({ field: isKnown ? name : "", wanted });
  }
  return terms;
}

/** The texts of a lock or waiter in lower case, cached until it changes. */
function textOf(item, node) {
  item.searchText ??= {
    path: `${node.readable}\n${item.path}`.toLowerCase(),
    owner: item.owner.toLowerCase(),
    why: item.meta.toLowerCase(),
  };
  return item.searchText;
}

export class SearchFilter {
  #terms;
  #state;

  /** `state`: all, held, waiting or cooling. */
  constructor(text = "", state = "all") {
    this.#terms = termsOf(text);
    this.#state = state;
  }

  get isActive() {
    return this.#terms.length > 0 || this.#state !== "all";
  }

  /** Whether the node itself matches, regardless of what is below it. */
  matches(node) {
    const fitsState = {
      all: true,
      held: node.locks.length > 0,
      waiting: node.waiters.length > 0,
      cooling: node.locks.some((lock) => lock.state === "cooling"),
    }[this.#state];
    if (!fitsState) return false;
    const isFound = (item) => this.#finds(item, node);
    return node.locks.some(isFound) || node.waiters.some(isFound);
  }

  #finds(item, node) {
    const text = textOf(item, node);
    return this.#terms.every(({ field, wanted }) =>
      field
        ? text[field].includes(wanted)
        : text.path.includes(wanted) || text.owner.includes(wanted) || text.why.includes(wanted),
    );
  }
}
