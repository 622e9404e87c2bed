"""Two thousand pairs that come, talk, freeze and go, beside upstreams that are not well and a log that nobody reads:
does the healthy route notice, and what is left behind?

    SOAK_SECONDS=3600 tests/soak/soak.py        LUBDUB names the binary if it is not target/release/lubdub

Its last line says how much was right. What it all means: docs/topics/soak.md.
"""

import asyncio
import contextlib
import json
import math
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "faults"))

from frames import CLOSE, ask, close_payload, encode  # noqa: E402

from program import INTERVAL, TIMEOUT, WORK, Lubdub  # noqa: E402

SECONDS = float(os.environ.get("SOAK_SECONDS", 3600))
PAIRS = int(os.environ.get("SOAK_PAIRS", 2000))
# Until a frozen endpoint is found: the next ping, its timeout, and what a busy machine takes.
PATIENCE = INTERVAL + TIMEOUT + 8
# The log is not read for so long, once in every minute.
LOG_STOPS, LOG_EVERY = 10, 60
# How often the healthy route is asked, and how long an answer may take.
EVERY, LIMIT = 0.05, 20
# More than the control by so much, in seconds.
USUAL, WORST = 0.1, 1.0
# Memory that may be there and was not after the first round: what pages of the allocator hold.
BYTES = 4 << 20
# How long lubdub has to let go of what is over.
SETTLE = 60


class Verdict:
    def __init__(self):
        self.passed = self.failed = 0

    def must(self, truth, what, figures=""):
        self.passed += bool(truth)
        self.failed += not truth
        print(f"{'ok  ' if truth else 'FAIL'}  {what}" + (f": {figures}" if figures else ""), flush=True)


