// Everything without a mouse.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { close, eventually, finish, launch, open, paths } from "./browser.js";
import { Lockerd } from "./lockerd.js";

const server = new Lockerd();

before(async () => {
  await launch();
  await server.start();
  const names = Array.from({ length: 60 }, (_, i) => `/build/agent-${i + 1}`);
  await server.takeMany(["/alpha", ...names, "/deploy/production", "/deploy/staging", "/zeta"]);
});

after(async () => {
  await server.end();
  await close();
});

test("the tree is walked, folded and searched by keys, and details open and close", async () => {
  const page = await open(server);
  const active = () =>
    page.evaluate(() => {
      const id = document.getElementById("grid").getAttribute("aria-activedescendant");
      const row = document.getElementById(id);
      return row && `${row.querySelector(".label").textContent} ${row.getAttribute("aria-selected")} ${row.getAttribute("aria-expanded")}`;
    });
  const press = async (...keys) => {
    for (const key of keys) await page.keyboard.press(key);
    return active();
  };
  await page.keyboard.press("Tab"); // the link that skips
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement.id), "grid");
  assert.equal(await active(), "alpha true null");
  assert.equal(await press("ArrowDown"), "build true true");
  assert.equal(await press("ArrowRight"), "agent-1 true null");
  assert.equal(await press("End"), "zeta true null");
  assert.equal(await press("Home"), "alpha true null");
  assert.equal(await press("ArrowUp"), "alpha true null");
  assert.equal(await press("d"), "deploy true true");
  assert.equal(await press("ArrowLeft"), "deploy true false");
  assert.ok(!(await paths(page)).includes("staging"));
  assert.equal(await press("ArrowRight"), "deploy true true");
  let found = "";
  // What was typed is forgotten after 700 ms: on a busy machine also in the middle of a word.
  for (let attempt = 0; attempt < 5 && found !== "agent-42 true null"; attempt += 1) {
    await page.waitForTimeout(800);
    found = await press("a", "g", "e", "n", "t", "-", "4", "2");
  }
  assert.equal(found, "agent-42 true null");
  assert.equal(await press("ArrowLeft"), "build true true");
  const before = await press("Home");
  assert.notEqual(await press("PageDown"), before);
  assert.equal(await press("PageUp"), before);

  await page.waitForTimeout(800);
  assert.equal(await press("z"), "zeta true null");
  await page.keyboard.press("Enter");
  await page.locator("#details .card").waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.tagName), "H2");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "End this lock…");
  await page.keyboard.press("Enter");
  await page.locator("#force[open]").waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.id), "reason");
  await page.keyboard.press("Escape");
  assert.ok(!(await page.locator("#force").isVisible()));
  await page.keyboard.press("Escape");
  assert.ok(await page.locator("#details").isHidden());
  assert.equal(await page.evaluate(() => document.activeElement.id), "grid");
  assert.equal(await active(), "zeta true null");

  await page.keyboard.press("/");
  assert.equal(await page.evaluate(() => document.activeElement.id), "search");
  await page.keyboard.type("staging");
  await eventually(() => paths(page), ["deploy/staging"]);
  await page.keyboard.press("Escape");
  assert.equal(await page.evaluate(() => document.activeElement.id), "grid");
  assert.equal(await page.inputValue("#search"), "");

  assert.equal(await press("End"), "zeta true null");
  await page.keyboard.press("Delete");
  await page.locator("#force[open]").waitFor();
  await page.keyboard.type("by the keyboard");
  await page.keyboard.press("Enter");
  await eventually(async () => (await server.ask("GET", "/v1/locks/zeta")).body.free, true);
  await eventually(async () => (await active()).startsWith("staging"), true); // the nearest that is left
  await page.keyboard.press("?");
  await page.locator("#help[open]").waitFor();
  await page.keyboard.press("Enter");
  assert.ok(!(await page.locator("#help").isVisible()));
  await finish(page);
});

test("the row in use stays in use when others come, go and scroll away", async () => {
  const page = await open(server);
  const active = () =>
    page.evaluate(() => document.getElementById(document.getElementById("grid").getAttribute("aria-activedescendant"))?.querySelector(".label").textContent);
  await page.focus("#grid");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  assert.equal(await active(), "agent-1");
  await server.take("/aaa/before");
  await eventually(async () => (await paths(page))[0], "aaa/before");
  assert.equal(await active(), "agent-1");
  await page.evaluate(() => (document.getElementById("grid").scrollTop = 1e6));
  await eventually(async () => (await paths(page)).includes("staging"), true);
  assert.equal(await active(), "agent-1", "its element is there although it cannot be seen");
  const top = (await page.locator("#canvas .row").nth(20).boundingBox()).y;
  const text = await page.locator("#canvas .row").nth(20).locator(".label").textContent();
  await server.ask("DELETE", "/v1/locks/aaa", { force: true, prefix: "/aaa" });
  await server.ask("DELETE", "/v1/locks", { force: true, prefix: "/aaa" });
  await eventually(async () => (await server.ask("GET", "/v1/locks/aaa/before")).body.free, true);
  await page.waitForTimeout(300);
  const moved = page.locator("#canvas .row").filter({ has: page.locator(".label", { hasText: new RegExp(`^${text}$`) }) });
  assert.ok(Math.abs((await moved.boundingBox()).y - top) <= 38, "what was looked at has not jumped away");
  await finish(page);
});
