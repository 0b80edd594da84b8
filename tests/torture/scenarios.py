"""What the program does in a trial of tools/torture. Each scenario runs on a sandbox, which judges."""
import fcntl
import glob
import http.client
import json
import os
import pty
import re
import select
import shutil
import signal
import socket
import sqlite3
import struct
import sys
import termios
import time

from trial import Daemon, Sandbox, check_sqlite

MINTS = ["So11111111111111111111111111111111111111112", "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkwyTDt1v",
         "Es9vMFrzaCERmJfrF4H2FYD4KCoNkY11McCe8BenwNYB", "DezXAZ8z7PnrnRJjz3wXBoRgixCa6xjnB7YaB1pPB263"]
GETS = ["/health", "/ready", "/health/detailed", "/health/comprehensive", "/health/store", "/health/feeds",
        "/health/forecast", "/health/freshness", "/health/performance", "/health/priority", "/health/resources",
        "/health/scheduler", "/health/supervisor", "/health/cluster", "/tokens?limit=5", "/tokens?search=a", "/tokens.csv",
        "/metrics", "/logs", "/logs/meta", "/alerts", "/incidents", "/incidents/1", "/notarb/export", "/notarb/file-info",
        "/notarb/markets", "/notarb/pools", "/openapi.json", "/settings", "/settings/schema", "/settings/weights",
        "/settings/min_score", "/version", "/app", "/nothing"]
TOKEN_GETS = ["", "/explain", "/history", "/life", "/pools"]


# ---- daemons ----

def expect_work(sandbox, acknowledged, settings):
    """Without a failure all that was asked for is acknowledged."""
    if not sandbox.failures and (len(acknowledged) < 3 or not settings):
        sandbox.complain("lost", f"acknowledged are only {acknowledged} and {settings}")


def scenario_run(sandbox):
    daemon, acknowledged, settings = Daemon(sandbox), [], {}
    if daemon.await_port(4):
        is_ready = daemon.await_ready(3)
        daemon.await_history(1.5)
        acknowledged += daemon.add_all(MINTS[:2])
        if daemon.set("min_score", "0.2"):
            settings["min_score"] = "0.2"
        daemon.call("POST", "/tokens/import", MINTS[3] + "\n")
        for path in GETS + [f"/tokens/{MINTS[0]}{what}" for what in TOKEN_GETS] + ["/events?topics=token"]:
            if daemon.has_ended() or daemon.call("GET", path) == 0 and not is_ready:
                break
        daemon.call("POST", f"/tokens/{MINTS[0]}/refresh")
        daemon.call("POST", "/admin/archive")
        for request in ("status", "test-alert"):
            daemon.ctl(request)
        if daemon.kill("engine"):
            daemon.await_ready(3)
        acknowledged += daemon.add_all(MINTS[2:3])
        if daemon.kill("api"):
            daemon.await_ready(2)
        daemon.ctl("incidents")
    daemon.finish()
    check_sqlite(sandbox, acknowledged, settings)
    expect_work(sandbox, acknowledged, settings)


def leave_database(options):
    """What others start from: tokens and a setting, and a log that was not folded."""
    sandbox = Sandbox(options, None)
    daemon = Daemon(sandbox, fails=False)
    if not daemon.await_port(10) or not daemon.await_ready(10):
        sys.exit(f"torture: no daemon: {sandbox.text('daemon.log')}")
    if not all([daemon.add(MINTS[0]), daemon.add(MINTS[1]), daemon.set("min_score", "0.2", seconds=10)]):
        sys.exit(f"torture: the daemon says {daemon.body}")
    daemon.await_history(5)
    daemon.die()
    options.left = sandbox.folder
    return sandbox


def take_left(sandbox):
    for name in glob.glob(os.path.join(sandbox.options.left, "w.db*")):
        if os.path.isfile(name):
            shutil.copy(name, sandbox.folder)


