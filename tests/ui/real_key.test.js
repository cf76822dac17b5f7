// A key that a real lockerd wants: nothing of the browser's own stands before the page's dialog.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { close, eventually, finish, launch, open, paths, row } from "./browser.js";
import { Lockerd } from "./lockerd.js";

const directory = mkdtempSync(join(tmpdir(), "locker-keys-"));
const file = join(directory, "keys");
const hash = (key) => createHash("sha256").update(key).digest("hex");
const expected = [/status of 40[13]/];
let server;

before(async () => {
  writeFileSync(file, `ops sha256:${hash("ops-key")} admin /\nci sha256:${hash("ci-key")} lock /ci\n`, { mode: 0o600 });
  await launch();
  server = new Lockerd("--keys", file);
  await server.start();
  const headers = { Authorization: "Bearer ops-key" };
  for (const path of ["/ci/a", "/prod/db"]) {
    const reply = await fetch(`${server.url}/v1/locks${path}?owner=job`, { method: "POST", headers });
    assert.equal(reply.status, 201);
  }
});

after(async () => {
  await server.end();
  await close();
  rmSync(directory, { recursive: true, force: true });
});

test("a key of a part of the tree works below it", async () => {
  const page = await open(server, { listed: false, expected });
  await page.locator("#key-dialog[open]").waitFor();
  await page.fill("#key", "ci-key");
  await page.keyboard.press("Enter");
  await eventually(async () => (await page.textContent("#notice")).includes("Below"), true);
  await page.fill("#prefix", "/ci");
  await page.keyboard.press("Enter");
  await eventually(() => paths(page), ["ci/a"]);
  await finish(page);
});

test("an administrator sees everything, and can end it", async () => {
  const page = await open(server, { listed: false, expected });
  await page.fill("#key", "ops-key");
  await page.keyboard.press("Enter");
  await eventually(() => paths(page), ["ci/a", "prod/db"]);
  await row(page, "prod/db").click();
  await page.locator("#details .danger").click();
  await page.fill("#reason", "test");
  await page.keyboard.press("Enter");
  await eventually(() => paths(page), ["ci/a"]);
  await finish(page);
});
