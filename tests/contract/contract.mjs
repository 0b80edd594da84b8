// What the API says of itself, held against a live daemon and its market:
//     node contract.mjs MOONWATCH MOONWATCH_MARKET
import assert from "node:assert/strict";
import fs from "node:fs";
import { bodyOf, Document, lint, targetOf } from "./document.mjs";
import { invalidRequests } from "./invalid.mjs";
import { run, test } from "./tap.mjs";
import { SLOWNESS, until, World } from "./world.mjs";

const INVALID_A_ROUTE = 500 / SLOWNESS;
const AT_ONCE = 8;
const WATCHED_MS = 3000; // shapes are looked at for so long while the market runs

const [moonwatch, market] = process.argv.slice(2);
const world = await World.start(moonwatch, market);
let document;
let text;

// `work` for each item, some at a time.
async function each(items, work) {
  const iterator = items[Symbol.iterator]();
  const worker = async () => {
    for (let next = iterator.next(); !next.done; next = iterator.next()) await work(next.value);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

async function assertShape(target, schema) {
  const answer = await world.get(target);
  assert.equal(answer.status, 200, `${target}: ${answer.status} ${answer.text}`);
  assert.equal(answer.headers["content-type"], "application/json", target);
  const complaint = document.complaint(schema, answer.json());
  assert.equal(complaint, null, `${target}: ${complaint}`);
  return answer.json();
}

const both = (target) => [target, target.replace(/(\?|$)/, "/$1")];

test("the document is valid OpenAPI 3.1", async (remark) => {
  const answer = await world.get("/openapi.json");
  assert.equal(answer.status, 200);
  text = answer.text;
  document = new Document(answer.json());
  const complaints = await lint(text);
  assert.deepEqual(complaints, []);
  remark(`${document.operations.length} operations, ${text.length} bytes`);
});

test("every operation says what it answers, and every schema is used", () => {
  for (const operation of document.operations) {
    const codes = Object.keys(operation.responses).filter((code) => /^\d+$/.test(code));
    assert.ok(codes.length > 0, `${operation.method} ${operation.pattern} has no ANSWER`);
  }
  for (const name of Object.keys(document.json.components.schemas))
    assert.ok(text.includes(`"#/components/schemas/${name}"`), `${name} is used nowhere`);
});

test("tokens come, are answered about and scored", async () => {
  await until("tokens with scores", async () => {
    const { items, total } = (await world.get("/tokens?limit=100&min_score=0")).json();
    return total > 100 && items.filter((item) => item.smoothed_components !== null).length > 50;
  });
});

test("an incident is there to be shown", async () => {
  const { processes } = (await world.get("/health/supervisor")).json();
  process.kill(processes.find((one) => one.name === "engine").pid, "SIGKILL");
  await until("the incident", async () => (await world.get("/incidents/1")).status === 200);
  await until("the next engine", async () => (await world.get("/ready")).status === 200);
});

let restarts = 1;

// A restart that was asked for replaces engine and api.
async function nextApi() {
  restarts++;
  await until("the next api", async () => {
    const answer = await world.get("/health/supervisor").catch(() => null);
    const api = answer?.json().processes?.find((one) => one.name === "api");
    return api?.starts === restarts && (await world.get("/ready")).status === 200;
  });
}

// Each with and without a slash at its end. Writes stand in the order of the table: what is paused
// is resumed by the row that follows.
test("every example request gets the documented answer", async () => {
  for (const operation of document.operations) {
    const { path, query } = targetOf(operation);
    const body = bodyOf(operation);
    for (const target of new Set([path + query, path === "/" ? path : `${path}/${query}`])) {
      const answer = await world.ask(operation.method, target, {
        body: body?.text,
        headers: body ? { "Content-Type": body.contentType } : {},
      });
      const where = `${operation.method} ${target}: ${answer.status} ${answer.text.slice(0, 300)}`;
      const documented = operation.responses[answer.status];
      assert.ok(documented, where);
      const [[type, { schema }]] = Object.entries(documented.content);
      assert.equal(answer.headers["content-type"].split(";")[0], type, where);
      if (schema) assert.equal(document.complaint(schema, answer.json()), null, where);
      if (path === "/admin/restart") await nextApi();
    }
  }
});

test("every documented choice is taken", async () => {
  for (const operation of document.operations)
    for (const { name, schema } of operation.parameters)
      for (const choice of schema.enum ?? schema.items?.enum ?? []) {
        const { path, query } = targetOf(operation, { [name]: choice });
        const answer = await world.ask(operation.method, path + query);
        assert.equal(answer.status, 200, `${path}${query}: ${answer.text}`);
      }
});

// What existing clients call.
const FIXED = [
  ["/health", "Alive"],
  ["/version", "Version"],
  ["/tokens", "TokenList"],
  ["/tokens?limit=100&min_score=-1000", "TokenList"],
  ["/tokens?limit=100&sort=score_asc&min_score=-1000", "TokenList"],
  ["/tokens?statuses=active,monitoring,archived&offset=100&limit=100&min_score=-1000", "TokenList"],
  ["/tokens?status=archived", "TokenList"],
  ["/settings", "Settings"],
  ["/settings/defaults", "Settings"],
  ["/settings/min_score", "Setting"],
  ["/settings/weights", "Weights"],
  ["/logs", "LogLines"],
  ["/logs?limit=500", "LogLines"],
  ["/logs/meta", "LogMeta"],
  ["/notarb/pools", "NotarbPools"],
  ["/notarb/markets", "NotarbMarkets"],
  ["/notarb/markets.json", "NotarbMarkets"],
  ["/notarb/file-info", "NotarbFile"],
  ["/health/scheduler", "Scheduler"],
  ["/health/resources", "Resources"],
  ["/health/performance", "Performance"],
  ["/health/priority", "Priority"],
  ["/health/comprehensive", "Comprehensive"],
  ["/health/detailed", "Detailed"],
];

test("the fixed shapes hold while the market runs", async (remark) => {
  let looks = 0;
  for (const end = Date.now() + WATCHED_MS; Date.now() < end; )
    await each(FIXED, async ([target, schema]) => {
      for (const one of both(target)) await assertShape(one, schema);
      looks += 2;
    });
  remark(`${looks} answers`);
});

test("every token has the shapes of tokens", async () => {
  const { items } = (await world.get("/tokens?limit=100&min_score=-1000")).json();
  await each(items, async ({ mint_address: mint }) => {
    for (const target of both(`/tokens/${mint}?history_limit=200`))
      await assertShape(target, "Token");
    for (const target of both(`/tokens/${mint}/pools`)) await assertShape(target, "Pools");
    await assertShape(`/tokens/${mint}/history`, "TokenHistory");
    await assertShape(`/tokens/${mint}/explain`, "Explanation");
    await assertShape(`/tokens/${mint}/life`, "Life");
  });
});

test("a token that was never answered about is full of nulls", async () => {
  const mint = "So11111111111111111111111111111111111111112";
  const added = await world.ask("POST", "/tokens", {
    body: JSON.stringify({ mint_address: mint }),
  });
  assert.equal(added.status, 201);
  assert.equal(document.complaint("TokenAdded", added.json()), null);
  const token = await assertShape(`/tokens/${mint}`, "Token");
  assert.equal(token.score, null);
  assert.equal(token.metrics.L_tot, null);
  assert.equal((await assertShape(`/tokens/${mint}/explain`, "Explanation")).score, null);
});

test("HEAD is answered as GET is, without a body", async () => {
  for (const operation of document.operations.filter(({ method }) => method === "GET")) {
    const { path, query } = targetOf(operation);
    const head = await world.ask("HEAD", path + query);
    assert.ok(operation.responses[head.status], `HEAD ${path}: ${head.status}`);
    assert.equal(head.text, "");
  }
});

test("invalid requests are refused with a reason", async (remark) => {
  const statuses = {};
  for (const [index, operation] of document.operations.entries())
    await each(
      invalidRequests(operation, document, 1000 + index, INVALID_A_ROUTE),
      async (request) => {
        const answer = await world.ask(request.method, request.target, request);
        const where = `${request.method} ${request.target} ${JSON.stringify(request.headers ?? {})} ${request.body?.slice(0, 200)}`;
        assert.ok(
          answer.status >= 400 && answer.status < 500,
          `${answer.status} to ${where}: ${answer.text.slice(0, 200)}`,
        );
        const complaint = document.complaint("Error", answer.json());
        assert.equal(complaint, null, `${where}: ${answer.text}`);
        statuses[answer.status] = (statuses[answer.status] ?? 0) + 1;
      },
    );
  remark(JSON.stringify(statuses));
});

test("nobody died of it", async () => {
  const { processes } = (await world.get("/health/supervisor")).json();
  for (const { name, starts } of processes)
    assert.ok(
      starts <= { supervisor: 1, engine: restarts + 1, api: restarts }[name],
      `${name}: ${starts} starts`,
    );
  assert.equal((await world.get("/incidents")).json().length, 1);
  assert.equal((await world.get("/health")).status, 200);
});

// ---- names from strangers: half of the tokens have one from the start on ----

const hasControls = (text) => /\p{Cc}/u.test(text);
const FORMULA = /^[\s\u00a0]*[=+\-@\t\r]/;

test("hostile names are text everywhere", async () => {
  const shown = [];
  for (const part of [
    "<script>",
    "onerror",
    "cmd|",
    "moc.live",
    "\u{1f680}\u{1f680}",
    "Set-Cookie",
    "{{7*7}}",
  ])
    shown.push(
      await until(`the name ${part}`, async () => {
        const target = `/tokens?limit=100&min_score=-1000&search=${encodeURIComponent(part)}`;
        const { items } = (await world.get(target)).json();
        return items.length > 0 && items;
      }),
    );
  const names = shown[0];
  assert.equal(names[0].name, "<script>alert(1)</script>");
  for (const { mint_address: mint } of shown.flat())
    assert.equal(document.complaint("Token", (await world.get(`/tokens/${mint}`)).json()), null);

  const csv = (await world.get("/tokens.csv")).text;
  const cells = csv
    .split("\r\n")
    .slice(1)
    .flatMap((line) => [...line.matchAll(/"((?:[^"]|"")*)"/g)].map((match) => match[1]));
  assert.ok(cells.some((cell) => cell.includes("cmd|")));
  for (const cell of cells) assert.ok(!FORMULA.test(cell), `a formula: ${cell}`);
  assert.ok(!hasControls(csv.replaceAll("\r\n", "")), "a control character in CSV");

  for (const line of world.daemon.log().trim().split("\n")) {
    assert.doesNotThrow(() => JSON.parse(line), `no log line: ${line.slice(0, 200)}`);
    assert.ok(!hasControls(line));
  }
  await world.ask("POST", "/notarb/export");
  JSON.parse(fs.readFileSync(`${world.folder}/export.json`, "utf8"));
  const markets = (await world.get("/notarb/markets")).json();
  assert.equal(document.complaint("NotarbMarkets", markets), null);
});

test("an answer that is no UTF-8 costs that answer only", async () => {
  await world.control("DELETE", "/fault");
  await world.control("POST", "/fault", JSON.stringify({ fault: "no-utf8", count: 3 }));
  await until(
    "the fault to be over",
    async () => (await world.control("GET", "/fault")).json().length === 0,
  );
  const before = (await world.get("/health/feeds")).json();
  await until("an answer after it", async () => {
    const after = (await world.get("/health/feeds")).json();
    return Object.keys(after.outcomes).some(
      (lane) => after.outcomes[lane].ok > before.outcomes[lane].ok,
    );
  });
});

const status = await run();
if (status !== 0)
  for (const { message, backtrace } of (await world.get("/incidents")).json())
    console.log(`# ${message}\n${backtrace.map((line) => `#   ${line}`).join("\n")}`);
await world.stop();
process.exit(status);