def scenario_cold(sandbox):
    """A start from what a killed daemon left, with mints from a file."""
    take_left(sandbox)
    with open(sandbox.path("mints.txt"), "w", encoding="utf-8") as file:
        file.write("\n".join(MINTS) + "\n")
    daemon = Daemon(sandbox, source=f"file:{sandbox.path('mints.txt')}?follow")
    if daemon.await_port(4) and daemon.await_ready(3):
        for mint in MINTS[:3]:
            daemon.call("GET", f"/tokens/{mint}/history")
        with open(sandbox.path("mints.txt"), "a", encoding="utf-8") as file:
            file.write("5tzFkiKscXHK5ZXCGbXZxdw7gTjjD1mBwuoFbhUvuAi9\n")
        daemon.await_history(0.5)
    daemon.finish()
    check_sqlite(sandbox, MINTS[:2], {"min_score": "0.2"})


def first_schema():
    """SQL of the first migration, from the program's source."""
    with open(os.path.join(os.path.dirname(__file__), "../../src/store/sqlite_schema.c"), encoding="utf-8") as file:
        first = re.search(r'MIGRATIONS\[\] = \{\n(.*?"),\n', file.read(), re.S)[1]
    return "".join(re.findall(r'"([^"]*)"', first))


def scenario_old(sandbox):
    """A database of the first version."""
    database = sqlite3.connect(sandbox.path("w.db"))
    database.executescript(first_schema() + "PRAGMA application_id=0x4d4f4f4e; PRAGMA user_version=1;")
    for number, mint in enumerate(MINTS[:2], 1):
        database.execute("INSERT INTO token(id,mint,name,symbol,status,created_at,log_seq,state) VALUES(?,?,'a','b','monitoring',1000,0,x'00')",
                         (number, mint))
    database.execute("INSERT INTO snapshot(id,previous,token_id,at,primary_dex) VALUES(1,0,1,1000,'orca')")
    database.execute("INSERT INTO refresh_log_a VALUES(1,1,1000,'c','d','active',x'00')")
    database.execute("INSERT INTO setting VALUES('min_score','0.2')")
    database.commit()
    database.close()
    daemon = Daemon(sandbox)
    if daemon.await_port(4):
        daemon.await_ready(3)
    daemon.finish()
    check_sqlite(sandbox, MINTS[:2], {"min_score": "0.2"})