class Prober:
    """Asks the healthy route and its upstream directly, at the same moments and in the same way."""

    def __init__(self, lubdub, well):
        self.lubdub = lubdub
        self.targets = {"lubdub": lubdub.front[1], "control": well}
        self.took = {}
        self.failures = []

    async def run(self, until):
        asked = []
        while time.monotonic() < until:
            for how in (self.plain, self.upgrade):
                asked.append(asyncio.ensure_future(self.both(how)))
            await asyncio.sleep(EVERY)
            asked = [task for task in asked if not task.done()]
        await asyncio.gather(*asked)

    async def both(self, how):
        await asyncio.gather(*(self.one(how, target) for target in self.targets))

    async def one(self, how, target):
        waited = self.lubdub.waited() if target == "lubdub" else {}
        began = time.monotonic()
        try:
            async with asyncio.timeout(LIMIT):
                await how(self.targets[target])
        except Exception as error:
            self.failures.append(f"{how.__name__} of {target}: {error!r}")
        took = time.monotonic() - began
        if waited:
            # A thread that was ready and had no core is the machine's fault.
            now = self.lubdub.waited()
            took -= min(max((now[task] - waited.get(task, 0) for task in now), default=0), took)
        self.took.setdefault((how.__name__, target), []).append(took)

    async def plain(self, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with contextlib.closing(writer):
            writer.write(b"GET /well HTTP/1.1\r\nHost: localhost\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200 ") or await reader.readexactly(3) != b"ok\n":
                raise RuntimeError(head)

    async def upgrade(self, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with contextlib.closing(writer):
            await ask(reader, writer, "localhost", "/well")
            writer.write(encode(CLOSE, close_payload(1000), masked=True))

    def judge(self, verdict):
        for how in ("plain", "upgrade"):
            ours, control = (sorted(self.took[how, target]) for target in ("lubdub", "control"))
            usual, usual_control = rank(ours), rank(control)
            figures = f"{usual * 1000:.1f} ms, control {usual_control * 1000:.1f} ms, of {len(ours)}"
            verdict.must(usual - usual_control <= USUAL, f"p99.9 of {how} on the healthy route", figures)
            figures = f"{ours[-1] * 1000:.1f} ms, control {control[-1] * 1000:.1f} ms"
            verdict.must(ours[-1] - control[-1] <= WORST, f"the worst {how} on the healthy route", figures)
        failures = [failure for failure in self.failures if "lubdub" in failure]
        shown = f"{len(failures)} of {sum(map(len, self.took.values())) // 2}"
        verdict.must(not failures, "no request of the healthy route failed", "; ".join([shown, *failures[:3]]))
        controls = [failure for failure in self.failures if "lubdub" not in failure]
        verdict.must(not controls, "nor did the control", "; ".join([str(len(controls)), *controls[:3]]))


class Child:
    """A script of these, as a process."""

    def __init__(self, script, *arguments):
        self.process = subprocess.Popen(
            [sys.executable, "-B", str(HERE / script), *map(str, arguments)],
            env={**os.environ, "PYTHONPATH": str(HERE.parent / "faults")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def say(self):
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()

    def hear(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.process.args[2]} has ended")
        return line

    def kill(self):
        self.process.kill()
        self.process.wait()


async def stop_reading(log, stops):
    """Ten seconds of every minute; in a short run once all the same."""
    while True:
        await asyncio.sleep(min(LOG_EVERY - LOG_STOPS, SECONDS / 4))
        log.stop()
        stops.append(log.bytes)
        await asyncio.sleep(LOG_STOPS)
        log.go_on()


async def play(lubdub, crowd, well, seconds):
    """One round: what the prober measured, what the crowd saw, and how often the log stopped."""
    prober, stops = Prober(lubdub, well), []
    stopping = asyncio.ensure_future(stop_reading(lubdub.log, stops))
    crowd.say()
    try:
        await prober.run(time.monotonic() + seconds)
    finally:
        stopping.cancel()
        lubdub.log.go_on()
    crowd.say()
    seen = json.loads(await asyncio.to_thread(crowd.hear))
    return prober, seen, len(stops)


def settle(lubdub, before):
    """Waits until lubdub has let go of everything that it did not have before; what it has still."""
    end = time.monotonic() + SETTLE
    while True:
        left = {
            "the gauge of pairs": lubdub.sum("lubdub_pairs"),
            "pairs in the list": lubdub.listed(),
            "descriptors": lubdub.descriptors() - before["descriptors"],
            "threads": lubdub.threads() - before["threads"],
        }
        if time.monotonic() > end or not any(value > 0 for value in left.values()):
            return left
        time.sleep(0.5)


def rank(took):
    """The nearest rank of 99.9 %."""
    return took[math.ceil(len(took) * 0.999) - 1]


def hold_port():
    """A port that the kernel gives to nobody else as long as its socket lives; asyncio's servers can listen there."""
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    return held


def soak(verdict):
    held = [hold_port() for _ in range(3)]
    ports = well, _, _ = [one.getsockname()[1] for one in held]
    backends = Child("backends.py", *ports)
    lubdub = crowd = None
    try:
        backends.hear()
        lubdub = Lubdub(*ports)
        crowd = Child("crowd.py", lubdub.front[1], PAIRS, PATIENCE)
        time.sleep(1)
        lubdub.sum("lubdub_pairs")
        before = {"descriptors": lubdub.descriptors(), "threads": lubdub.threads()}

        # What is there after a first round is what this load needs; what is more after the second was left over.
        first = max(10.0, min(SECONDS / 4, 300))
        asyncio.run(play(lubdub, crowd, well, first))
        settle(lubdub, before)
        time.sleep(3)
        resident = lubdub.resident()
        print(f"first round: {first:.0f} s, {resident >> 10} KiB after it", flush=True)

        prober, crowd_saw, stops = asyncio.run(play(lubdub, crowd, well, max(SECONDS - first, 20)))
        print(f"the crowd saw {json.dumps(crowd_saw['seen'], sort_keys=True)}", flush=True)
        prober.judge(verdict)
        wrongs = crowd_saw["wrongs"]
        verdict.must(not wrongs, "no pair was wronged, and who froze was found", json.dumps(wrongs))
        for what in ("well: freeze", "well: freeze_upstream", "flaps: pairs", "hangs: left"):
            verdict.must(crowd_saw["seen"].get(what, 0) > 0, f"there were some of {what!r}")
        verdict.must(stops > 0, "the log was not read now and then", f"{stops} times")

        for what, value in settle(lubdub, before).items():
            verdict.must(value <= 0, f"nothing is left of {what}", f"{value:g}")
        series = lubdub.scrape()
        opened, closed = (lubdub.sum(f"lubdub_pairs_{what}_total", series) for what in ("opened", "closed"))
        gauge = lubdub.sum("lubdub_pairs", series)
        verdict.must(opened - closed == gauge, "opened minus closed is the gauge", f"{opened:.0f} - {closed:.0f}")
        time.sleep(3)
        grown = lubdub.resident() - resident
        verdict.must(grown <= BYTES, "no memory is left over", f"{grown >> 10} KiB more than after the first round")
        verdict.must(lubdub.end() == 0, "SIGTERM ends it")
    finally:
        for child in (lubdub, crowd, backends):
            if child is not None:
                child.kill()


def main():
    # Whoever ends this ends what it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    verdict = Verdict()
    print(f"{PAIRS} clients for {SECONDS:.0f} s; lubdub's log is {WORK / 'lubdub.log'}", flush=True)
    try:
        soak(verdict)
    except Exception as error:
        verdict.must(False, "the soak came to its end", repr(error))
    print(f"{verdict.passed} passed, {verdict.failed} failed")
    return 1 if verdict.failed else 0


if __name__ == "__main__":
    sys.exit(main())
