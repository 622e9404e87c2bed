"""What lubdub says of itself, in its log and in its metrics, and whether the two agree.

The log has the time of the wall clock, the endpoints that of CLOCK_MONOTONIC; the offset between the
two is taken when the log is read.
"""

import collections
import datetime
import json
import re
import socket
import struct
import threading
import time

from world import FRONT_PORT, PROXY, Fault, must, socket_in, until

SAMPLE = re.compile(r'^(\w+)(?:\{(.*)\})? (\S+)$')
LABEL = re.compile(r'(\w+)="([^"]*)"')


class Log:
    """The log so far: lines as objects, with `t` on CLOCK_MONOTONIC."""

    # lubdub writes lines together that come within 5 ms: what has happened has its line by then, in seconds.
    WRITTEN = 0.1

    def __init__(self, lubdub):
        time.sleep(self.WRITTEN)
        offset = time.time() - time.monotonic()
        self.lines = []
        # The last line may be in the middle of being written.
        whole, _, _ = lubdub.path.read_text().rpartition("\n")
        for text in whole.splitlines():
            try:
                line = json.loads(text)
            except ValueError:
                raise Fault(f"lubdub logged no JSON: {text[:300]}") from None
            wall = datetime.datetime.fromisoformat(line["time"])
            line["t"] = wall.timestamp() - offset
            self.lines.append(line)

    def of(self, message, **fields):
        return [
            line
            for line in self.lines
            if line["msg"] == message and all(line.get(k) == v for k, v in fields.items())
        ]

    def alarms(self):
        """What it warned of, but for the intervals and timeouts of these cases, which are unwise on purpose."""
        grave = [line for line in self.lines if line["level"] in ("warn", "error")]
        return [line for line in grave if line["msg"] != "the configuration has a warning"]

    def ids(self):
        """lubdub's number of the pair by the port of its client."""
        return {int(line["client"].rsplit(":", 1)[1]): line["pair"] for line in self.of("pair opened")}

    def deadline(self, pair, side, timeout):
        """When the oldest unanswered own ping to a side should have been answered.

        Only for sides that send nothing but pongs: any other byte is a sign of life too.
        """
        oldest = None
        for line in self.lines:
            if line.get("pair") == pair and line.get("side") == side:
                match line["msg"]:
                    case "ping written":
                        oldest = oldest or line["t"]
                    case "pong received":
                        oldest = None
                    case "lapsed":
                        break
        must(oldest is not None, f"no unanswered ping to the {side} of pair {pair} in the log")
        return oldest + timeout


class Metrics:
    """One scrape."""

    def __init__(self, lubdub):
        self.samples = []
        for line in lubdub.get("/metrics").splitlines():
            if not line or line.startswith("#"):
                continue
            name, labels, value = SAMPLE.match(line).groups()
            self.samples.append((name, dict(LABEL.findall(labels or "")), float(value)))

    def total(self, name, **labels):
        return sum(
            value
            for known, has, value in self.samples
            if known == f"lubdub_{name}" and all(has.get(k) == v for k, v in labels.items())
        )

    def by(self, name, *labels):
        """What is not 0, by these labels."""
        found = collections.Counter()
        for known, has, value in self.samples:
            if known == f"lubdub_{name}" and value:
                found[tuple(has[label] for label in labels)] += int(value)
        return dict(found)


class Arrivals:
    """Segments that bring bytes to the proxy's end of the client link: a witness of its own for what
    lubdub could have heard.

    What had arrived before, and is sent again because its acknowledgement was lost, brings nothing: a
    kernel drops it, and tells nobody.
    """

    ETH_P_IP = 0x0800

    def __init__(self, world):
        self.seen = collections.defaultdict(list)
        # By their sequence numbers.
        self.bytes = collections.defaultdict(set)
        self.socket = socket_in(
            world.namespace(PROXY),
            lambda: socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(self.ETH_P_IP)),
        )
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        while True:
            packet = self.socket.recv(65536)
            now = time.monotonic()
            header = (packet[0] & 0x0F) * 4
            (total,) = struct.unpack("!H", packet[2:4])
            if packet[9] != socket.IPPROTO_TCP:
                continue
            source, target, first = struct.unpack("!HHI", packet[header : header + 8])
            payload = total - header - (packet[header + 12] >> 4) * 4
            brought = {(first + n) % 2**32 for n in range(payload)}
            if target == FRONT_PORT and not brought <= self.bytes[source]:
                self.bytes[source] |= brought
                self.seen[source].append(now)

    def between(self, port, start, end):
        return [at for at in self.seen[port] if start < at < end]


class Control:
    """A sleep beside the runs: how late this machine wakes anybody at all."""

    STEP = 0.005

    def __init__(self):
        self.late = collections.deque(maxlen=20_000)
        threading.Thread(target=self.sleep, daemon=True).start()

    def sleep(self):
        while True:
            due = time.monotonic() + self.STEP
            time.sleep(self.STEP)
            woken = time.monotonic()
            self.late.append((woken, woken - due))

    def worst(self, start, end):
        return max((late for woken, late in list(self.late) if start <= woken <= end + 0.05), default=0.0)


def books(lubdub, closed, lapses=None, stalls=None):
    """All pairs have ended, for these causes; gauges, registry, counters and log must say the same.

    `closed` counts by cause, `lapses` by (side, diagnosis), `stalls` by side.
    """
    lapses, stalls = lapses or {}, stalls or {}
    until(lambda: Metrics(lubdub).total("pairs") == 0, 10, "the gauge of pairs is 0 again")
    metrics, log = Metrics(lubdub), Log(lubdub)
    listed = json.loads(lubdub.get("/api/v1/pairs"))
    must(listed["total"] == 0, f"pairs are left in the list: {listed}")
    opened = sum(closed.values())
    must(metrics.total("pairs_opened_total") == opened, f"pairs_opened_total is not {opened}")
    told = {cause: n for (cause,), n in metrics.by("pairs_closed_total", "cause").items()}
    must(told == closed, f"pairs_closed_total says {told}, not {closed}")
    logged = dict(collections.Counter(line["cause"] for line in log.of("pair ended")))
    must(logged == closed, f"the log says {logged}, not {closed}")
    told = metrics.by("lapses_total", "side", "diagnosis")
    must(told == lapses, f"lapses_total says {told}, not {lapses}")
    logged = collections.Counter(
        (line["cause"].removesuffix("_lapsed"), line["diagnosis"])
        for line in log.of("pair ended")
        if line["cause"].endswith("_lapsed")
    )
    must(dict(logged) == lapses, f"the log says {dict(logged)} lapsed, not {lapses}")
    told = {side: n for (side,), n in metrics.by("write_stalls_total", "side").items()}
    must(told == stalls, f"write_stalls_total says {told}, not {stalls}")
    observed = metrics.by("would_have_lapsed_total", "side")
    must(not observed, f"would_have_lapsed_total says {observed}")