def scenario_hurt(sandbox):
    """A database that was damaged while nobody ran, is deleted while somebody does, and then another lies in its place."""
    take_left(sandbox)
    sqlite3.connect(sandbox.path("w.db")).execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    with open(sandbox.path("w.db"), "r+b") as file:
        file.seek(0, os.SEEK_END)
        size = file.tell()
        file.seek(size // 2)
        file.write(b"\x5a" * (size // 4))
    daemon, acknowledged = Daemon(sandbox), []
    if daemon.await_port(4) and daemon.await_ready(3):
        os.remove(sandbox.path("w.db"))
        daemon.add(MINTS[2])
        daemon.soon(4, lambda: os.path.exists(sandbox.path("w.db")))
        other = sqlite3.connect(sandbox.path("other.db"))
        other.execute("CREATE TABLE other(x)")
        other.close()
        os.replace(sandbox.path("other.db"), sandbox.path("w.db"))
        daemon.add(MINTS[3])
        daemon.soon(4, lambda: glob.glob(sandbox.path("w.db.replaced-*")))
        acknowledged += daemon.add_all(MINTS[:1])
    daemon.finish()
    check_sqlite(sandbox, acknowledged, {})


def scenario_guarded(sandbox):
    """Whatever else may be asked for: a token, pages of others, a file of options, systemd, mints through a pipe."""
    told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    told.bind(sandbox.path("notify"))
    with open(sandbox.path("options"), "w", encoding="utf-8") as file:
        file.write("cors-origin = https://example.org\nlog-level = debug\n")
    os.mkdir(sandbox.path("daemon-state"))
    os.chmod(sandbox.path("daemon-state"), 0o755)
    os.mkfifo(sandbox.path("mints"))
    daemon = Daemon(sandbox, ["--config", sandbox.path("options"), "--listen", "localhost:0", "--feed-http-version", "2",
                              "--tls-ca-file", "/etc/ssl/certs/ca-certificates.crt", "--alert-command", "/bin/sleep 100",
                              "--alert-timeout-sec", "0.5"], source=f"file:{sandbox.path('mints')}",
                    environment={"MOONWATCH_API_TOKEN": "torture-0123456789", "NOTIFY_SOCKET": sandbox.path("notify")},
                    stdin=None, preexec_fn=lambda: os.close(0))
    acknowledged = []
    if daemon.await_port(4):
        daemon.await_ready(3)
        try:
            pipe = os.open(sandbox.path("mints"), os.O_WRONLY | os.O_NONBLOCK)
            os.write(pipe, f"{MINTS[0]}\nnothing\n{MINTS[1]}".encode())
            os.close(pipe)
        except OSError:
            pass  # nobody reads: the source failed
        headers = {"Origin": "https://example.org", "Accept-Encoding": "gzip"}
        for method, path in (("GET", "/health"), ("GET", "/tokens.csv"), ("POST", "/tokens"), ("DELETE", "/tokens"),
                             ("OPTIONS", "/tokens"), ("GET", "/app"), ("GET", "/app/nothing"), ("HEAD", "/metrics"),
                             ("HEAD", "/tokens.csv"), *[("GET", page) for page in GETS]):
            if daemon.call(method, path, headers=headers) == 0:
                break
        daemon.token = "torture-0123456789"
        daemon.call("PUT", "/settings/ewma_alpha", '{"value": 0.4}')
        mint = daemon.await_history(1.5)
        if mint:
            daemon.call("GET", f"/tokens/{mint}?history_limit=5")
        acknowledged += daemon.add_all(MINTS[2:3])
        daemon.ctl("status")
        daemon.ctl("restart", "engine")
        daemon.await_ready(3)
    daemon.finish()
    told.close()
    check_sqlite(sandbox, acknowledged, {})


def scenario_deaths(sandbox):
    """An engine that crashes and tells why, one that stops, and who reads of it."""
    daemon = Daemon(sandbox, ["--incidents-max", "1", "--heartbeat-deadline-ms", "500" if sandbox.options.is_plain else "5000"], source="none")
    if daemon.await_port(4) and daemon.await_ready(3):
        for number in (signal.SIGBUS, signal.SIGSTOP):
            if daemon.kill("engine", number):
                daemon.await_ready(3)
        for request in (["incidents"], ["incidents", "1"], ["incidents", "--json"], ["status", "--json"]):
            daemon.ctl(*request)
        daemon.call("GET", "/incidents/1")
    daemon.finish()


def scenario_import(sandbox):
    with open(sandbox.path("mints.txt"), "w", encoding="utf-8") as file:
        file.write("\n".join(MINTS) + "\n# a comment\nnot a mint\n")
    daemon = Daemon(sandbox, fails=False)
    if not daemon.await_port(10) or not daemon.await_ready(10):
        sandbox.complain("crash", "no daemon to import into")
    sandbox.command(["import", sandbox.path("mints.txt"), "--to", f"http://127.0.0.1:{daemon.port}", "--patience", "1"])
    daemon.stop()


def scenario_top(sandbox):
    daemon = Daemon(sandbox, fails=False)
    if daemon.await_port(10):
        daemon.await_ready(10)
        if daemon.kill("api"):
            daemon.await_ready(5)
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(sandbox.folder)
        os.execve(sandbox.options.program, [sandbox.options.program, "top", "--db", daemon.database, "--state-dir",
                                            sandbox.path("daemon-state")], sandbox.environment)
    said, deadline, keys = b"", time.monotonic() + 10 * sandbox.options.patience, iter(b"\t?jk\tj\tj\r\tj\rq")
    status, is_open = None, True
    while (status is None or is_open) and time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.1)[0]:
            try:
                said += os.read(terminal, 65536)
            except OSError:  # it has ended, and all that it said is read
                is_open = False
        elif status is None:
            fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100 + len(said) % 10, 0, 0))
            os.write(terminal, bytes([next(keys, ord("q"))]))
        if status is None:
            ended, code = os.waitpid(pid, os.WNOHANG)
            status = code if ended else None
    if status is None:
        sandbox.complain("hang", "top: runs on after q")
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    elif os.WIFSIGNALED(status):
        sandbox.complain("crash", f"top: killed by {signal.Signals(os.WTERMSIG(status)).name}")
    elif os.WEXITSTATUS(status) != 0 and not said.strip():
        sandbox.complain("silent", f"top: exit status {os.WEXITSTATUS(status)} without a word")
    os.close(terminal)
    daemon.stop()


