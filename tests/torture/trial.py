"""What a trial of tools/torture happens on: a folder, daemons, a PostgreSQL server, and who judges them."""
import glob
import http.client
import json
import os
import pwd
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

STOP_S = 12
FAILURES_MAX = 4  # that one trial may have, as in calls.c
RECORDS_AT, RECORD_BYTES, RECORDS_MAX = 64, 64, 8191
CRASH = re.compile(r"(runtime error|AddressSanitizer|LeakSanitizer|Assertion|terminate called|stack smashing)")
DEATH = re.compile(r"SIG(SEGV|ABRT|BUS|FPE|ILL|TRAP|SYS|PIPE)")
SANITIZED = {"ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:handle_sigbus=0", "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
             "LC_ALL": "C.UTF-8", "TERM": "xterm"}


class Sandbox:
    """A folder of one trial, and what runs in it."""

    def __init__(self, options, fail):
        self.options = options
        self.folder = tempfile.mkdtemp(prefix="moonwatch-torture-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
        self.healthy = {**os.environ, **SANITIZED, "TRIAL": self.folder}
        self.environment = {**self.healthy, "TORTURE": self.path("shared")}
        with open(self.path("shared"), "wb") as file:
            file.truncate(RECORDS_AT + RECORDS_MAX * RECORD_BYTES)
        if fail:
            self.environment["TORTURE_FAIL"] = fail
        self.failures = fail.count(",") + 1 if fail else 0
        self.sent = set()  # signals by which a scenario killed a process
        self.complaints = []

    def path(self, name):
        return os.path.join(self.folder, name)

    def complain(self, kind, text):
        self.complaints.append((kind, text))

    def command(self, arguments, log="command.log", seconds=60, stdin=None):
        """A command that ends by itself; when it fails, it says why."""
        with open(self.path(log), "wb") as out:
            child = subprocess.Popen([self.options.program, *arguments], env=self.environment,
                                     stdout=out, stderr=out, stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                                     cwd=self.folder)
            try:
                child.communicate(stdin, timeout=seconds * self.options.patience)
            except subprocess.TimeoutExpired:
                self.complain("hang", f"{' '.join(arguments)}: runs on after {seconds * self.options.patience} s")
                child.kill()
                child.wait()
        self.judge(child.returncode, log)
        if child.returncode > 0 and not self.text(log).strip():
            self.complain("silent", f"{arguments[0]}: exit status {child.returncode} without a word")
        return child.returncode

    def judge(self, status, log):
        text = self.text(log)
        if status < 0 and status != -signal.SIGKILL:
            self.complain("crash", f"{log}: killed by {signal.Signals(-status).name}")
        found = CRASH.search(text)
        if found:
            kind = "leak" if "LeakSanitizer" in text and "AddressSanitizer" not in text else "crash"
            self.complain(kind, f"{log}: {text[max(0, found.start() - 200):found.start() + 1500]}")

    def judge_deaths(self, log="daemon.log"):
        """Deaths by a signal that were not ours, from a supervisor's log."""
        for line in self.text(log).splitlines():
            if '"msg":"' not in line:
                continue
            death = DEATH.search(line)
            if death and death[0] not in self.sent:
                self.complain("crash", line[:700])
                return
            if "did not move" in line or "has not moved" in line or '"cause":"hang' in line:
                if "SIGSTOP" not in self.sent:
                    self.complain("hang", line[:700])
                return

    def text(self, name):
        try:
            with open(self.path(name), encoding="utf-8", errors="replace") as file:
                return file.read()
        except OSError:
            return ""

    def shared(self):
        with open(self.path("shared"), "rb") as file:
            return file.read()

    def reached(self):
        """Role, function and site; calls.c has the layout."""
        text = self.shared()
        records = (text[at:at + RECORD_BYTES].rstrip(b"\0").decode()
                   for at in range(RECORDS_AT, len(text), RECORD_BYTES) if text[at])
        return {tuple(record.split(" ")) for record in records if record.count(" ") == 2}

    def has_fired(self):
        text = self.shared()
        return self.failures > 0 and all(text[4 * i] for i in range(self.failures))

    def processes(self):
        """All that were started here and live, with their command lines."""
        mark, found = f"TRIAL={self.folder}".encode(), {}
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            try:
                with open(f"/proc/{entry}/environ", "rb") as file:
                    if mark not in file.read().split(b"\0"):
                        continue
                with open(f"/proc/{entry}/cmdline", "rb") as file:
                    found[int(entry)] = file.read().replace(b"\0", b" ").decode(errors="replace")[:100]
            except OSError:
                pass
        return found

    def judge_left(self):
        """Nobody stays behind."""
        deadline = time.monotonic() + 3 * self.options.patience
        while self.processes() and time.monotonic() < deadline:
            time.sleep(0.02)
        for pid, line in self.processes().items():
            self.complain("left", f"{pid} {line}")
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass

    def remove(self):
        if not self.options.keep:
            shutil.rmtree(self.folder, ignore_errors=True)


class Daemon:
    """`moonwatch run` against the market; its database is in the sandbox, or the one of a URL."""

    def __init__(self, sandbox, more=(), database=None, name="daemon", source=None, fails=True, environment=None, **how):
        self.sandbox, self.name = sandbox, name
        self.database = database or f"sqlite:{sandbox.path('w.db')}"
        self.token = None
        options = sandbox.options
        market = f"127.0.0.1:{options.market_port}"
        self.log = open(sandbox.path(f"{name}.log"), "wb")
        arguments = [options.program, "run", "--db", self.database, "--feed", f"http://{market}",
                     "--state-dir", sandbox.path(f"{name}-state"),
                     "--source", source or f"ws://{market}/api/data", "--listen", "127.0.0.1:0", "--log-format", "json",
                     "--export-path", sandbox.path(f"{name}-export.json"), "--export-interval-sec", "1",
                     "--activation-interval-sec", "1", "--archiver-interval-sec", "1", "--retention-interval-sec", "1",
                     "--store-commit-sec", "0.02", "--store-checkpoint-sec", "1", "--store-deadline-sec", "5",
                     "--heartbeat-deadline-ms", "5000", "--start-deadline-sec", "10", "--restart-backoff-min-sec", "0.05",
                     "--restart-backoff-max-sec", "0.2", "--max-restarts-per-hour", "100000", "--feed-workers", "1",
                     "--alert-command", "/bin/cat", "--alert-min-severity", "info", "--alert-webhook-url", f"http://{market}/alerts",
                     "--alert-alertmanager-url", f"http://{market}", "--alert-telegram-url", f"http://{market}",
                     "--alert-telegram-token", "1:a", "--alert-telegram-chat", "1", "--alert-webhook-token", "b",
                     "--source-backoff-min-sec", "0.1", "--source-backoff-max-sec", "0.2", "--alert-retry-min-sec", "0.1",
                     *more]
        self.child = subprocess.Popen(arguments, stdout=self.log, stderr=self.log, cwd=sandbox.folder,
                                      env={**(sandbox.environment if fails else sandbox.healthy), **(environment or {})},
                                      **{"stdin": subprocess.DEVNULL, **how})
        self.port = None

    def has_ended(self):
        return self.child.poll() is not None

    def soon(self, seconds, condition):
        """What the condition gives, or None when the daemon ends first or the time is over."""
        deadline = time.monotonic() + seconds * self.sandbox.options.patience
        while time.monotonic() < deadline and not self.has_ended():
            found = condition()
            if found:
                return found
            time.sleep(0.02)
        return None

    def await_port(self, seconds):
        def look():
            match = re.search(r'"msg":"listening","port":(\d+)', self.sandbox.text(f"{self.name}.log"))
            return match and int(match[1])
        self.port = self.soon(seconds, look)
        return self.port is not None

    def await_ready(self, seconds):
        return self.soon(seconds, lambda: self.call("GET", "/ready", seconds=0.5) == 200) is not None

    def await_history(self, seconds):
        """Until something was fetched, scored and stored."""
        def look():
            if self.call("GET", "/tokens?limit=1&min_score=-10") != 200:
                return None
            mints = re.findall(rb'"mint(?:_address)?":\s*"(\w+)"', self.body)
            is_there = mints and self.call("GET", f"/tokens/{mints[0].decode()}/history") == 200 and b'"score"' in self.body
            return mints[0].decode() if is_there else None
        return self.soon(seconds, look)

    def call(self, method, path, body=None, seconds=1.5, headers=()):
        """The status; 0: none came."""
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=seconds)
            kind = {"Content-Type": "application/json"} if body else {}
            who = {"Authorization": f"Bearer {self.token}"} if self.token else {}
            connection.request(method, path, body, {**kind, **who, **dict(headers)})
            answer = connection.getresponse()
            self.body = b""
            if path.startswith("/events"):
                answer.read1(200)
            else:
                self.body = answer.read()
            connection.close()
            return answer.status
        except (OSError, http.client.HTTPException):
            return 0

    def add(self, mint):
        return self.call("POST", "/tokens", json.dumps({"mint_address": mint})) in (200, 201)

    def add_all(self, mints):
        """Those that were acknowledged."""
        return [mint for mint in mints if self.add(mint)]

    def set(self, name, value, seconds=1.5):
        return self.call("PUT", f"/settings/{name}", json.dumps({"value": value}), seconds) == 200

    def ctl(self, *request):
        return self.sandbox.command(["ctl", *request, "--db", self.database, "--state-dir",
                                     self.sandbox.path(f"{self.name}-state")], "ctl.log")

    def children(self):
        """Process ids by role."""
        found = {}
        try:
            with open(f"/proc/{self.child.pid}/task/{self.child.pid}/children", encoding="ascii") as file:
                for pid in file.read().split():
                    with open(f"/proc/{pid}/cmdline", encoding="utf-8") as line:
                        found[line.read().split("\0")[1]] = int(pid)
        except (OSError, IndexError):
            pass
        return found

    def kill(self, role, number=signal.SIGKILL):
        """Until another has its place."""
        pid = self.children().get(role)
        if pid is None:
            return False
        self.sandbox.sent.add(number.name)
        try:
            os.kill(pid, number)
        except OSError:
            return False
        self.soon(8 if number == signal.SIGSTOP else 2, lambda: self.children().get(role) not in (None, pid))
        return True

    def die(self):
        """As when its machine dies: nobody can tell anybody."""
        try:
            os.kill(self.child.pid, signal.SIGSTOP)
            for pid in self.children().values():
                os.kill(pid, signal.SIGKILL)
        except OSError:
            pass
        self.child.kill()
        self.child.wait()
        self.log.close()

    def stop(self):
        if not self.has_ended():
            self.child.send_signal(signal.SIGTERM)
        try:
            self.child.wait(STOP_S * self.sandbox.options.patience)
        except subprocess.TimeoutExpired:
            self.sandbox.complain("hang", f"runs on long after SIGTERM: {self.children()}")
            self.die()
        self.log.close()

    def finish(self):
        """Stops it, and judges how it went."""
        self.stop()
        log = f"{self.name}.log"
        self.sandbox.judge(self.child.returncode, log)
        self.sandbox.judge_deaths(log)
        if self.child.returncode > 0 and not re.search(r'"level":"error"|^moonwatch', self.sandbox.text(log), re.M):
            self.sandbox.complain("silent", f"exit status {self.child.returncode} without a word")


