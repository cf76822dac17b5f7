// Chromium, and pages of it that fail their test for whatever the console or the policy says.

import assert from "node:assert/strict";

import { chromium } from "playwright-core";

export const patience = 120_000; // milliseconds; for loaded machines

let browser;

export async function launch() {
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM,
    args: ["--no-sandbox", "--disable-dev-shm-usage"],
  });
}

export const close = () => browser.close();

/** Opens the page and waits for its list. `expected`: messages of the console that are no fault. */
export async function open(server, { address = "", expected = [], listed = true, ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(patience);
  page.faults = [];
  page.requested = [];
  page.on("console", (message) => {
    const text = message.text();
    const isFault = ["error", "warning"].includes(message.type());
    if (isFault && !expected.some((pattern) => pattern.test(text))) page.faults.push(`${text} ${message.location().url}`);
  });
  page.on("pageerror", (error) => page.faults.push(error.stack));
  page.on("dialog", (dialog) => {
    page.faults.push(`a dialog of a script: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on("request", (request) => page.requested.push(request.url()));
  await page.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) =>
      console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
  });
  await page.goto(`${server.url}/ui/${address}`);
  if (listed) await page.waitForFunction(() => document.getElementById("count-held").textContent !== "–");
  return page;
}

/** Every page ends with this. */
export async function finish(page) {
  const { faults, requested } = page;
  const { origin } = new URL(page.url());
  await page.context().close();
  assert.deepEqual(faults, []);
  assert.deepEqual(requested.filter((url) => new URL(url).origin !== origin), []);
}

/** The path cell's text of each row, top to bottom. */
export const paths = (page) => page.locator("#canvas .row .label").allTextContents();

/** The row whose path cell says this. */
export const row = (page, text) =>
  page.locator("#canvas .row").filter({ has: page.locator(".label", { hasText: new RegExp(`^${text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}$`) }) });

export const cell = async (page, path, name) => (await row(page, path).locator(`.${name}`).first().textContent()).trim();

/** Waits until `question()` answers what is expected. */
export async function eventually(question, expected) {
  let answer;
  for (const end = Date.now() + patience; Date.now() < end; ) {
    answer = await question();
    try {
      assert.deepEqual(answer, expected);
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  assert.deepEqual(answer, expected);
}