# ---- PostgreSQL ----

def work_on(daemon, acknowledged, settings):
    """Requests that another node or the same engine must know of later."""
    acknowledged += daemon.add_all(MINTS[:2])
    if daemon.set("min_score", "0.2"):
        settings["min_score"] = "0.2"
    for path in (f"/tokens/{MINTS[0]}/history", f"/tokens/{MINTS[0]}/life", "/health/cluster", "/health/store", "/events?topics=token"):
        daemon.call("GET", path)


def scenario_postgres(sandbox):
    """One daemon on a database of PostgreSQL's."""
    postgres = sandbox.options.postgres
    schema, acknowledged, settings = postgres.add_schema(sandbox), [], {}
    daemon = Daemon(sandbox, database=postgres.url(schema))
    if daemon.await_port(4):
        daemon.await_ready(4)
        daemon.await_history(2)
        work_on(daemon, acknowledged, settings)
        if daemon.kill("engine"):
            daemon.await_ready(4)
        acknowledged += daemon.add_all(MINTS[2:3])
        daemon.ctl("restart", "engine")
        daemon.await_ready(4)
    daemon.finish()
    postgres.check(sandbox, schema, acknowledged, settings)
    expect_work(sandbox, acknowledged, settings)


def scenario_nodes(sandbox):
    """One of two nodes: they share, it asks the other for what it does not hold, takes over, and hands back."""
    postgres = sandbox.options.postgres
    schema, acknowledged, settings = postgres.add_schema(sandbox), [], {}
    other = Daemon(sandbox, database=postgres.url(schema, "&node=other"), name="other", fails=False)
    if not other.await_port(10) or not other.await_ready(10):
        sandbox.complain("crash", "the other node does not start")
    other.add(MINTS[3])
    daemon = Daemon(sandbox, database=postgres.url(schema, "&node=tried"))
    if daemon.await_port(4) and daemon.await_ready(6):
        daemon.await_history(2)
        work_on(daemon, acknowledged, settings)
        other.set("ewma_alpha", "0.4")
        other.call("POST", f"/tokens/{MINTS[0]}/refresh")
        daemon.call("POST", f"/tokens/{MINTS[3]}/refresh")
        daemon.soon(2, lambda: daemon.call("GET", "/settings/ewma_alpha") == 200 and b"0.4" in daemon.body)
        other.die()
        daemon.soon(16, lambda: daemon.call("GET", "/health/cluster") == 200 and len(json.loads(daemon.body)["members"]) == 1)
        acknowledged += daemon.add_all(MINTS[2:3])
        again = Daemon(sandbox, database=postgres.url(schema, "&node=other"), name="again", fails=False)
        if again.await_port(10):
            again.await_ready(10)
        if daemon.kill("engine"):
            daemon.await_ready(4)
        daemon.finish()
        again.stop()
    else:
        daemon.finish()
        other.stop()
    postgres.check(sandbox, schema, acknowledged, settings)
    expect_work(sandbox, acknowledged, settings)


# ---- commands ----

