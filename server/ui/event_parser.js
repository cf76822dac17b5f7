// Parses server-sent events from text that arrives in arbitrary pieces.

export class EventParser {
  #rest = "";

  /**
   * Returns the events that this piece completes: `{ id, kind, data }`. Comments are left out. An
   * event that only gives the position, at the beginning or after a silence, has no kind.
   */
  feed(text) {
    this.#rest += text;
    const events = [];
    for (let begin = 0; ; ) {
      const end = this.#rest.indexOf("\n\n", begin);
      if (end < 0) {
        this.#rest = this.#rest.slice(begin);
        return events;
      }
      const event = parse(this.#rest.slice(begin, end));
      if (event) events.push(event);
      begin = end + 2;
    }
  }
}

function parse(block) {
  const event = { id: "", kind: "", data: "" };
  for (const line of block.split("\n")) {
    const colon = line.indexOf(":");
    const value = line.slice(colon + 1).replace(/^ /, "");
    const name = line.slice(0, colon);
    if (name === "id") event.id = value;
    if (name === "event") event.kind = value;
    if (name === "data") event.data += value;
  }
  return event.kind || event.id ? event : null;
}
