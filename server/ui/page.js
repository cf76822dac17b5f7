// The page: connects its parts, and keeps the address in step with what is displayed.

import { AccessKey } from "./access_key.js";
import { Announcer } from "./announcer.js";
import { Api, Refused, siteUrl } from "./api.js";
import { Details } from "./details.js";
import { setText } from "./element.js";
import { ForceDialog } from "./force_dialog.js";
import { KeyDialog } from "./key_dialog.js";
import { LockModel } from "./lock_model.js";
import { Mirror } from "./mirror.js";
import { PacedTask } from "./paced_task.js";
import { counted, keptInOrder, readable, readablePath } from "./readable_text.js";
import { SearchFilter } from "./search_filter.js";
import { ServerClock } from "./server_clock.js";
import { TreeGrid } from "./tree_grid.js";
import { rowsOf } from "./tree_rows.js";

const at = (id) => document.getElementById(id);
const hiddenMax = 60_000; // milliseconds
const drawGapOfListing = 200; // milliseconds; pages of the list arrive in quick succession
const restAfterDrawing = 3; // pause after drawing, as a multiple of its duration

const clock = new ServerClock();
const key = new AccessKey();
const api = new Api(key);
const announcer = new Announcer(at("live"));
const collapsed = new Set();
let filter = new SearchFilter();
let isListed = false;
let isWhole = true;
let areWaitersWhole = true;
let prefix = "/";

// Drawing: once per frame for all changes.

let isDrawWanted = false;
let drawNotBefore = 0;

function wantDraw() {
  if (isDrawWanted) return;
  isDrawWanted = true;
  requestAnimationFrame(drawWhenDue);
}

function drawWhenDue() {
  if (performance.now() < drawNotBefore) return requestAnimationFrame(drawWhenDue);
  isDrawWanted = false;
  const began = performance.now();
  draw();
  const now = performance.now();
  const rest = now - began > 4 ? restAfterDrawing * (now - began) : 0;
  drawNotBefore = now + (isListed ? rest : Math.max(rest, drawGapOfListing));
}

function draw() {
  const { rows, matching } = rowsOf(model, filter, collapsed);
  grid.setRows(rows);
  const all = (number, isAll) => number.toLocaleString("en") + (isAll ? "" : "+");
  setText(at("count-held"), isListed ? all(model.locks.size - model.cooling, isWhole) : "–");
  setText(at("count-waiting"), isListed ? all(model.waiters.length, areWaitersWhole) : "–");
  setText(at("count-cooling"), isListed ? all(model.cooling, isWhole) : "–");
  showEmpty(rows.length);
  force.review((lock) => model.locks.has(`${lock.path} ${lock.fence}`));
  return { rows, matching };
}

function showEmpty(rows) {
  const isEmpty = rows === 0;
  at("empty").hidden = !isEmpty;
  if (!isEmpty) return;
  const isSearch = filter.isActive && model.locks.size + model.waiters.length > 0;
  const isAll = isWhole && areWaitersWhole;
  const isReading = (!isListed || (!isWhole && !isSearch)) && at("connection").dataset.state !== "refused";
  setText(
    at("empty-text"),
    isReading ? "Reading the list…"
      : !isListed ? "There is nothing to show."
      : isSearch && isAll ? "Nothing matches this search."
      : isSearch ? "None of the listed locks matches this search. Enter a path in Below to see one part of the tree in full."
      : prefix === "/" ? "Nothing is held."
      : `Nothing is held at or below ${keptInOrder(readablePath(prefix))}.`,
  );
  const isIdle = isListed && isWhole && !isSearch;
  at("empty-hint").hidden = at("empty-command").hidden = !isIdle;
  at("empty-clear").hidden = !isSearch;
  const url = siteUrl(`v1/locks${prefix === "/" ? "" : prefix}/build/agent?owner=me&ttl=60s`);
  const withKey = key.read() ? " -H 'Authorization: Bearer <key>'" : "";
  setText(at("empty-command"), `curl${withKey} -X POST '${url.href.replaceAll("'", "%27")}'`);
}

// Data from the server.

const model = new LockModel(clock, wantDraw);
const detailsTask = new PacedTask(() => details.refresh(), 300);
let lostAt = 0;

