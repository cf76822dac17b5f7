// Starts and stops the real lockerd, and asks it.

import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export class Lockerd {
  #directory = mkdtempSync(join(tmpdir(), "locker-ui-"));
  #options;
  #process;
  port = 0;

  constructor(...options) {
    this.#options = options;
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  /** On the port that it had, when it had one. */
  start() {
    const store = join(this.#directory, "locks.db");
    const options = ["--file", store, "--port", String(this.port), "--segment-size", "1", "--durability", "none"];
    this.#process = spawn(process.env.LOCKERD, [...options, ...this.#options], { stdio: ["ignore", "ignore", "pipe"] });
    let log = "";
    return new Promise((resolve, reject) => {
      this.#process.stderr.on("data", (text) => {
        log += text;
        const found = /listening on \S+:(\d+)/.exec(log);
        if (!found) return;
        this.port = Number(found[1]);
        resolve(this);
      });
      this.#process.on("exit", (code) => reject(new Error(`lockerd ended with ${code}: ${log}`)));
      this.#process.on("error", reject);
    });
  }

  /** At once, as a crash does. */
  kill() {
    return new Promise((resolve) => {
      this.#process.removeAllListeners("exit");
      if (this.#process.exitCode !== null) return resolve();
      this.#process.once("exit", resolve);
      this.#process.kill("SIGKILL");
    });
  }

  async end() {
    await this.kill();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  async ask(method, target, parameters = {}, body = undefined) {
    const query = Object.entries(parameters).map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
    const reply = await fetch(`${this.url}${target}?${query.join("&")}`, {
      method,
      body: body && JSON.stringify(body),
      headers: body ? { "Content-Type": "application/json" } : {},
    });
    return { status: reply.status, body: await reply.json() };
  }

  async take(path, parameters = {}) {
    const { status, body } = await this.ask("POST", `/v1/locks${path}`, { owner: "tester", ...parameters });
    if (status > 201) throw new Error(`${path}: ${JSON.stringify(body)}`);
    return body;
  }

  /** Stands in line; resolves with the answer when it comes. The connection ends with `signal`. */
  wait(path, parameters, signal) {
    const query = new URLSearchParams({ wait: "1h", ...parameters });
    return fetch(`${this.url}/v1/locks${path}?${query}`, { method: "POST", signal }).then(
      (reply) => reply.json(),
      () => null,
    );
  }

  release({ path, token }) {
    return this.ask("DELETE", `/v1/locks${path}`, { token });
  }

  /** Many locks, some hundreds a request. */
  async takeMany(paths, parameters = {}) {
    const token = randomUUID();
    for (let at = 0; at < paths.length; at += 250) {
      const locks = paths.slice(at, at + 250).map((path) => ({ path }));
      const body = { locks, owner: "tester", token, ...parameters };
      const { status, body: told } = await this.ask("POST", "/v1/locks", {}, body);
      if (status > 201) throw new Error(JSON.stringify(told));
    }
    return token;
  }
}
