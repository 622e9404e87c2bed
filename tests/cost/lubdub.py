"""lubdub, the real program with one worker: under callgrind, which counts the instructions of each thread, or as
it is, on a processor of its own, whose time counts.
"""

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

from endpoints import PATIENCE, Fault

ROOT = Path(__file__).resolve().parents[2]
# What callgrind wrote of the last runs stays here, for callgrind_annotate.
WORK = ROOT / "target" / "cost"
LUBDUB = os.environ.get("LUBDUB", str(ROOT / "target" / "release" / "lubdub"))


# What a thread that relays has called.
RELAYS = "lubdub_proxy::splice::"
# What takes a block from the allocator.
TAKE = {f"_rjem_{name}" for name in ("malloc", "mallocx", "calloc", "realloc", "rallocx")}
# No life of lubdub's takes longer; one that does is ended, and whatever waits for it fails.
LIMIT = 300
# Between two looks at how long its threads have run, in seconds: a tick, at which the kernel adds up, is no longer.
REST = 0.01


@contextlib.contextmanager
def counted(name, listener, settings):
    """A life of lubdub's in front of `listener`, in which its instructions are counted."""
    WORK.mkdir(parents=True, exist_ok=True)
    out = WORK / f"{name}.callgrind"
    for left in WORK.glob(f"{out.name}*"):
        left.unlink()
    valgrind = [
        *("valgrind", "--tool=callgrind", "--separate-threads=yes"),
        *(f"--callgrind-out-file={out}", f"--log-file={WORK / name}.valgrind"),
    ]
    with started(valgrind, listener.getsockname()[1], settings) as process:
        yield Lubdub(process, out)


@contextlib.contextmanager
def timed(processor, listener, settings):
    """A life of lubdub's in front of `listener`, as it is, on one processor."""
    under = ["taskset", "--cpu-list", str(processor)]
    with started(under, listener.getsockname()[1], settings) as process:
        yield Lubdub(process)


@contextlib.contextmanager
def started(under, port, settings):
    """A process of lubdub's, run by what is `under` it, if anything, in front of that port of this machine."""
    settings = {"admin.address": "127.0.0.1:0", "runtime.workers": "1", **settings}
    process = subprocess.Popen(
        [
            *under,
            *(LUBDUB, "--listen", "127.0.0.1:0", "--log-format", "json"),
            *("--upstream", f"ws://127.0.0.1:{port}"),
            *(argument for key, value in settings.items() for argument in ("--set", f"{key}={value}")),
        ],
        # Nothing of LUBDUB's in it, which is configuration.
        env={"PATH": os.environ["PATH"]},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    bomb = threading.Timer(LIMIT, process.kill)
    bomb.start()
    try:
        yield process
    finally:
        bomb.cancel()
        process.kill()
        process.wait()
        process.stderr.close()


class Lubdub:
    """One that runs."""

    def __init__(self, process, out=None):
        self.process = process
        self.out = out
        self.admin = address(self.logged("admin listens"))
        self.address = address(self.logged("listening"))
        self.logged("ready")

    def logged(self, message):
        """Waits for a line of its log."""
        lines = []
        for line in self.process.stderr:
            lines.append(line)
            # What is not JSON is no log line but a complaint.
            entry = json.loads(line) if line.startswith("{") else {}
            if entry.get("msg") == message:
                return entry
        raise Fault(f"lubdub ended before it logged {message!r}: {''.join(lines)}")

    def ask(self, path):
        """What its admin listener tells."""
        connection = http.client.HTTPConnection(*self.admin, timeout=PATIENCE)
        try:
            connection.request("GET", path, headers={"Connection": "close"})
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    def sums(self, *metrics):
        """Of each metric the sum of all its series, at one moment."""
        text = self.ask("/metrics")
        found = [re.findall(rf"^{metric}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE) for metric in metrics]
        for metric, series in zip(metrics, found, strict=True):
            if not series:
                raise Fault(f"there is no {metric}")
        return [sum(map(float, series)) for series in found]

    def nanoseconds(self):
        """How long its threads have run, in the kernel too. Of one that runs the kernel does not know it to the
        moment: waits until all rest.
        """
        tasks = Path(f"/proc/{self.process.pid}/task")
        known = None
        while True:
            ran = sum(int(task.read_text().split()[0]) for task in tasks.glob("*/schedstat"))
            if ran == known:
                return ran
            known = ran
            time.sleep(REST)

    def end(self):
        """Ends it, and returns the instructions of its worker."""
        self.process.send_signal(signal.SIGTERM)
        self.process.stderr.read()
        code = self.process.wait(PATIENCE)
        if code != 0:
            raise Fault(f"lubdub ended with {code}: see {WORK}")
        profiles = {path: path.read_text() for path in WORK.glob(f"{self.out.name}-*")}
        # Other threads do what takes time, not work: the first measures the clock of the processor until it
        # knows it well enough, and the allocator has one that cleans up now and then.
        workers = [path for path, profile in profiles.items() if RELAYS in profile]
        total = re.search(r"^totals: (\d+)$", profiles[workers[0]], re.MULTILINE) if len(workers) == 1 else None
        if total is None:
            raise Fault(f"{len(workers)} threads have relayed: see {WORK}")
        workers[0].replace(self.out)
        for path in profiles.keys() - workers:
            path.unlink()
        return int(total[1])


    def blocks(self):
        """Ends it, and returns how many blocks of memory its worker has taken, those that have grown among them."""
        self.end()
        names, called, taken = {}, None, 0
        for line in self.out.read_text().splitlines():
            # A name stands behind its number the first time only.
            if function := re.match(r"c?fn=\((\d+)\)(?: (.+))?$", line):
                number, name = function.groups()
                name = names.setdefault(number, name)
                called = name if line.startswith("cfn=") else None
            elif (calls := re.match(r"calls=(\d+)", line)) and called in TAKE:
                taken += int(calls[1])
        return taken


def address(line):
    host, port = line["address"].rsplit(":", 1)
    return host, int(port)
