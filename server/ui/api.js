// Calls the server's /v1. Each call carries the key, if there is one.

/** An error that the server answered: `status`, its `code`, and its sentence as the message. */
export class Refused extends Error {
  constructor(status, code, sentence) {
    super(sentence);
    this.status = status;
    this.code = code;
  }

  /** Whether a retry of the same request may succeed. */
  get isPassing() {
    return this.status === 429 || this.status >= 500;
  }
}

/** The server did not answer. */
export class Unreachable extends Error {}

async function refusalOf(response) {
  let told = {};
  try {
    told = await response.json();
  } catch {
    // Not JSON: perhaps a proxy's own error page.
  }
  const sentence = told.message ?? told.error ?? `The server answered ${response.status}.`;
  return new Refused(response.status, told.message ? told.error : "", sentence);
}

/** The URL of `path` next to the page, under any path prefix that a proxy adds. If the page was
 * opened with a name and password in its address, all of its URLs contain them, and fetch rejects
 * such URLs; the browser sends the credentials by itself. */
export function siteUrl(path) {
  const url = new URL(`../${path}`, document.baseURI);
  url.username = url.password = "";
  return url;
}

export class Api {
  #base = siteUrl("");
  #key;

  /** `key.read()` is called before each call. */
  constructor(key) {
    this.#key = key;
  }

  /** Refuses paths with `.` or `..`. The page's address names a path, and anybody can craft an
   * address: with `..` it would lead to another call, such as canhaz, which acquires a lock. */
  #urlOf(path) {
    const url = new URL(path.replaceAll("\\", "%5C"), this.#base);
    const countSegments = (text) => text.split("/").filter(Boolean).length;
    if (countSegments(url.pathname) !== countSegments(this.#base.pathname + path)) {
      throw new Refused(400, "bad_request", "The path has a '.' or '..' segment; write out the resource's full path.");
    }
    return url;
  }

  /** Resolves with the response once its header has arrived; rejects if it is an error. */
  async open(path, { method = "GET", parameters = {}, headers = {}, signal } = {}) {
    const url = this.#urlOf(path);
    url.search = Object.entries(parameters)
      .filter(([, value]) => value !== undefined && value !== "")
      .map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
      .join("&");
    const key = this.#key.read();
    const all = {
      ...headers,
      "X-Requested-With": "XMLHttpRequest", // or a 401 opens the browser's own password dialog
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

  /** Resolves with the body as an object, the journal index of its decision, and its arrival time. */
  async call(path, options) {
    const response = await this.open(path, options);
    try {
      const body = await response.json();
      const index = Number(response.headers.get("Locker-Index") ?? 0);
      return { body, index, date: response.headers.get("Date"), at: Date.now() };
    } catch (error) {
      if (options?.signal?.aborted) throw error;
      throw new Unreachable("The server's answer was cut off.", { cause: error });
    }
  }

  /** Ends exactly this grant; the fence protects the next holder. */
  force({ path, fence, state }, reason) {
    const cooling = state === "cooling" ? "true" : undefined;
    return this.call(`v1/locks${path}`, {
      method: "DELETE",
      parameters: { force: "true", fence, cooling, reason },
    });
  }
}
