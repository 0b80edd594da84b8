// A market and a daemon on free ports, in a folder of their own, and requests to them.
import { spawn } from "node:child_process";
import fs from "node:fs";
import http from "node:http";
import net from "node:net";
import os from "node:os";
import path from "node:path";

export const SLOWNESS = Number(process.env.TEST_SLOWNESS ?? 1);
const START_MS = 30000 * SLOWNESS;
const REQUEST_MS = 20000 * SLOWNESS;
const POLL_MS = 50;

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Until `look` gives something; its last value, or an error that says what was waited for.
export async function until(what, look, ms = START_MS) {
  const end = Date.now() + ms;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > end) throw new Error(`waited ${ms} ms for ${what}`);
    await sleep(POLL_MS);
  }
}

function start(program, args, log) {
  const out = fs.openSync(log, "w");
  const child = spawn(program, args, { stdio: ["ignore", out, out] });
  fs.closeSync(out);
  child.log = () => fs.readFileSync(log, "utf8");
  child.over = new Promise((resolve) =>
    child.once("exit", (code, signal) => resolve({ code, signal })),
  );
  return child;
}

async function said(child, pattern) {
  return until(`${pattern} in a log`, () => {
    if (child.exitCode !== null) throw new Error(`ended at once: ${child.log()}`);
    return pattern.exec(child.log());
  });
}

export class World {
  static async start(moonwatch, market, options = []) {
    const world = new World();
    world.folder = fs.mkdtempSync(path.join(os.tmpdir(), "moonwatch-contract-"));
    world.market = start(
      market,
      ["--port", "0", "--control-port", "0", "--tokens", "300", "--rpm", "0"].concat([
        "--speed",
        "20",
      ]),
      path.join(world.folder, "market.log"),
    );
    const [, marketPort, controlPort] = await said(
      world.market,
      /listening on http:\/\/127\.0\.0\.1:(\d+) .*control on http:\/\/127\.0\.0\.1:(\d+)/,
    );
    world.controlPort = Number(controlPort);
    world.agent = new http.Agent({ keepAlive: true, maxSockets: 16 });
    // A token keeps its first name.
    await world.control("POST", "/fault", JSON.stringify({ fault: "names", probability: 0.5 }));
    const feed = `http://127.0.0.1:${marketPort}`;
    const source = `ws://127.0.0.1:${marketPort}/api/data`;
    world.daemon = start(
      moonwatch,
      ["run", "--db", `sqlite:${world.folder}/test.db`, "--feed", feed, "--source", source]
        .concat(["--listen", "127.0.0.1:0", "--log-format", "json"])
        .concat(["--export-path", `${world.folder}/export.json`])
        .concat(options),
      path.join(world.folder, "daemon.log"),
    );
    const [, port] = await said(world.daemon, /"msg":"listening","port":(\d+)/);
    world.port = Number(port);
    return world;
  }

  async stop() {
    this.agent.destroy();
    this.daemon.kill("SIGTERM");
    const end = await this.daemon.over;
    this.market.kill("SIGTERM");
    await this.market.over;
    if (end.code !== 0) throw new Error(`the daemon ended with ${JSON.stringify(end)}`);
    if (process.env.KEEP) console.log(`# ${this.folder}`);
    else fs.rmSync(this.folder, { recursive: true });
  }

  // {status, headers, text}; `json()` parses. A path goes as it is, unlike with fetch().
  ask(method, target, { headers = {}, body, port = this.port } = {}) {
    return new Promise((resolve, reject) => {
      const request = http.request(
        { host: "127.0.0.1", port, method, path: target, headers, agent: this.agent },
        (response) => {
          const pieces = [];
          const isStream = response.headers["content-type"]?.startsWith("text/event-stream");
          response.on("data", (piece) => {
            pieces.push(piece);
            if (isStream) response.destroy();
          });
          response.on("error", () => {});
          response.on("close", () => {
            const text = Buffer.concat(pieces).toString("utf8");
            resolve({
              status: response.statusCode,
              headers: response.headers,
              text,
              json: () => JSON.parse(text),
            });
          });
        },
      );
      request.setTimeout(REQUEST_MS, () => request.destroy(new Error("no answer")));
      request.on("error", (error) => reject(new Error(`${method} ${target}: ${error.message}`)));
      request.end(body);
    });
  }

  get(target, options) {
    return this.ask("GET", target, options);
  }

  control(method, target, body) {
    return this.ask(method, target, { port: this.controlPort, body });
  }

  // Bytes as they are; what comes until the server ends the connection or is silent for `ms`.
  raw(bytes, ms = 2000) {
    return new Promise((resolve, reject) => {
      const socket = net.connect(this.port, "127.0.0.1", () => socket.write(bytes));
      const pieces = [];
      socket.setTimeout(ms, () => socket.destroy());
      socket.on("data", (piece) => pieces.push(piece));
      socket.on("error", (error) =>
        error.code === "ECONNRESET" || error.code === "EPIPE" ? null : reject(error),
      );
      socket.on("close", () => resolve(Buffer.concat(pieces).toString("latin1")));
    });
  }
}