function showConnection(state, error) {
  const box = at("connection");
  if (state === "reconnecting" && box.dataset.state !== "reconnecting") lostAt = Date.now();
  const wasLost = box.dataset.state === "reconnecting";
  box.dataset.state = state;
  box.title = error?.message ?? "";
  const text = { connecting: "Connecting…", live: "Live", reconnecting: "Reconnecting…", paused: "Paused", refused: "Refused" };
  setText(at("connection-text"), text[state]);
  document.querySelector(".tree").toggleAttribute("data-stale", state === "reconnecting" || state === "refused");
  if (state === "reconnecting" && !wasLost) announcer.say("The connection to the server was lost. Trying again.");
  if (state === "live" && wasLost) announcer.say("The connection is back.");
  if (state === "live" && ["refused", "busy"].includes(at("notice").dataset.kind)) at("notice").hidden = true;
  if (state === "reconnecting" && error instanceof Refused) notice("busy", error.message);
  if (state !== "refused") return;
  at("key-button").hidden = false;
  if (error.status === 401) {
    notice("refused", `${error.message} Press Key to enter one.`);
    keyDialog.open(key.read() ? error.message : "");
  } else {
    const hint = error.status === 403 && prefix === "/" ? " If your key is for only a part of the tree, enter that path in Below." : "";
    notice("refused", error.message + hint);
  }
  wantDraw();
}

function notice(kind, text) {
  at("notice").dataset.kind = kind;
  setText(at("notice-text"), text);
  at("notice").hidden = false;
  announcer.say(text);
}

const mirror = new Mirror({
  api,
  model,
  clock,
  report: {
    connection: showConnection,
    listed: ({ isWhole: whole, isAnew }) => {
      const isCut = isWhole && !whole;
      isListed = true;
      isWhole = whole;
      if (isAnew) {
        const away = lostAt ? ` after ${counted(Math.max(1, Math.round((Date.now() - lostAt) / 1000)), "second")}` : "";
        notice("anew", `The server was restarted, or unreachable for too long. The list was read again${away}.`);
        detailsTask.ask();
      }
      if (whole && at("notice").dataset.kind === "part") at("notice").hidden = true;
      if (isCut || (isAnew && !whole)) notice("part", `These are the ${model.locks.size.toLocaleString("en")} oldest locks. Enter a path in Below to see one part of the tree in full.`);
      at("key-button").hidden = key.read() === "";
      wantDraw();
    },
    waiters: (whole) => {
      areWaitersWhole = whole;
      if (details.isOpen) detailsTask.ask();
    },
    events: (events) => {
      if (!details.isOpen) return;
      const near = ({ path }) => isNear(path, details.path);
      if (events.some(near)) detailsTask.ask();
    },
  },
});

/** Whether one of the two is at or below the other. */
function isNear(a, b) {
  const below = (path, top) => top === "/" || path === top || path.startsWith(`${top}/`);
  return below(a, b) || below(b, a);
}

/** `path`: the path whose details to open. The address may have named it before a key was given or Below
 * was changed. */
function start(path = details.path) {
  isListed = false;
  isWhole = areWaitersWhole = true;
  at("notice").hidden = true;
  mirror.start(prefix);
  if (path) openDetails(path, { moveFocus: false });
  else closeDetails();
}

// Actions of the user.

const grid = new TreeGrid(at("grid"), at("canvas"), {
  open: (path) => openDetails(path, { moveFocus: true }),
  toggle: (path, isOpen) => {
    if (isOpen) collapsed.delete(path);
    else collapsed.add(path);
    draw();
  },
  force: (path) => {
    const locks = model.tree.find(path)?.locks ?? [];
    if (locks.length !== 1) return openDetails(path, { moveFocus: true });
    const [lock] = locks;
    askToForce({
      path: lock.path,
      owner: lock.owner,
      mode: lock.mode,
      state: lock.state,
      fence: lock.fence,
      meta: lock.meta,
      held_ms: Date.now() - lock.since,
      expires_in_ms: lock.expiresAt === null ? null : Math.max(0, lock.expiresAt - Date.now()),
    });
  },
  leave: () => details.isOpen && (closeDetails(), true),
});

const details = new Details(at("details"), mirror, clock, {
  force: (lock) => askToForce(lock),
  select: (path) => openDetails(path, { moveFocus: true }),
  close: () => {
    closeDetails();
    grid.focus();
  },
});

const force = new ForceDialog(at("force"), api, clock, {
  ended: (lock) => {
    announcer.say(`The lock of ${readable(lock.owner)} on ${readablePath(lock.path)} was ended.`);
    detailsTask.ask();
  },
});

const keyDialog = new KeyDialog(at("key-dialog"), key, () => {
  at("key-button").hidden = key.read() === "";
  start();
});

function askToForce(lock) {
  force.open(lock, model.tree.find(lock.path)?.waiters.length ?? 0);
}

async function openDetails(path, { moveFocus }) {
  grid.select(path);
  at("grid").setAttribute("data-open", "");
  const opening = details.open(path);
  writeAddress();
  if (moveFocus) at("details").querySelector("h2").focus({ preventScroll: true });
  await opening;
}

