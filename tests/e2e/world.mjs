// What the end-to-end tests share: processes that do not outlive the test, a sandbox, HTTP, waiting,
// a browser, and cases that print TAP.
import { spawn } from "node:child_process";
import * as fs from "node:fs";
import { createRequire } from "node:module";
import * as os from "node:os";
import * as path from "node:path";

// npm's packages are the dashboard's.
const require = createRequire(new URL("../../web/package.json", import.meta.url));
const { chromium } = require("playwright-core");
const axePath = require.resolve("axe-core/axe.min.js");

const WAIT_MS = 20_000; // generous: events come long before
const STEP_MS = 25;
const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";

const [moonwatch, market] = process.argv.slice(2);
export const sandbox = fs.mkdtempSync(path.join(os.tmpdir(), "moonwatch-e2e-"));
const processes = [];

export function say(text) {
  process.stdout.write(`# ${text.replaceAll("\n", "\n# ")}\n`);
}

export function expect(isTrue, text) {
  if (!isTrue) throw new Error(text);
}

export function expectEqual(value, wanted, text) {
  expect(value === wanted, `${text}: ${JSON.stringify(value)}, not ${JSON.stringify(wanted)}`);
}

/** Asks until the answer is truthy, and returns it. */
export async function until(text, ask, ms = WAIT_MS) {
  const end = Date.now() + ms;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (Date.now() > end) throw new Error(`did not come true within ${ms / 1000} s: ${text}`);
    await new Promise((resolve) => setTimeout(resolve, STEP_MS));
  }
}

// ---- processes ----

function start(name, program, args, environment = {}) {
  const log = path.join(sandbox, `${String(processes.length).padStart(2, "0")}-${name}.log`);
  const out = fs.openSync(log, "a");
  const child = spawn(program, args, {
    stdio: ["ignore", out, out],
    env: { ...process.env, ...environment },
  });
  fs.closeSync(out);
  const made = { name, log, child, isOver: false };
  made.over = new Promise((resolve) => {
    child.on("exit", () => {
      made.isOver = true;
      resolve();
    });
  });
  processes.push(made);
  return made;
}

function said(process, pattern) {
  if (process.isOver)
    throw new Error(`${process.name} ended: ${fs.readFileSync(process.log, "utf8")}`);
  return fs.readFileSync(process.log, "utf8").match(pattern);
}

export async function stop(process) {
  if (!process.isOver) process.child.kill("SIGTERM");
  await process.over;
}

export async function startMarket(...options) {
  const made = start("market", market, ["--port", "0", "--control-port", "0", ...options]);
  const match = await until("the market listens", () =>
    said(made, /listening on http:\/\/127\.0\.0\.1:(\d+) .*control on http:\/\/127\.0\.0\.1:(\d+)/),
  );
  return { ...made, port: Number(match[1]), control: Number(match[2]) };
}

/** A daemon on a free port, or on `port`; without a market it has no source and fetches nothing. */
export async function startDaemon({
  market,
  database = "moonwatch.db",
  port = 0,
  set = {},
  environment,
}) {
  const args = ["run", "--db", `sqlite:${path.join(sandbox, database)}`];
  args.push("--listen", `127.0.0.1:${port}`);
  if (market) {
    args.push("--feed", `http://127.0.0.1:${market.port}`);
    args.push("--source", `ws://127.0.0.1:${market.port}/api/data`);
  } else args.push("--source", "none", "--set", "scheduler_enabled=false");
  for (const [key, value] of Object.entries(set)) args.push("--set", `${key}=${value}`);
  const made = start("daemon", moonwatch, args, environment);
  const match = await until("the daemon listens", () =>
    said(made, /listening["\s].*?port["=:]+(\d+)/),
  );
  const url = `http://127.0.0.1:${match[1]}`;
  return Object.assign(made, { port: Number(match[1]), url });
}

export async function get(daemon, where) {
  const response = await fetch(daemon.url + where);
  expect(response.ok, `GET ${where}: ${response.status}`);
  return response.json();
}

