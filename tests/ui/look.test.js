// What the page shows, and how one finds something in it.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { cell, close, eventually, finish, launch, open, paths, row } from "./browser.js";
import { Lockerd } from "./lockerd.js";

const server = new Lockerd();
const waiting = new AbortController();

before(async () => {
  await launch();
  await server.start();
  await server.take("/deploy/production", { owner: "ci-7", ttl: "10m", meta: "release 4.2" });
  await server.take("/deploy/staging", { owner: "anna" });
  for (const owner of ["reader-a", "reader-b"]) await server.take("/data/orders", { owner, mode: "shared", ttl: "1h" });
  await server.take("/backup/db", { owner: "cron", ttl: "1h", lock_delay: "10m" });
  await server.ask("DELETE", "/v1/locks/backup/db", { force: true, reason: "test" });
  server.wait("/deploy/production", { owner: "first", meta: "in a hurry" }, waiting.signal);
  await eventually(async () => (await server.ask("GET", "/v1/status")).body.waiters, 1);
  server.wait("/deploy/production", { owner: "second" }, waiting.signal);
  server.wait("/deploy", { owner: "whole" }, waiting.signal);
  await eventually(async () => (await server.ask("GET", "/v1/status")).body.waiters, 3);
});

after(async () => {
  waiting.abort();
  await server.end();
  await close();
});

test("the tree tells who holds what, how, until when, who waits and why", async () => {
  const page = await open(server);
  await eventually(() => paths(page), ["backup/db", "data/orders", "deploy", "production", "staging"]);
  await eventually(() => page.textContent("#count-waiting"), "3");
  assert.equal(await cell(page, "production", "holder"), "ci-7");
  assert.equal(await cell(page, "production", "state"), "exclusive");
  assert.match(await cell(page, "production", "end"), /^(10m|9m)/);
  assert.match(await cell(page, "production", "age"), /^\d+s$/);
  assert.equal(await cell(page, "production", "waiting"), "2");
  assert.equal(await cell(page, "production", "why"), "release 4.2");
  assert.equal(await cell(page, "staging", "end"), "on release");
  assert.equal(await cell(page, "data/orders", "holder"), "reader-a, reader-b");
  assert.equal(await cell(page, "data/orders", "state"), "shared × 2");
  assert.equal(await cell(page, "backup/db", "state"), "cooling");
  assert.equal(await cell(page, "deploy", "state"), "wanted");
  assert.deepEqual(await page.locator("#counts dd").allTextContents(), ["4", "3", "1"]);
  assert.equal(await page.textContent("#connection-text"), "Live");
  await finish(page);
});

test("a path that many share keeps them all when its details are open", async () => {
  const others = new Lockerd();
  await others.start();
  for (let i = 0; i < 130; i += 1) await others.take("/crowd", { owner: `reader-${i}`, mode: "shared", ttl: "1h" });
  const page = await open(others);
  await eventually(() => cell(page, "crowd", "state"), "shared × 130");
  await row(page, "crowd").click();
  await eventually(() => page.textContent("#details .sentence"), "130 share this.");
  assert.match(await page.textContent("#details"), /These are the first 100\./);
  assert.equal(await cell(page, "crowd", "state"), "shared × 130");
  assert.equal(await page.textContent("#count-held"), "130");
  await finish(page);
  await others.end();
});

test("the search finds paths, owners and reasons, and one of them only when told so", async () => {
  const page = await open(server);
  const found = async (text) => {
    await page.fill("#search", text);
    return paths(page);
  };
  assert.deepEqual(await found("ANNA"), ["deploy", "staging"]);
  assert.deepEqual(await found("release"), ["deploy", "production"]);
  assert.deepEqual(await found("owner:production"), []);
  assert.equal(await page.textContent("#empty-text"), "Nothing matches this search.");
  assert.deepEqual(await found("path:/data owner:reader-b"), ["data/orders"]);
  assert.deepEqual(await found('why:"in a hurry"'), ["deploy", "production"]);
  await page.fill("#search", "");
  await page.selectOption("#state", "cooling");
  assert.deepEqual(await paths(page), ["backup/db"]);
  await page.selectOption("#state", "waiting");
  assert.deepEqual(await paths(page), ["deploy", "production"]);
  await eventually(() => page.textContent("#live"), "2 paths match the search.");
  await page.reload();
  await eventually(() => paths(page), ["deploy", "production"]);
  await finish(page);
});

test("an address that others made takes no lock", async () => {
  for (const address of ["#/../../canhaz/x", "#/%2e%2e/%2E./canhaz/", "?below=/../../canhaz/y"]) {
    const page = await open(server, { address, expected: [/400/], listed: false });
    await eventually(async () => /'\.\.' segment/.test(await page.textContent("body")), true);
    await finish(page);
  }
  assert.equal((await server.ask("GET", "/v1/status")).body.locks, 5);
});

