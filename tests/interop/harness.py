"""What every suite here needs: processes that end with it, lubdub with a configuration, a tally."""

import base64
import contextlib
import hashlib
import json
import os
import queue
import subprocess
import threading
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
WORK = ROOT / "target" / "interop"
LOGS = WORK / "logs"
LUBDUB = os.environ.get("LUBDUB", str(ROOT / "target" / "debug" / "lubdub"))
PYTHON = str(WORK / "venv" / "bin" / "python")
# Modules are looked for upward from the script: run.sh copies the JavaScript next to its packages.
NPM = WORK / "npm"
NODE = str(NPM / "node_modules" / "node" / "bin" / "node")

# What a program's lines end with.
END = None
# Everything that was started and not ended yet.
live = set()


class Tally:
    """One line per case, and at the end how many."""

    def __init__(self):
        self.passed = 0
        self.failed = 0
        self.left_out = []
        self._lock = threading.Lock()

    def case(self, name, problem=None):
        with self._lock:
            if problem:
                self.failed += 1
                print(f"FAIL  {name}: {problem}", flush=True)
            else:
                self.passed += 1
                print(f"ok    {name}", flush=True)

    def not_applicable(self, name, why):
        """A case that means nothing here; it counts as nothing."""
        with self._lock:
            print(f"n/a   {name}: {why}", flush=True)

    def leave_out(self, name, why):
        """What should be run and cannot be; the end of the output says so."""
        with self._lock:
            self.left_out.append(f"LEFT OUT  {name}: {why}")

    @contextlib.contextmanager
    def guard(self, name):
        """The body is one case: whatever it raises is what went wrong."""
        try:
            yield
        except Exception as error:
            self.case(name, f"{type(error).__name__}: {error}")
        else:
            self.case(name)


class Process:
    """A program whose lines are kept in a log and can be waited for; ended by its id."""

    def __init__(self, name, command, env=None, cwd=None):
        LOGS.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.log = LOGS / f"{name}.log"
        self._lines = queue.Queue()
        self._child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            text=True,
            errors="replace",
        )
        self.pid = self._child.pid
        live.add(self)
        self._pump = threading.Thread(target=self._copy, daemon=True)
        self._pump.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def _copy(self):
        with open(self.log, "w") as log:
            for line in self._child.stdout:
                log.write(line)
                log.flush()
                self._lines.put(line.rstrip("\n"))
        self._lines.put(END)

    def lines(self, limit):
        """The lines as they come, until the program ends or the limit (seconds) is over."""
        deadline = time.monotonic() + limit
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise TimeoutError(f"{self.name} was not done after {limit} s, see {self.log.name}") from None
            if line is END:
                self._lines.put(END)
                return
            yield line

    def wait_for(self, wanted, limit=60):
        """The first line for which `wanted` says something."""
        for line in self.lines(limit):
            if found := wanted(line):
                return found
        raise RuntimeError(f"{self.name} ended early, see {self.log.name}")

    def port(self, limit=60):
        """The port that a backend says it listens on."""
        return self.wait_for(lambda line: line.startswith("listening ") and int(line.split()[1]), limit)

    def wait(self, limit):
        """Its exit code."""
        for _ in self.lines(limit):
            pass
        return self._child.wait(10)

    def alive(self):
        return self._child.poll() is None

    def stop(self):
        if self.alive():
            self._child.terminate()
            try:
                self._child.wait(15)
            except subprocess.TimeoutExpired:
                self._child.kill()
        self._child.wait(15)
        self._pump.join(5)
        live.discard(self)


def stop_all():
    """Ends what an interruption left running."""
    for process in list(live):
        process.stop()