def check_sqlite(sandbox, mints, settings, name="w.db"):
    """What was acknowledged is there, and the file is sound."""
    try:
        database = sqlite3.connect(f"file:{sandbox.path(name)}?mode=rw", uri=True, timeout=5)
        there = {row[0] for row in database.execute("SELECT mint FROM token")}
        kept = dict(database.execute("SELECT name, value FROM setting"))
        sound = database.execute("PRAGMA integrity_check").fetchone()[0]
        database.close()
    except sqlite3.Error as error:
        if mints or settings:
            sandbox.complain("lost", f"the database can't be read: {error}")
        return
    compare(sandbox, mints, settings, there, kept)
    if sound != "ok":
        sandbox.complain("lost", f"integrity check: {sound}")


def compare(sandbox, mints, settings, there, kept):
    for mint in mints:
        if mint not in there:
            sandbox.complain("lost", f"token {mint} was acknowledged and is not there")
    for name, value in settings.items():
        if kept.get(name) != value:
            sandbox.complain("lost", f"setting {name} was acknowledged as {value} and is {kept.get(name)}")


class Postgres:
    """A PostgreSQL server of all trials, each with a schema of its own; Debian's, on a Unix socket."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="moonwatch-torture-postgres-")
        self.programs = sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1]
        self.user = pwd.getpwnam("postgres") if os.getuid() == 0 else None
        if self.user:
            os.chown(self.folder, self.user.pw_uid, self.user.pw_gid)
        os.chmod(self.folder, 0o711)
        self.log = open(os.path.join(self.folder, "log"), "wb")
        who = {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []} if self.user else {}
        places = {"cwd": self.folder, "stdout": self.log, "stderr": self.log, "stdin": subprocess.DEVNULL}
        subprocess.run([f"{self.programs}/initdb", "-D", "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale",
                        "--no-sync"], check=True, **who, **places)
        self.server = subprocess.Popen([f"{self.programs}/postgres", "-D", "data", "-k", self.folder, "-c", "listen_addresses=",
                                        "-c", "max_connections=200", "-c", "fsync=off"], **who, **places)
        deadline = time.monotonic() + 60
        while not self.ask("SELECT 1") and time.monotonic() < deadline:
            time.sleep(0.05)

    def ask(self, sql, schema="public"):
        """Lines of columns with tabs between them; nothing when it failed."""
        environment = {**os.environ, "PGOPTIONS": f"-csearch_path={schema}"}
        done = subprocess.run([f"{self.programs}/psql", "-X", "-h", self.folder, "-U", "postgres", "-AtF", "\t", "-c", sql, "postgres"],
                              env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        return done.stdout.splitlines() if done.returncode == 0 else []

    def add_schema(self, sandbox):
        """Its name, which is that of the trial's folder."""
        schema = "t_" + re.sub(r"\W", "_", os.path.basename(sandbox.folder)).lower()
        self.ask(f"CREATE SCHEMA {schema}")
        return schema

    def url(self, schema, more=""):
        return f"postgresql:///postgres?host={self.folder}&user=postgres{more}&options=-csearch_path%3D{schema}"

    def check(self, sandbox, schema, mints, settings):
        """As check_sqlite(), and then the schema goes."""
        if mints or settings:
            there = set(self.ask("SELECT mint FROM token", schema))
            kept = dict(line.split("\t") for line in self.ask("SELECT name, value FROM setting", schema))
            compare(sandbox, mints, settings, there, kept)
        self.ask(f"DROP SCHEMA {schema} CASCADE")

    def stop(self):
        self.server.send_signal(signal.SIGINT)
        try:
            self.server.wait(20)
        except subprocess.TimeoutExpired:
            self.server.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