test("below a path only its part of the tree is asked for and followed", async () => {
  const page = await open(server);
  await page.fill("#prefix", "data/");
  await page.press("#prefix", "Enter");
  await eventually(() => paths(page), ["data/orders"]);
  assert.match(page.url(), /\?below=%2Fdata$/);
  const lock = await server.take("/data/more");
  await eventually(() => paths(page), ["data", "more", "orders"]);
  await server.release(lock);
  await eventually(() => paths(page), ["data/orders"]);
  assert.ok(page.requested.some((url) => url.includes("/v1/events?prefix=%2Fdata")));
  await finish(page);
});

test("the details tell each holder, what covers the path, and who waits at which place", async () => {
  const page = await open(server);
  await row(page, "production").click();
  const details = page.locator("#details");
  await details.locator(".card").waitFor();
  assert.equal(await details.locator("h2").textContent(), "/deploy/production");
  const card = await details.locator(".card").innerText();
  for (const text of ["ci-7", "release 4.2", "unless renewed (TTL 10m)", "its parents and everything below"]) assert.ok(card.includes(text), card);
  const waiters = details.locator(".waiters li");
  assert.deepEqual(await waiters.locator(".owner").allTextContents(), ["first", "second"]);
  assert.deepEqual(await waiters.evaluateAll((all) => all.map((each) => each.value)), [1, 2]);
  assert.match(page.url(), /#\/deploy\/production$/);

  await row(page, "deploy").locator(".state").click();
  await eventually(() => details.locator(".covers button").allTextContents(), ["/deploy/production", "/deploy/staging"]);
  assert.ok((await details.innerText()).includes("not free"));
  await details.locator(".covers button").nth(1).click();
  await eventually(() => details.locator("h2").textContent(), "/deploy/staging");
  await page.keyboard.press("Escape");
  assert.ok(await details.isHidden());
  await finish(page);

  const linked = await open(server, { address: "#/data/orders" });
  await eventually(() => linked.locator("#details .card h3 .owner").allTextContents(), ["reader-a", "reader-b"]);
  await finish(linked);
});

test("each path that is opened is an entry of the history", async () => {
  const page = await open(server);
  const title = page.locator("#details h2");
  for (const path of ["production", "staging"]) await row(page, path).click();
  await page.fill("#search", "deploy");
  await page.goBack();
  await eventually(() => title.textContent(), "/deploy/production");
  await page.goBack();
  await eventually(() => page.locator("#details").isHidden(), true);
  assert.match(page.url(), /\/ui\/\?search=deploy$/);
  await page.goForward();
  await eventually(() => title.textContent(), "/deploy/production");
  assert.match(page.url(), /\/ui\/\?search=deploy#\/deploy\/production$/);
  await page.keyboard.press("Escape");
  await finish(page);
});

test("long texts leave what one may do in sight", async () => {
  const long = await new Lockerd().start();
  const path = `/${Array.from({ length: 7 }, (_, i) => `${i}`.padEnd(200, "x")).join("/")}`;
  await long.take(path, { owner: "ä".repeat(127), meta: "m".repeat(4096) });
  const page = await open(long, { address: `#${path}`, viewport: { width: 360, height: 700 } });
  const details = page.locator("#details");
  await details.locator(".card").waitFor();
  const isInSight = async (selector) => {
    const { y, height } = await details.locator(selector).boundingBox();
    const panel = await details.boundingBox();
    return y >= panel.y && y + height <= panel.y + panel.height;
  };
  const close = '[data-focus="close"]';
  assert.ok(await isInSight(close));
  assert.ok((await details.evaluate((panel) => panel.scrollHeight)) < 1400);
  await details.evaluate((panel) => (panel.scrollTop = panel.scrollHeight));
  assert.ok((await isInSight(close)) && (await isInSight(".danger")));
  await finish(page);
  await long.end();
});

test("an empty server says how to take a lock", async () => {
  const empty = await new Lockerd().start();
  const page = await open(empty);
  await eventually(() => page.textContent("#empty-text"), "Nothing is held.");
  assert.ok((await page.textContent("#empty-command")).includes(`${empty.url}/v1/locks/build/agent?owner=me`));
  await page.fill("#prefix", "/it's/mine");
  await page.press("#prefix", "Enter");
  await eventually(async () => (await page.textContent("#empty-command")).includes(`'${empty.url}/v1/locks/it%27s/mine/build/agent?`), true);
  await finish(page);
  await empty.end();
});

test("strange texts are shown and do nothing else", async () => {
  const strange = await new Lockerd().start();
  const markup = `<img src=x onerror=alert(1)><script>alert(2)</script>"'&amp;`;
  const deep = Array.from({ length: 64 }, (_, i) => `d${i}`).join("/");
  await strange.take(`/html/${encodeURIComponent("<b>x</b><img src=x onerror=alert(3)>")}`, { owner: markup, meta: markup });
  await strange.take("/rtl/%E2%80%AEgnp.exe", { owner: "\u202Eevil\u2066", meta: "\u200B\u200E" });
  await strange.take("/long", { owner: "ä".repeat(127), meta: "m".repeat(4096) });
  await strange.take(`/${encodeURIComponent("日本語")}/${encodeURIComponent("a/b#?%\\ \"")}`, { owner: "🔒" });
  await strange.take(`/${deep}`, { owner: "deep" });
  const page = await open(strange);
  assert.equal(await page.locator("#canvas .row").count(), 5);
  const owner = page.locator("#canvas .row", { hasText: "onerror=alert(3)" }).locator(".owner");
  assert.equal(await owner.textContent(), markup);
  assert.ok((await paths(page)).some((text) => text === "rtl/⟨U+202E⟩gnp.exe"));
  assert.ok((await paths(page)).some((text) => text === '日本語/a%2Fb#?%\\ "'));
  const isWide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
  assert.equal(isWide, false);
  for (const text of ["html/", "rtl/", "long", "日本語/", "d62/"]) {
    await page.locator("#canvas .row", { hasText: text }).first().click();
    await page.locator("#details .card").waitFor();
    const button = page.locator("#details .danger");
    await button.click();
    await page.locator("#force[open]").waitFor();
    await page.keyboard.press("Escape");
    assert.equal(await page.locator("#details img, #details script, #force img, #canvas img").count(), 0);
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth), false);
  }
  await page.reload();
  await page.locator("#details .card").waitFor(); // the address with such a path works too
  await finish(page);
  await strange.end();
});

