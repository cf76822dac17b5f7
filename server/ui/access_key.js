// The access key for a server that requires one. Kept until the tab closes; sent only to the server.

const place = "locker.key";

export class AccessKey {
  #value = "";

  constructor() {
    try {
      this.#value = sessionStorage.getItem(place) ?? "";
    } catch {
      // No storage allowed: the key lives as long as the page.
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