function closeDetails() {
  details.close();
  at("grid").removeAttribute("data-open");
  writeAddress();
}

// The address: ?below=, ?search=, ?show=, and after the # the path whose details are open. Each of these
// paths is an entry in the history, so that Back does not leave the page.

function writeAddress() {
  const url = new URL(location.href);
  const parts = { below: prefix === "/" ? "" : prefix, search: at("search").value, show: at("state").value };
  if (parts.show === "all") parts.show = "";
  url.search = "";
  for (const [name, value] of Object.entries(parts)) if (value) url.searchParams.set(name, value);
  url.hash = details.path;
  // Relative, because location omits a name and password in the address, which must not change.
  const relative = url.pathname + url.search + url.hash;
  const wasOpen = pathInAddress() !== "";
  if (url.hash !== location.hash && (details.isOpen || wasOpen)) history.pushState(null, "", relative);
  else if (url.href !== location.href) history.replaceState(null, "", relative);
}

const pathInAddress = () => (location.hash.startsWith("#/") ? location.hash.slice(1) : "");

function readAddress() {
  const parameters = new URLSearchParams(location.search);
  prefix = parameters.get("below") || "/";
  at("prefix").value = prefix === "/" ? "" : prefix;
  at("search").value = parameters.get("search") ?? "";
  at("state").value = parameters.get("show") ?? "all";
  if (at("state").selectedIndex < 0) at("state").value = "all";
  filter = new SearchFilter(at("search").value, at("state").value);
}

function search() {
  filter = new SearchFilter(at("search").value, at("state").value);
  const { matching } = draw();
  if (filter.isActive) announcer.say(`${counted(matching, "path matches", "paths match")} the search.`);
  writeAddress();
}

at("search").addEventListener("input", search);
at("state").addEventListener("change", search);
at("search").addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    at("search").value = "";
    search();
    grid.focus();
    event.preventDefault();
  } else if (event.key === "ArrowDown") {
    grid.focus();
    event.preventDefault();
  }
});
at("empty-clear").addEventListener("click", () => {
  at("search").value = "";
  at("state").value = "all";
  search();
  at("search").focus();
});
at("prefix").addEventListener("change", () => {
  const path = `/${at("prefix").value.trim()}`.replace(/\/+/g, "/").replace(/(.)\/$/, "$1");
  if (path === prefix) return;
  prefix = path;
  at("prefix").value = path === "/" ? "" : path;
  start(isNear(details.path, path) ? details.path : "");
});
at("tools").addEventListener("submit", (event) => {
  event.preventDefault();
  if (document.activeElement === at("prefix")) at("prefix").dispatchEvent(new Event("change"));
});
at("expand").addEventListener("click", () => (collapsed.clear(), draw()));
at("collapse").addEventListener("click", () => {
  for (const lock of model.locks.values()) {
    for (let node = model.tree.find(lock.path)?.parent; node?.parent; node = node.parent) {
      if (collapsed.has(node.path)) break;
      collapsed.add(node.path);
    }
  }
  draw();
});
at("notice-close").addEventListener("click", () => (at("notice").hidden = true));
at("key-button").addEventListener("click", () => keyDialog.open());
at("help-button").addEventListener("click", () => at("help").showModal());
at("help").querySelector("form").addEventListener("submit", (event) => {
  event.preventDefault();
  at("help").close();
});
at("skip").addEventListener("click", (event) => {
  event.preventDefault();
  grid.focus();
});
window.addEventListener("popstate", () => {
  const path = pathInAddress();
  if (path && path !== details.path) openDetails(path, { moveFocus: false });
  else if (!path && details.isOpen) closeDetails();
  else writeAddress(); // a search made meanwhile stays
});
document.addEventListener("keydown", (event) => {
  const isTyping = event.target.closest?.("input, select, dialog");
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "/") {
    event.preventDefault();
    at("search").focus();
    at("search").select();
  } else if (event.key === "?") {
    at("help").showModal();
  }
});

// A browser allows six connections to a server for all of its tabs: a tab in the background closes its
// own.
let pauseTimer = 0;
document.addEventListener("visibilitychange", () => {
  clearTimeout(pauseTimer);
  const { state } = at("connection").dataset;
  if (document.hidden && state !== "refused") {
    pauseTimer = setTimeout(() => mirror.pause(), hiddenMax);
  } else if (!document.hidden && state === "paused") {
    mirror.resume();
    detailsTask.ask();
  }
});

setInterval(() => {
  if (document.hidden) return;
  grid.tick();
  details.tick();
  mirror.refresh(grid.shownLocks());
}, 1000);
setInterval(() => {
  if (!document.hidden && details.isOpen) detailsTask.ask();
}, 5000);

readAddress();
start(pathInAddress());
