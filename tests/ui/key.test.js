// A server that wants a key, played by a proxy in front of a real one.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";

import { close, eventually, finish, launch, open, paths, row } from "./browser.js";
import { Lockerd } from "./lockerd.js";

const server = new Lockerd();
const expected = [/status of 40[13]/];
let proxy;
let site;
const seen = [];

const refuse = (response, status, error, message) => {
  response.writeHead(status, { "Content-Type": "application/json", ...(status === 401 ? { "WWW-Authenticate": "Bearer" } : {}) });
  response.end(JSON.stringify({ error, message }));
};

before(async () => {
  await launch();
  await server.start();
  await server.take("/team/a", { owner: "one" });
  await server.take("/other/b", { owner: "two" });
  proxy = createServer((request, response) => {
    const url = new URL(request.url, server.url);
    const key = request.headers.authorization;
    if (url.pathname.startsWith("/v1")) {
      seen.push(key);
      if (!key) return refuse(response, 401, "unauthorized", "This server wants a key.");
      if (key !== "Bearer reader" && key !== "Bearer team") return refuse(response, 401, "unauthorized", "This key is not known here.");
      if (request.method === "DELETE") return refuse(response, 403, "forbidden", "The key reader may not force below /team.");
      const path = url.searchParams.get("prefix") ?? decodeURIComponent(url.pathname.slice("/v1/locks".length));
      if (key === "Bearer team" && !path.startsWith("/team")) return refuse(response, 403, "forbidden", "This key may read below /team only.");
    }
    fetch(url, { method: request.method })
      .then(async (answer) => {
        const names = ["content-type", "locker-index", "content-security-policy"].filter((name) => answer.headers.has(name));
        response.writeHead(answer.status, Object.fromEntries(names.map((name) => [name, answer.headers.get(name)])));
        response.flushHeaders();
        for await (const piece of answer.body) response.write(piece);
        response.end();
      })
      .catch(() => response.destroy());
  });
  await new Promise((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  site = { url: `http://127.0.0.1:${proxy.address().port}` };
});

after(async () => {
  proxy.closeAllConnections();
  proxy.close();
  await server.end();
  await close();
});

test("the page asks for a key, sends it, keeps it as long as the tab, and forgets it", async () => {
  const page = await open(site, { listed: false, expected });
  await page.locator("#key-dialog[open]").waitFor();
  assert.equal(await page.textContent("#connection-text"), "Refused");
  await page.fill("#key", "wrong");
  await page.keyboard.press("Enter");
  await eventually(() => page.textContent("#key-dialog .problem"), "This key is not known here.");
  await page.fill("#key", "reader");
  await page.keyboard.press("Enter");
  await eventually(() => paths(page), ["other/b", "team/a"]);
  assert.equal(seen.at(-1), "Bearer reader");
  assert.ok(await page.locator("#notice").isHidden());
  await page.reload();
  await eventually(() => paths(page), ["other/b", "team/a"]);
  assert.ok(!page.url().includes("reader"));
  assert.deepEqual(await page.evaluate(() => [Object.values(sessionStorage), Object.values(localStorage), document.cookie]), [["reader"], [], ""]);
  assert.ok(!(await page.content()).includes("reader"));
  await page.click("#key-button");
  await page.click("#key-dialog .forget");
  await page.locator("#key-dialog[open]").waitFor();
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);
  await eventually(() => paths(page), []);
  await finish(page);
});

test("the path that an address names is opened once the key is given, and Below written", async () => {
  const page = await open(site, { address: "#/team/a", listed: false, expected });
  await page.fill("#key", "wrong");
  await page.keyboard.press("Enter");
  await eventually(() => page.textContent("#key-dialog .problem"), "This key is not known here.");
  await page.fill("#key", "team");
  await page.keyboard.press("Enter");
  await eventually(async () => (await page.textContent("#notice")).startsWith("This key may read below /team only."), true);
  await page.fill("#prefix", "/team");
  await page.keyboard.press("Enter");
  await eventually(() => page.locator("#details .card h3 .owner").allTextContents(), ["one"]);
  assert.match(page.url(), /\/ui\/\?below=%2Fteam#\/team\/a$/);
  await finish(page);
});

test("a force that is not allowed tells the server's sentence", async () => {
  const page = await open(site, { listed: false, expected });
  await page.fill("#key", "reader");
  await page.keyboard.press("Enter");
  await row(page, "team/a").click();
  await page.locator("#details .danger").click();
  await page.fill("#reason", "test");
  await page.keyboard.press("Enter");
  await eventually(() => page.textContent("#force .problem"), "You may not end this lock. The key reader may not force below /team.");
  await page.locator("#force .cancel").click();
  assert.deepEqual(await paths(page), ["other/b", "team/a"]);
  await finish(page);
});

test("a key for a part of the tree is told so, and works below it", async () => {
  const page = await open(site, { listed: false, expected });
  await page.fill("#key", "team");
  await page.keyboard.press("Enter");
  await eventually(async () => (await page.textContent("#notice")).startsWith("This key may read below /team only."), true);
  assert.ok((await page.textContent("#notice")).includes("Below"));
  await page.fill("#prefix", "/team");
  await page.keyboard.press("Enter");
  await eventually(() => paths(page), ["team/a"]);
  assert.ok(await page.locator("#notice").isHidden());
  await finish(page);
});
