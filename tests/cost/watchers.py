"""watchers.py [--cycles N]: what it costs pairs that somebody watches.

lubdub has 5,000 pairs that are pinged and 64 that talk. In turns nobody watches, and 50 watchers read events while a
page asks for a list of pairs. What is compared is the time of the processor of the threads that relay, and how late
pings are: each watched turn with the turns before and behind it, since other programs run on this machine, too. The
main thread, which answers, is told apart. It fails if it is sure that pairs pay more than 5 %.

LUBDUB and LUBDUB_BENCH name the binaries if they are not in target/release.
"""

import argparse
import contextlib
import json
import math
import os
import re
import selectors
import socket
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import lubdub

BENCH = os.environ.get("LUBDUB_BENCH", str(lubdub.ROOT / "target" / "release" / "lubdub-bench"))
IDLE, BUSY, MESSAGES = 5000, 64, 2000
WATCHERS = 50
# Of a turn, in seconds: first all gets used to it, then it is measured.
SETTLE, TURN = 0.7, 3.5
LOOK = 2
# What pairs may pay.
BAR = 1.05
SETTINGS = {
    "keepalive.client.interval": "2s",
    "keepalive.upstream.interval": "2s",
}
# Of Student's distribution, two-sided 95 %, by degrees of freedom.
T95 = {4: 2.78, 6: 2.45, 9: 2.26, 14: 2.14, 19: 2.09, 24: 2.06, 29: 2.05}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cycles", type=int, default=20, choices=[count + 1 for count in T95])
    cycles = parser.parse_args().cycles
    with contextlib.ExitStack() as life:
        backend = life.enter_context(bench("backend", "--listen", "127.0.0.1:0"))
        address = re.search(r"127\.0\.0\.1:(\d+)", backend.stdout.readline())
        proxy = life.enter_context(running(int(address[1])))
        url = "--url=ws://{}:{}/".format(*proxy.address)
        long = str(lubdub.LIMIT)
        life.enter_context(bench("heartbeat", url, f"--connections={IDLE}", "--at-once=200", "--seconds", long))
        life.enter_context(bench("relay", url, f"--connections={BUSY}", f"--rate={MESSAGES}", "--seconds", long))
        wait_for(proxy, IDLE + BUSY)
        turns = play(proxy, cycles)
    return judge(turns)


@contextlib.contextmanager
def running(port):
    with lubdub.started([], port, SETTINGS) as process:
        proxy = lubdub.Lubdub(process)
        # Nobody else reads its log, and it must not wait for one.
        threading.Thread(target=process.stderr.read, daemon=True).start()
        yield proxy


@contextlib.contextmanager
def bench(*arguments):
    process = subprocess.Popen([BENCH, *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for(proxy, pairs):
    deadline = time.monotonic() + 60
    while json.loads(proxy.ask("/api/v1/pairs?limit=0"))["total"] < pairs:
        if time.monotonic() > deadline:
            raise lubdub.Fault(f"there are not {pairs} pairs in time")
        time.sleep(0.2)
    time.sleep(3)


def play(proxy, cycles):
    """Turns without and with watchers, one more without."""
    turns = []
    for number in range(2 * cycles + 1):
        is_watched = number % 2 == 1
        with watched(proxy) if is_watched else contextlib.nullcontext() as watching:
            time.sleep(SETTLE)
            turns.append(measure(proxy, watching))
    return turns


@contextlib.contextmanager
def watched(proxy):
    """Watchers in a thread of their own, that do nothing but take what comes."""
    watching = SimpleNamespace(bytes=0, is_over=False, lists=0)
    selector = selectors.DefaultSelector()
    for _ in range(WATCHERS):
        watcher = socket.create_connection(proxy.admin, 10)
        watcher.sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        selector.register(watcher, selectors.EVENT_READ)

    def read():
        look = time.monotonic()
        while not watching.is_over:
            for key, _ in selector.select(0.05):
                taken = key.fileobj.recv(1 << 16)
                if not taken:
                    raise lubdub.Fault("a watcher was let go")
                watching.bytes += len(taken)
            if time.monotonic() >= look:
                look += LOOK
                watching.lists += len(json.loads(proxy.ask("/api/v1/pairs?limit=100"))["pairs"]) == 100

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield watching
    finally:
        watching.is_over = True
        reader.join()
        for key in list(selector.get_map().values()):
            key.fileobj.close()


def measure(proxy, watching):
    (late, pings), began = delays(proxy), threads(proxy)
    start = time.monotonic()
    time.sleep(TURN)
    ran = {name: after - began[name] for name, after in threads(proxy).items() if name in began}
    took = time.monotonic() - start
    late, pings = (after - before for after, before in zip(delays(proxy), (late, pings), strict=True))
    if watching and (watching.bytes < WATCHERS * 1000 or watching.lists < 1):
        raise lubdub.Fault("the watchers have seen nothing")
    if pings < IDLE:
        raise lubdub.Fault(f"only {pings} pings in {took:.1f} s")
    main = ran.pop("main")
    return SimpleNamespace(
        relay=sum(ran.values()) / took / 1e9,
        main=main / took / 1e9,
        late=late / pings,
    )


def threads(proxy):
    """For how many nanoseconds each thread has run."""
    tasks = Path(f"/proc/{proxy.process.pid}/task")
    name = lambda task: "main" if int(task.name) == proxy.process.pid else task.name  # noqa: E731
    return {name(task): int((task / "schedstat").read_text().split()[0]) for task in tasks.iterdir()}


def delays(proxy):
    """How late all pings were, and how many they are."""
    return proxy.sums("lubdub_ping_delay_seconds_sum", "lubdub_ping_delay_seconds_count")


def judge(turns):
    calm, watched = turns[0::2], turns[1::2]
    failed = False
    for name, what in [("relay", "processor of the threads that relay"), ("late", "lateness of pings")]:
        pick = lambda turn: getattr(turn, name)  # noqa: B023, E731
        # Against the turns before and behind it.
        logs = [
            math.log(pick(turn) / statistics.mean([pick(calm[n]), pick(calm[n + 1])])) for n, turn in enumerate(watched)
        ]
        middle = statistics.mean(logs)
        apart = T95[len(logs) - 1] * statistics.stdev(logs) / math.sqrt(len(logs))
        low, ratio, high = (math.exp(value) for value in (middle - apart, middle, middle + apart))
        unit = "ms/s" if name == "relay" else "ms"
        typical = statistics.median(map(pick, calm)) * 1000, statistics.median(map(pick, watched)) * 1000
        print(f"{what}: {typical[0]:.2f} -> {typical[1]:.2f} {unit}, ratio {ratio:.3f} [{low:.3f}, {high:.3f}]", flush=True)
        if low > BAR:
            print(f"  more than {BAR:.2f}")
            failed = True
    main = [1000 * statistics.median(turn.main for turn in turns) for turns in (calm, watched)]
    print(f"processor of the main thread: {main[0]:.2f} -> {main[1]:.2f} ms/s")
    return failed


if __name__ == "__main__":
    sys.exit(main())