export async function call(daemon, method, where, body, type = "application/json") {
  const response = await fetch(daemon.url + where, {
    method,
    headers: { "Content-Type": type },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
  expect(response.ok, `${method} ${where}: ${response.status} ${await response.clone().text()}`);
  return response.json();
}

export async function pidOf(daemon, name) {
  const { processes: all } = await get(daemon, "/health/supervisor");
  return all.find((process) => process.name === name)?.pid;
}

const ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/** An address, 32 bytes in base 58: 44 digits that begin with an A are always that. */
export function mintOf(number) {
  let digits = "";
  for (let rest = number; digits.length < 8; rest = Math.floor(rest / 58)) {
    digits = ALPHABET[rest % 58] + digits;
  }
  return `A${"m".repeat(35)}${digits}`;
}

// ---- the browser ----

let browser;

async function theBrowser() {
  browser ??= await chromium.launch({
    executablePath: CHROMIUM,
    args: ["--no-sandbox", "--enable-precise-memory-info"],
  });
  return browser;
}

/** A page that notes what goes wrong in it: `page.wrongs`. */
export async function openPage(options = {}) {
  const { width = 1440, height = 900, ...rest } = options;
  const context = await (await theBrowser()).newContext({
    viewport: { width, height },
    colorScheme: "dark",
    locale: "en",
    reducedMotion: "reduce",
    ...rest,
  });
  const page = await context.newPage();
  page.setDefaultTimeout(WAIT_MS);
  page.wrongs = [];
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") {
      page.wrongs.push(`${message.text()} (${message.location().url})`);
    }
  });
  page.on("pageerror", (error) => page.wrongs.push(String(error.stack)));
  page.on("dialog", (dialog) => {
    page.wrongs.push(`a dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  return page;
}

export function expectNoWrongs(page) {
  expect(page.wrongs.length === 0, `console:\n${page.wrongs.join("\n")}`);
}

/** What axe-core calls serious or critical; `rules` are all of its rules. */
export async function expectAccessible(page, what, rules) {
  const hasAxe = await page.evaluate(() => "axe" in window);
  // Not as a script of the page, whose policy forbids that.
  if (!hasAxe) await page.evaluate(fs.readFileSync(axePath, "utf8"));
  const violations = await page.evaluate(async (runOnly) => {
    const options = { resultTypes: ["violations"], ...(runOnly ? { runOnly } : {}) };
    const result = await window.axe.run(document, options);
    return result.violations
      .filter(({ impact }) => impact === "serious" || impact === "critical")
      .map(
        ({ id, nodes }) =>
          `${id}: ${nodes
            .slice(0, 3)
            .map((node) => `${node.html.slice(0, 160)} ${node.any[0]?.message ?? ""}`)
            .join(" | ")}`,
      );
  }, rules);
  expect(violations.length === 0, `${what}:\n${violations.join("\n")}`);
}

// ---- cases ----

const cases = [];

export function test(name, body) {
  cases.push({ name, body });
}

async function end() {
  await browser?.close().catch(() => {});
  for (const { child, isOver } of processes) if (!isOver) child.kill("SIGKILL");
  await Promise.all(processes.map((process) => process.over));
  if (!process.env.E2E_KEEP) fs.rmSync(sandbox, { recursive: true, force: true });
}

function showLogs() {
  for (const { name, log } of processes) {
    const lines = fs.readFileSync(log, "utf8").trimEnd().split("\n");
    say(`the end of ${name}'s log:\n${lines.slice(-8).join("\n")}`);
  }
}

async function run(number, { name, body }) {
  const before = Date.now();
  try {
    await body();
    console.log(`ok ${number} - ${name}`);
    return true;
  } catch (error) {
    say(String(error.stack));
    console.log(`not ok ${number} - ${name}`);
    return false;
  } finally {
    say(`${((Date.now() - before) / 1000).toFixed(1)} s`);
    const open = browser?.contexts() ?? [];
    await Promise.all(open.map((context) => context.close()));
  }
}

/** Runs the cases in order; E2E_ONLY chooses by a part of the name. */
export async function runAll(prepare) {
  const chosen = cases.filter(({ name }) => name.includes(process.env.E2E_ONLY ?? ""));
  console.log(`1..${chosen.length}`);
  if (!fs.existsSync(CHROMIUM)) {
    chosen.forEach(({ name }, i) => {
      console.log(`ok ${i + 1} - ${name} # SKIP no ${CHROMIUM}`);
    });
    return;
  }
  let isGood = true;
  try {
    await prepare();
    for (const [i, one] of chosen.entries()) isGood = (await run(i + 1, one)) && isGood;
    if (!isGood) showLogs();
  } finally {
    await end();
  }
  process.exitCode = isGood ? 0 : 1;
}
