// Requests that must be refused, made from an operation and a seeded chance.
import { bodyOf, targetOf } from "./document.mjs";

export function chance(seed) {
  let state = seed >>> 0; // mulberry32
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const below = (n) => Math.floor(next() * n);
  const pick = (list) => list[below(list.length)];
  const text = (length, alphabet = "abcXYZ019 <>'\"&;%") =>
    Array.from({ length }, () => alphabet[below(alphabet.length)]).join("");
  return { below, pick, text };
}

// No escape of a character, and what must not be in a path or a query.
const BROKEN = [
  "%",
  "%z",
  "%zz",
  "%0",
  "%00",
  "%ff",
  "%c0%af",
  "%ed%a0%80",
  "a%00b",
  "%0g",
  "%f8%88%80%80%80",
];
const NO_NUMBERS = [
  "x",
  "nan",
  "inf",
  "1e999",
  "--1",
  "1,5",
  "0x1g",
  "1 2",
  "٣",
  "1e",
  "true",
  "[]",
  "{}",
  "null",
];

function badValue(random, parameter) {
  const schema = parameter.schema;
  if (random.below(4) === 0) return random.pick(BROKEN);
  const encoded = (value) => encodeURIComponent(value);
  if (schema.type === "integer")
    return encoded(
      random.pick([
        ...NO_NUMBERS,
        "1.5",
        "9".repeat(1 + random.below(60) + 16),
        String(schema.minimum - 1 - random.below(1000)),
        String(schema.maximum + 2 + random.below(1000) * 4096),
        `${1 + random.below(9)}${random.pick(["x", "_", "e9x"])}`,
      ]),
    );
  if (schema.type === "number")
    return encoded(random.pick([...NO_NUMBERS, `${random.below(99)}..5`]));
  if (schema.format === "date-time")
    return encoded(
      random.pick(
        ["yesterday", "2026", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "1600000000"].concat([
          "2026-01-01",
          "1969-12-31T23:59:59Z",
          "T",
          random.text(12),
          "2026-01-01T25:00:00Z",
        ]),
      ),
    );
  if (schema.enum || schema.items?.enum)
    return encoded(
      `${random.pick(["", "x", "active,,", "no-"])}${random.text(1 + random.below(12), "qzjx-")}`,
    );
  return encoded("x".repeat((schema.maxLength ?? 255) + 1 + random.below(200)));
}

function badQuery(random, operation) {
  const parameters = operation.parameters.filter((one) => one.in === "query");
  if (parameters.length === 0) return null;
  const parameter = random.pick(parameters);
  const { path } = targetOf(operation);
  return {
    method: operation.method,
    target: `${path}?${parameter.name}=${badValue(random, parameter)}`,
  };
}

// No route has so many segments.
function badPath(random, operation) {
  const { path } = targetOf(operation);
  const more = Array.from({ length: 5 }, () =>
    random.pick(["a", "..", "%2e%2e", "%2f", ";", "~", random.pick(BROKEN)]),
  );
  return { method: operation.method, target: `${path}/${more.join("/")}` };
}

function badArgument(random, operation) {
  const argument = operation.parameters.find((one) => one.in === "path");
  if (!argument || operation.pattern.startsWith("/app")) return null;
  const value = random.pick([
    ...BROKEN,
    "x".repeat(128 + random.below(500)),
    `0${encodeURIComponent(random.text(8))}`,
    "So11111111111111111111111111111111111111111111112",
    "-1",
    "0",
    "no_such_thing",
  ]);
  const path = operation.pattern.replace(`{${argument.name}}`, value);
  return { method: operation.method, target: path, ...soundBody(operation) };
}

function soundBody(operation) {
  const body = bodyOf(operation);
  return body === null ? {} : { body: body.text, headers: { "Content-Type": body.contentType } };
}

function badMethod(random, operation, document) {
  const allowed = Object.keys(document.json.paths[operation.pattern]).map((one) =>
    one.toUpperCase(),
  );
  const others = ["PATCH", "POST", "PUT", "DELETE", "PROPFIND", "TRACE"].filter(
    (one) => !allowed.includes(one),
  );
  const { path } = targetOf(operation);
  return { method: random.pick(others), target: path };
}

function badBody(random, operation) {
  const body = bodyOf(operation);
  if (body === null || !body.contentType.endsWith("json")) return null;
  const text = random.pick([
    body.text.slice(0, random.below(body.text.length - 1)),
    random.text(1 + random.below(300)),
    `[${body.text}]`,
    "null",
    "17",
    '"text"',
    "[".repeat(1 + random.below(20000)),
    `{"a":`.repeat(1 + random.below(3000)),
    `${body.text}${body.text}`,
    "{}",
    '{"mint_address":17,"value":[]}',
    '{"mint_address":null,"value":{}}',
    `{"mint_address":"${"1".repeat(45 + random.below(100))}","value":"${"1".repeat(300 + random.below(1000))}"}`,
    '{"mint_address":"0OIl","value":"no number"}',
    `{"value":"1e999","mint_address":"${"A".repeat(43)}\\u0000"}`,
    '{"value":"\\ud800","value":"15","mint_address":"x","mint_address":"x"}',
    " ".repeat(66000 + random.below(9000)),
  ]);
  return { method: operation.method, target: targetOf(operation).path, body: text };
}

function tooLarge(random, operation) {
  const { path } = targetOf(operation);
  if (random.below(2) === 0)
    return {
      method: operation.method,
      target: `${path}?x=${"y".repeat(6200 + random.below(1000))}`,
    };
  return {
    method: operation.method,
    target: path,
    headers: { [`X-${random.text(5, "abc")}`]: "y".repeat(8250 + random.below(400)) },
  };
}

// A page of another origin, or a name that only looks like this machine.
function foreign(random, operation) {
  if (operation.method === "GET") return null;
  const headers = random.pick([
    { Origin: "http://example.org" },
    { Origin: "null" },
    { Origin: "file://" },
    { Host: "example.org" },
    { Host: "127.0.0.1.example.org" },
    { Host: "localhost:x" },
  ]);
  return { method: operation.method, target: targetOf(operation).path, headers };
}

const MAKERS = [
  badQuery,
  badQuery,
  badQuery,
  badPath,
  badArgument,
  badMethod,
  badBody,
  badBody,
  tooLarge,
  foreign,
];

export function* invalidRequests(operation, document, seed, count) {
  const random = chance(seed);
  for (let made = 0; made < count; ) {
    const request = random.pick(MAKERS)(random, operation, document);
    if (request === null) continue;
    made++;
    yield request;
  }
}
