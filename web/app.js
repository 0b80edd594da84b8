// Moonwatch's dashboard. Asks for /app/live.json every second and a half and changes only what
// changed. Names come from strangers: they are only ever set through textContent.
"use strict";

const POLL_MS = 1500;
const TIMEOUT_MS = 8000;
const RETRY_MAX_MS = 15000;
const SEARCH_DELAY_MS = 250;
const MOVED = 0.0005; // smallest change of a score that is shown as a move

const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

const view = { status: "", search: "", asked: 0, failures: 0, timer: 0, received: 0, live: null };
const rows = new Map(); // token id → { element, cells, score, age, received, target }

// ---- numbers for people ----

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

function money(value) {
  if (value == null) return "–";
  const size = Math.abs(value);
  if (size >= 1e9) return "$" + (value / 1e9).toFixed(2) + "B";
  if (size >= 1e6) return "$" + (value / 1e6).toFixed(2) + "M";
  if (size >= 1e3) return "$" + (value / 1e3).toFixed(1) + "k";
  return "$" + value.toFixed(0);
}

// Small prices as traders write them: $0.0₅4108.
function price(value) {
  if (value == null) return "–";
  if (value === 0) return "$0";
  if (value >= 1000) return "$" + whole.format(value);
  if (value >= 0.01) return "$" + value.toPrecision(4);
  const zeros = -Math.floor(Math.log10(value)) - 1;
  const digits = String(Math.round(value * 10 ** (zeros + 4)));
  if (zeros < 4) return "$0." + "0".repeat(zeros) + digits;
  const low = [...String(zeros)].map((d) => "₀₁₂₃₄₅₆₇₈₉"[d]).join("");
  return "$0.0" + low + digits;
}

function percent(fraction, digits = 1) {
  if (fraction == null) return "–";
  const value = fraction * 100;
  return (value > 0 ? "+" : value < 0 ? "−" : "") + Math.abs(value).toFixed(digits) + " %";
}

function seconds(value) {
  if (value == null) return "–";
  if (value < 60) return value.toFixed(value < 10 ? 1 : 0) + " s";
  if (value < 3600) return Math.floor(value / 60) + " min";
  if (value < 172800) return Math.floor(value / 3600) + " h";
  return Math.floor(value / 86400) + " d";
}

// ---- writing only what changed ----

function text(element, value) {
  if (element.textContent !== value) element.textContent = value;
}