def scenario_copy(sandbox):
    """Into SQLite, into PostgreSQL, and back."""
    take_left(sandbox)
    database = sqlite3.connect(sandbox.path("w.db"))
    database.execute("INSERT OR IGNORE INTO alert VALUES(1,'{}')")
    database.commit()
    database.close()
    postgres = sandbox.options.postgres
    schema = postgres.add_schema(sandbox)
    sandbox.command(["copy", f"sqlite:{sandbox.path('w.db')}", f"sqlite:{sandbox.path('w2.db')}"], "copy.log")
    there = sandbox.command(["copy", f"sqlite:{sandbox.path('w.db')}", postgres.url(schema)], "copy.log")
    back = sandbox.command(["copy", postgres.url(schema), f"sqlite:{sandbox.path('w3.db')}"], "copy.log") if there == 0 else 1
    if back == 0:
        check_sqlite(sandbox, MINTS[:2], {"min_score": "0.2"}, "w3.db")
    elif not sandbox.failures:
        sandbox.complain("lost", f"copy: {sandbox.text('copy.log')}")
    check_sqlite(sandbox, MINTS[:2], {"min_score": "0.2"})
    postgres.check(sandbox, schema, [], {})


def scenario_explain(sandbox):
    connection = http.client.HTTPConnection("127.0.0.1", sandbox.options.market_port, timeout=5)
    connection.request("GET", f"/token-pairs/v1/solana/{MINTS[0]}")
    answer = connection.getresponse().read().decode()
    connection.close()
    with open(sandbox.path("pairs.json"), "w", encoding="utf-8") as file:
        file.write(answer)
    with open(sandbox.path("wrapped.json"), "w", encoding="utf-8") as file:
        json.dump({"request": "…", "answer": answer}, file)
    sandbox.command(["explain", "--mint", MINTS[0], "--pairs", sandbox.path("pairs.json")], "explained.json")
    sandbox.command(["explain", "--mint", MINTS[0], "--pairs", sandbox.path("wrapped.json"), "--previous",
                     sandbox.path("explained.json")])


def command(*arguments, **how):
    return lambda sandbox: sandbox.command(arguments, **how)


def series(value):
    return b"\n".join(b"2026-01-01T%02d:%02d:00Z,%d" % (i // 60, i % 60, value(i)) for i in range(600))


# The first that reaches a call is the one in which it fails.
SCENARIOS = {
    "config": command("config", "--check"),
    "drills": command("drill", "--list"),
    "help": command("help", "run"),
    "findings": command("findings"),
    "completion": command("completion", "bash"),
    "freshness": command("freshness", "--tokens", "50"),
    "size": command("size", "--tokens", "5000"),
    "detect": command("detect", stdin=series(lambda i: i % 7)),
    "forecast": command("forecast", "--threshold", "700", stdin=series(lambda i: i)),
    "explain": scenario_explain,
    "sim": command("sim", "--tokens", "20", "--hours", "0.05", "--seed", "1"),
    "sim nodes": command("sim", "--nodes", "3", "--tokens", "50", "--hours", "0.05", "--seed", "1"),
    "sim seeds": command("sim", "--tokens", "20", "--hours", "0.05", "--seeds", "1..3", "--log", "failures.log"),
    "sim shrink": command("sim", "--tokens", "20", "--hours", "0.05", "--seed", "1", "--shrink"),
    "copy": scenario_copy,
    "run": scenario_run,
    "cold": scenario_cold,
    "guarded": scenario_guarded,
    "old": scenario_old,
    "hurt": scenario_hurt,
    "deaths": scenario_deaths,
    "import": scenario_import,
    "top": scenario_top,
    "postgres": scenario_postgres,
    **{f"drill {name}": command("drill", name, seconds=400)
       for name in ("supervisor-crash", "token-table-corrupt", "database-corrupt", "database-locked", "disk-full", "stuck-job",
                    "engine-hang", "poison-token", "memory-leak", "source-silent", "upstream-half-answers", "zombie-engine", "load-peak")},
    "nodes": scenario_nodes,
}