test("a path reads from left to right, whatever letters are in it, and differs from every other", async () => {
  const strange = await new Lockerd().start();
  const hebrew = encodeURIComponent("א");
  await strange.take(`/bidi/${hebrew}/1`, { owner: "letter first" });
  await strange.take(`/bidi/1/${hebrew}`, { owner: "digit first" });
  await strange.take("/%20%20%20", { owner: "   " });
  const page = await open(strange);
  /** The characters of the element's text in the order in which they stand on the screen. */
  const seen = (locator) =>
    locator.evaluate((target) => {
      const characters = [];
      const walker = document.createTreeWalker(target, NodeFilter.SHOW_TEXT);
      for (let node = walker.nextNode(); node; node = walker.nextNode()) {
        for (let at = 0; at < node.length; ++at) {
          const range = document.createRange();
          range.setStart(node, at);
          range.setEnd(node, at + 1);
          characters.push({ text: node.data[at], x: range.getBoundingClientRect().x });
        }
      }
      return characters.sort((a, b) => a.x - b.x).map(({ text }) => text).join("");
    });
  const rows = page.locator("#canvas .row");
  for (const [owner, segments] of [["letter first", ["א", "1"]], ["digit first", ["1", "א"]]]) {
    const line = rows.filter({ hasText: owner });
    assert.equal(await seen(line.locator(".label")), segments.join("/"));
    await line.click();
    await page.locator("#details .card", { hasText: owner }).waitFor();
    assert.equal(await seen(page.locator("#details h2")), `/bidi/${segments.join("/")}`);
    await page.locator("#details .danger").click();
    assert.equal(await seen(page.locator("#force .what dd").first()), `/bidi/${segments.join("/")}`);
    await page.keyboard.press("Escape");
  }
  const blank = row(page, "⟨U+0020⟩⟨U+0020⟩⟨U+0020⟩");
  await blank.click();
  await eventually(() => page.locator("#details h2").textContent(), "/⟨U+0020⟩⟨U+0020⟩⟨U+0020⟩");
  await page.locator("#details .danger").click();
  assert.deepEqual(await page.locator("#force .what dd").allTextContents().then((all) => all.slice(0, 2)), ["/⟨U+0020⟩⟨U+0020⟩⟨U+0020⟩", "⟨U+0020⟩⟨U+0020⟩⟨U+0020⟩"]);
  await page.keyboard.press("Escape");
  await finish(page);
  await strange.end();
});

test("64 levels of locks stay readable", async () => {
  const deep = await new Lockerd().start();
  let path = "";
  for (let level = 1; level <= 64; ++level) {
    path += `/level${level}`;
    await deep.take(path, { lock_parents: false, lock_children: false });
  }
  const page = await open(deep);
  await page.focus("#grid");
  await page.keyboard.press("End");
  const last = row(page, "level64");
  assert.equal(await last.getAttribute("aria-level"), "64");
  assert.equal(await last.locator(".depth").textContent(), "64");
  const { x, width } = await last.locator(".name").boundingBox();
  const cellBox = await last.locator(".path").boundingBox();
  assert.ok(width > 30 && x + width <= cellBox.x + cellBox.width, JSON.stringify({ x, width, cellBox }));
  await finish(page);
  await deep.end();
});
