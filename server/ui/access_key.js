// The key to a server that wants one: kept as long as this tab, told to nobody but the server.

const place = "locker.key";

export class AccessKey {
  #value = "";

  constructor() {
    try {
      this.#value = sessionStorage.getItem(place) ?? "";
    } catch {
      // Storage is forbidden here: the key lives as long as the page.
    }
  }

  read() {
    return this.#value;
  }

  write(value) {
    this.#value = value;
    try {
      if (value) sessionStorage.setItem(place, value);
      else sessionStorage.removeItem(place);
    } catch {
      // As above.
    }
  }
}
