// Calls of the server's /v1. The key, when there is one, goes along with each.

/** The server said no: `status`, its `code`, and its sentence as the message. */
export class Refused extends Error {
  constructor(status, code, sentence) {
    super(sentence);
    this.status = status;
    this.code = code;
  }

  /** Whether the same request may be answered later. */
  get isPassing() {
    return this.status === 429 || this.status >= 500;
  }
}

/** No answer came. */
export class Unreachable extends Error {}

async function refusalOf(response) {
  let told = {};
  try {
    told = await response.json();
  } catch {
    // A proxy's own page, perhaps.
  }
  const sentence = told.message ?? told.error ?? `The server answered ${response.status}.`;
  return new Refused(response.status, told.message ? told.error : "", sentence);
}

/** `path` beside the page, below any path that a proxy adds. A page that was opened with name and
 * password in its address has them in all of its URLs, and fetch takes none of those; the browser
 * sends them by itself. */
export function siteUrl(path) {
  const url = new URL(`../${path}`, document.baseURI);
  url.username = url.password = "";
  return url;
}

export class Api {
  #base = siteUrl("");
  #key;

  /** `key` has read() and is asked before each call. */
  constructor(key) {
    this.#key = key;
  }

  /** The page's address names a path, and everybody can make an address: with `..` it would lead to
   * another call, such as canhaz, which takes a lock. */
  #urlOf(path) {
    const url = new URL(path.replaceAll("\\", "%5C"), this.#base);
    const countSegments = (text) => text.split("/").filter(Boolean).length;
    if (countSegments(url.pathname) !== countSegments(this.#base.pathname + path)) {
      throw new Refused(400, "bad_request", "The path has a '.' or '..' segment; write out the resource's full path.");
    }
    return url;
  }

  /** Resolves with the response once its header is there; rejects when it is a refusal. */
  async open(path, { method = "GET", parameters = {}, headers = {}, signal } = {}) {
    const url = this.#urlOf(path);
    url.search = Object.entries(parameters)
      .filter(([, value]) => value !== undefined && value !== "")
      .map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
      .join("&");
    const key = this.#key.read();
    const all = {
      ...headers,
      "X-Requested-With": "XMLHttpRequest", // else a 401 makes the browser ask for a password itself
      ...(key ? { Authorization: `Bearer ${key}` } : {}),
    };
    let response;
    try {
      response = await fetch(url, { method, headers: all, signal, cache: "no-store" });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new Unreachable("The server cannot be reached.", { cause: error });
    }
    if (!response.ok) throw await refusalOf(response);
    return response;
  }

  /** The body as an object, the journal index it was decided at, and when it came. */
  async call(path, options) {
    const response = await this.open(path, options);
    try {
      const body = await response.json();
      const index = Number(response.headers.get("Locker-Index") ?? 0);
      return { body, index, date: response.headers.get("Date"), at: Date.now() };
    } catch (error) {
      if (options?.signal?.aborted) throw error;
      throw new Unreachable("The server's answer broke off.", { cause: error });
    }
  }

  /** Ends exactly this grant; the fence keeps it from the next holder. */
  force({ path, fence, state }, reason) {
    const cooling = state === "cooling" ? "true" : undefined;
    return this.call(`v1/locks${path}`, {
      method: "DELETE",
      parameters: { force: "true", fence, cooling, reason },
    });
  }
}