function mark(element, name, value) {
  if (value == null) element.removeAttribute(name);
  else if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

function property(element, name, value) {
  if (element.style.getPropertyValue(name) !== value) element.style.setProperty(name, value);
}

// ---- the header ----

function setState(id, level, title) {
  const element = document.getElementById(id);
  mark(element, "data-level", level);
  mark(element, "title", title || null);
}

// The feed's message is its last failure, which may be long over: the answers tell how it is now.
function showFeed(live) {
  const now = Date.parse(live.now);
  const groups = Object.values(live.groups);
  const last = Math.max(0, ...groups.map((g) => Date.parse(g.last_refresh_at) || 0));
  const target = Math.min(...groups.filter((g) => g.tokens > 0 && g.target_s > 0).map((g) => g.target_s));
  const isPaused = Object.values(live.budgets).some((b) => Date.parse(b.paused_until) > now);
  const failure = live.feed.message ? ` Last failure: ${live.feed.message}` : "";
  if (!live.scheduler_enabled) setState("state-feed", "warn", "The scheduler is off.");
  else if (last === 0) setState("state-feed", Number.isFinite(target) ? "warn" : null, "No answer yet." + failure);
  else if (now - last > Math.max(30, 3 * target) * 1000) setState("state-feed", "bad", `No answer for ${seconds((now - last) / 1000)}.` + failure);
  else if (isPaused) setState("state-feed", "warn", "Resting after a refusal." + failure);
  else setState("state-feed", "good", "Answers come in." + failure);
}

// A busy machine is no trouble while the engine keeps up.
function loadLevel(load) {
  if (load.level == null) return null;
  if (load.keeps_up && load.scale === 1) return "good";
  return load.level === "minimal" ? "bad" : "warn";
}

function showStates(live) {
  showFeed(live);
  setState("state-load", loadLevel(live.load), live.load.why);
  setState("state-source", live.source.live ? "good" : live.source.live === false ? "warn" : null, live.source.message);
  setState("state-store", live.store.ok ? "good" : live.store.ok === false ? "bad" : null, live.store.message);
}

function showNotice(message) {
  const notice = $("#notice");
  notice.hidden = !message;
  text(notice, message || "");
}

function shareLevel(share) {
  return share == null ? null : share >= 0.99 ? "good" : share >= 0.9 ? "warn" : "bad";
}

function showGroup(name, group) {
  const card = $(`.card[data-group="${name}"]`);
  const share = $('[data-f="share"]', card);
  text($('[data-f="tokens"]', card), whole.format(group.tokens));
  text(share, group.share_on_time == null ? "–" : (group.share_on_time * 100).toFixed(1) + " %");
  mark(share, "data-level", name === "archived" ? null : shareLevel(group.share_on_time));
  const ages = group.age_s;
  let line = ages.p50 == null ? "no ages yet" : `age ${seconds(ages.p50)}, worst ${seconds(ages.max)}, target ${seconds(group.target_s)}`;
  if (group.deferred > 0) line += `, ${whole.format(group.deferred)} deferred`;
  text($('[data-f="ages"]', card), line);
  mark($('[data-f="ages"]', card).parentElement, "title", line);
}

function showBudget(name, budget) {
  const row = $(`.budget[data-kind="${name}"]`);
  const allowed = budget.allowed_per_minute || 0;
  property(row, "--used", allowed > 0 ? Math.min(1, budget.used_last_minute / allowed).toFixed(3) : "0");
  text($("em", row), `${whole.format(budget.used_last_minute)} of ${budget.allowed_per_minute == null ? "–" : whole.format(allowed)}`);
  mark(row, "data-level", budget.deferred > 0 ? "warn" : null);
  mark(row, "title", budget.latency_ms > 0 ? `${budget.latency_ms.toFixed(0)} ms an answer, ${budget.in_flight} under way` : null);
}

function showHead(live) {
  text($("#env"), live.env);
  showStates(live);
  showNotice(live.not_ready.join("; "));
  for (const [name, group] of Object.entries(live.groups)) showGroup(name, group);
  for (const [name, budget] of Object.entries(live.budgets)) showBudget(name, budget);
  for (const [name, count] of Object.entries(live.statuses)) text($(`[data-count="${name}"]`), whole.format(count));
}

// ---- the table ----

// What a full bar stands for: components beyond it are rare.
const FULL = [2, 4, 1, 1];

function makeRow() {
  const element = $("#row").content.firstElementChild.cloneNode(true);
  const cell = (name) => $("." + name, element);
  return {
    element,
    rank: cell("rank"), link: $(".token a", element), symbol: $(".token b", element),
    name: $(".token span", element), score: cell("score"), bars: $$(".parts u", element),
    parts: cell("parts"), status: cell("status"), price: cell("price"), d5: cell("d5"),
    d15: cell("m15"), liquidity: cell("liq"), volume: cell("vol"), dex: cell("dex"),
    pools: cell("pools"), age: $(".age span", element),
    lastScore: null, ageSeconds: null, target: 15,
  };
}

function showScore(row, score) {
  if (row.lastScore != null && score != null && Math.abs(score - row.lastScore) >= MOVED) {
    row.score.removeAttribute("data-moved");
    void row.score.offsetWidth; // restarts the animation
    row.score.setAttribute("data-moved", score > row.lastScore ? "up" : "down");
  }
  row.lastScore = score;
  text(row.score, score == null ? "–" : score.toFixed(3));
}

function showParts(row, components) {
  row.bars.forEach((bar, i) => {
    const value = components ? components[i] || 0 : 0;
    property(bar, "--part", Math.min(1, Math.abs(value) / FULL[i]).toFixed(3));
    if (i === 3) mark(bar, "data-sign", value < 0 ? "down" : "up");
  });
  mark(row.parts, "title", components
    ? `acceleration ${(components[0] || 0).toFixed(2)}, volume ${(components[1] || 0).toFixed(2)}, youth ${(components[2] || 0).toFixed(2)}, order flow ${(components[3] || 0).toFixed(2)}`
    : "no data yet");
}

function showChange(cell, fraction) {
  text(cell, percent(fraction));
  cell.classList.toggle("rise", fraction > 0);
  cell.classList.toggle("fall", fraction < 0);
}

function shorten(mint) {
  return mint.slice(0, 4) + "…" + mint.slice(-4);
}

function showToken(row, token, rank, live) {
  text(row.rank, String(rank));
  text(row.symbol, token.symbol || shorten(token.mint_address));
  text(row.name, token.name && token.name !== token.symbol ? token.name : "");
  mark(row.link, "href", "https://solscan.io/token/" + encodeURIComponent(token.mint_address));
  mark(row.link, "title", `${token.name || "no name yet"}\n${token.mint_address}`);
  showScore(row, token.score);
  showParts(row, token.components);
  text(row.status.firstElementChild, token.status);
  mark(row.status, "data-status", token.status);
  text(row.price, price(token.price_usd));
  showChange(row.d5, token.delta_p_5m);
  showChange(row.d15, token.delta_p_15m);
  text(row.liquidity, money(token.liquidity_usd));
  text(row.volume, money(token.volume_5m_usd));
  text(row.dex, token.dex || "–");
  text(row.pools, String(token.pools));
  row.ageSeconds = token.age_s;
  const group = live.groups[token.group];
  row.target = group && group.target_s > 0 ? group.target_s : 45;
}

function showRows(live) {
  const body = $("#rows");
  const seen = new Set();
  let before = null;
  live.tokens.forEach((token, i) => {
    let row = rows.get(token.id);
    if (!row) rows.set(token.id, (row = makeRow()));
    showToken(row, token, i + 1, live);
    const place = before ? before.nextElementSibling : body.firstElementChild;
    if (place !== row.element) body.insertBefore(row.element, place);
    before = row.element;
    seen.add(token.id);
  });
  for (const [id, row] of rows) {
    if (seen.has(id)) continue;
    row.element.remove();
    rows.delete(id);
  }
}

// Green while within the target, then through amber to red at three times it.
function ageColour(age, target) {
  const late = age / target;
  return late <= 1.1 ? "var(--good)" : late <= 2 ? "var(--warn)" : "var(--bad)";
}

function tickAges() {
  const passed = (performance.now() - view.received) / 1000;
  for (const row of rows.values()) {
    if (row.ageSeconds == null) {
      text(row.age, "–");
      property(row.age, "--age", "var(--quiet)");
      continue;
    }
    const age = row.ageSeconds + passed;
    text(row.age, age < 60 ? age.toFixed(0) + " s" : seconds(age));
    property(row.age, "--age", ageColour(age, row.target));
  }
}

// ---- states of the page ----

function blank(state, title, explanation) {
  mark(document.body, "data-state", state);
  text($(".blank-title"), title);
  text($(".blank-text"), explanation);
}

function showShown(live) {
  const count = live.tokens.length;
  if (view.search) text($("#shown"), `${count} found among the best ${whole.format(live.searched)} of ${whole.format(live.total)}`);
  else text($("#shown"), `The best ${whole.format(count)} of ${whole.format(live.total)} tokens. Moonwatch ${live.version}`);
}

function showLive(live) {
  view.live = live;
  view.received = performance.now();
  showHead(live);
  showRows(live);
  showShown(live);
  tickAges();
  if (live.tokens.length > 0) blank("ready", "", "");
  else if (view.search) blank("empty", "Nothing found", "No name, symbol or mint like that among the tokens searched.");
  else blank("empty", "No tokens here yet", live.source.live ? "New ones appear as they graduate, about fifty an hour." : live.source.message || "The source of new tokens is not connected.");
}

function showLink(level, title) {
  setState("state-link", level, title);
  text($("#state-link b"), level === "good" ? "Live" : "Disconnected");
  document.body.toggleAttribute("data-stale", level !== "good");
}

function showFailure(message) {
  showLink("bad", message);
  if (view.live) showNotice(`No answer from Moonwatch: ${message}. Trying again; what is shown is getting old.`);
  else blank("error", "Moonwatch does not answer", `${message}. Trying again…`);
}

// ---- asking ----

function address() {
  const query = new URLSearchParams({ limit: "100" });
  if (view.status) query.set("status", view.status);
  if (view.search) query.set("search", view.search);
  return "/app/live.json?" + query;
}

async function fetchLive() {
  const response = await fetch(address(), { signal: AbortSignal.timeout(TIMEOUT_MS), cache: "no-store" });
  if (!response.ok) {
    const body = await response.json().catch(() => ({}));
    throw new Error(body.detail || `status ${response.status}`);
  }
  return response.json();
}

async function poll() {
  clearTimeout(view.timer);
  const turn = ++view.asked;
  try {
    const live = await fetchLive();
    if (turn !== view.asked) return; // a newer question is under way
    view.failures = 0;
    showLink("good", "updated every second or two");
    showLive(live);
  } catch (error) {
    if (turn !== view.asked) return;
    view.failures++;
    showFailure(error.name === "TimeoutError" ? "it took too long" : error.message || "no connection");
  }
  const wait = view.failures ? Math.min(RETRY_MAX_MS, POLL_MS * 2 ** Math.min(view.failures, 4)) : POLL_MS;
  if (!document.hidden) view.timer = setTimeout(poll, wait);
}

function choose(button) {
  view.status = button.dataset.status;
  for (const other of $$(".tabs button")) mark(other, "aria-pressed", String(other === button));
  poll();
}

let searchTimer = 0;
function search(event) {
  clearTimeout(searchTimer);
  view.search = event.target.value.trim();
  searchTimer = setTimeout(poll, SEARCH_DELAY_MS);
}

for (const button of $$(".tabs button")) button.addEventListener("click", () => choose(button));
$("#search").addEventListener("input", search);
document.addEventListener("visibilitychange", () => document.hidden || poll());
setInterval(tickAges, 1000);
poll();
