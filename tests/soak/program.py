"""lubdub as a process: its configuration, who reads its log, and what can be seen of it from outside."""

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / "target" / "soak"
LUBDUB = os.environ.get("LUBDUB", str(ROOT / "target" / "release" / "lubdub"))
# Of the heartbeat, in seconds.
INTERVAL, TIMEOUT = 5, 5
CONFIG = """
[listen.front]
address = "127.0.0.1:0"
[upstream.well]
url = "ws://127.0.0.1:{well}"
[upstream.hangs]
url = "ws://127.0.0.1:{hangs}"
[upstream.flaps]
url = "ws://127.0.0.1:{flaps}"
[route.well]
path_prefix = "/well"
upstream = "well"
[route.hangs]
path_prefix = "/hangs"
upstream = "hangs"
[route.flaps]
path_prefix = "/flaps"
upstream = "flaps"
[keepalive.client]
interval = "{interval}s"
timeout = "{timeout}s"
[keepalive.upstream]
interval = "{interval}s"
timeout = "{timeout}s"
[timeouts]
answer = "10s"
http_idle = "20s"
[admin]
address = "127.0.0.1:0"
[log]
format = "json"
"""


class Lubdub:
    def __init__(self, well, hangs, flaps):
        WORK.mkdir(parents=True, exist_ok=True)
        config = WORK / "lubdub.toml"
        config.write_text(CONFIG.format(well=well, hangs=hangs, flaps=flaps, interval=INTERVAL, timeout=TIMEOUT))
        self.process = subprocess.Popen(
            [LUBDUB, "--config", config],
            # Nothing of LUBDUB's in it, which is configuration.
            env={"PATH": os.environ["PATH"]},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        self.pid = self.process.pid
        self.log = LogReader(self.process.stderr.fileno(), WORK / "lubdub.log")
        self.admin = self.log.address("admin listens")
        self.front = self.log.address("listening")
        self.log.address("ready")
        self.waits = {}

    def scrape(self):
        """All series, by their text."""
        text = self.get("/metrics")
        return {name: float(value) for name, value in re.findall(r"^(\w+(?:{[^}]*})?) (\S+)$", text, re.MULTILINE)}

    def sum(self, metric, series=None):
        """The sum of all series of a metric."""
        series = self.scrape() if series is None else series
        return sum(value for name, value in series.items() if name.split("{")[0] == metric)

    def listed(self):
        """How many pairs the list has."""
        count, behind = 0, ""
        while True:
            page = json.loads(self.get(f"/api/v1/pairs?limit=1000{behind}"))
            count += len(page["pairs"])
            if not page.get("next"):
                return count
            behind = f"&after={page['next']}"

    def get(self, path):
        connection = http.client.HTTPConnection(*self.admin, timeout=20)
        with contextlib.closing(connection):
            connection.request("GET", path, headers={"Connection": "close"})
            return connection.getresponse().read().decode()

    def threads(self):
        return len(os.listdir(f"/proc/{self.pid}/task"))

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def resident(self):
        """In bytes."""
        (kilobytes,) = re.findall(r"^VmRSS:\s+(\d+) kB$", Path(f"/proc/{self.pid}/status").read_text(), re.MULTILINE)
        return int(kilobytes) * 1024

    def waited(self):
        """For how long each of its threads has waited for a core so far, in seconds: the machine's doing, and not
        lubdub's."""
        waited = {}
        for task in os.listdir(f"/proc/{self.pid}/task"):
            with contextlib.suppress(OSError, ValueError, IndexError):
                if task not in self.waits:
                    self.waits[task] = os.open(f"/proc/{self.pid}/task/{task}/schedstat", os.O_RDONLY)
                waited[task] = int(os.pread(self.waits[task], 100, 0).split()[1]) / 1e9
        return waited

    def end(self, patience=20):
        """SIGTERM; its code."""
        self.process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.process.wait(patience)
        return f"nothing for {patience} s"

    def kill(self):
        self.process.kill()
        self.process.wait()


class LogReader(threading.Thread):
    """Reads the log, and stops when told to, as an operator's collector does."""

    def __init__(self, descriptor, path):
        super().__init__(daemon=True)
        self.descriptor = descriptor
        self.file = path.open("wb")
        self.goes_on = threading.Event()
        self.goes_on.set()
        self.came = threading.Condition()
        self.first = b""
        self.bytes = 0
        self.start()

    def run(self):
        while True:
            self.goes_on.wait()
            block = os.read(self.descriptor, 1 << 16)
            if not block:
                return
            self.file.write(block)
            self.file.flush()
            self.bytes += len(block)
            if len(self.first) < 1 << 16:
                with self.came:
                    self.first += block
                    self.came.notify_all()

    def stop(self):
        self.goes_on.clear()

    def go_on(self):
        self.goes_on.set()

    def address(self, message, patience=20):
        """The address in the first line with this message, if it has one."""
        end = time.monotonic() + patience
        with self.came:
            while True:
                for line in self.first.split(b"\n")[:-1]:
                    entry = json.loads(line) if line.startswith(b"{") else {}
                    if entry.get("msg") == message:
                        host, _, port = entry.get("address", "").rpartition(":")
                        return (host, int(port)) if port else None
                if not self.came.wait(end - time.monotonic()) and time.monotonic() > end:
                    raise RuntimeError(f"lubdub did not log {message!r}: {self.first.decode()}")