class Lubdub(Process):
    """lubdub in front of upstreams, given as name -> port; each answers what begins with /name.

    A single upstream named `all` answers everything. `interval` is that of the pings to both sides.
    `listen`, `upstream` and `client` (of the pings) are further lines of their tables, `admin` all of its table,
    `routes` those of the route of that name. `url` is where upstreams are, `address` where it listens, and
    `settings` are `KEY=VALUE`.
    """

    def __init__(
        self,
        name,
        upstreams,
        interval,
        extra="",
        listen="",
        upstream="",
        routes=None,
        url="ws://127.0.0.1:{port}",
        address="127.0.0.1:0",
        settings=(),
        client="",
        admin='address = "127.0.0.1:0"',
    ):
        config = [
            f'[listen.public]\naddress = "{address}"\n{listen}',
            f"[admin]\n{admin}",
            '[log]\nformat = "json"',
            f'[keepalive.client]\ninterval = "{interval}"\n{client}',
            f'[keepalive.upstream]\ninterval = "{interval}"',
        ]
        for one, port in upstreams.items():
            config.append(f'[upstream.{one}]\nurl = "{url.format(port=port)}"\n{upstream}')
            prefix = "/" if one == "all" else f"/{one}"
            config.append(f'[route.{one}]\npath_prefix = "{prefix}"\nupstream = "{one}"')
            config.append((routes or {}).get(one, ""))
        config.append(extra)
        LOGS.mkdir(parents=True, exist_ok=True)
        path = LOGS / f"{name}.toml"
        path.write_text("\n".join(config) + "\n")
        self.config = path
        super().__init__(name, [LUBDUB, "--config", str(path), *(f"--set={setting}" for setting in settings)])
        try:
            self.admin = self._address("admin listens")
            self.address = self._address("listening")
            self.port_number = None if address.startswith("unix:") else int(self.address.rsplit(":", 1)[1])
            self.wait_for(lambda line: '"ready"' in line, 10)
        except Exception:
            self.stop()
            raise

    def _address(self, message):
        def wanted(line):
            with contextlib.suppress(ValueError):
                entry = json.loads(line)
                return entry.get("msg") == message and entry["address"]

        return self.wait_for(wanted, 10)

    def metrics_text(self):
        with urllib.request.urlopen(f"http://{self.admin}/metrics", timeout=10) as answer:
            return answer.read().decode()

    def metric(self, name, **labels):
        """The sum of a metric over the series that carry these labels."""
        total = 0.0
        for line in self.metrics_text().splitlines():
            if line.startswith(name) and line[len(name)] in "{ ":
                if all(f'{key}="{value}"' in line for key, value in labels.items()):
                    total += float(line.rsplit(" ", 1)[1])
        return total

    def memory(self, field):
        """VmRSS or VmHWM, in bytes."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) * 1024
        raise KeyError(field)


class Certificate:
    """A certificate and its key, as `openssl req -x509` makes them: it has signed itself, and says CA:TRUE."""

    def __init__(self, name, *hosts, days=2):
        LOGS.mkdir(parents=True, exist_ok=True)
        self.cert, self.key = LOGS / f"{name}.pem", LOGS / f"{name}.key"
        names = ",".join(f"DNS:{host}" for host in hosts)
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        command += ["-days", str(days), "-subj", f"/CN={name}", "-addext", f"subjectAltName={names}"]
        command += ["-keyout", str(self.key), "-out", str(self.cert)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)

    def spki(self):
        """What Chromium knows it by: the hash of its public key."""
        key = ["openssl", "x509", "-in", str(self.cert), "-pubkey", "-noout"]
        pem = subprocess.run(key, check=True, capture_output=True, timeout=60).stdout
        der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "der"], input=pem, check=True, capture_output=True, timeout=60)
        return base64.b64encode(hashlib.sha256(der.stdout).digest()).decode()

    def of_listener(self, name="main"):
        """The tables of a listener that shows it."""
        return f'[listen.public.tls.certificate.{name}]\ncert = "{self.cert}"\nkey = "{self.key}"\n'


def expect(seen, wanted, what="value"):
    if seen != wanted:
        raise AssertionError(f"{what} was {seen!r}, not {wanted!r}")


def expect_at_least(seen, least, what):
    if seen < least:
        raise AssertionError(f"{what} was {seen}, less than {least}")
