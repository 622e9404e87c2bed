"""What lubdub executes for a message and for a heartbeat, and how long control frames take it beside texts:
`cost.py --help`, docs/topics/cost.md.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path

import endpoints
import flood
from endpoints import BINARY, MASK, PING, PONG, TEXT, Fault, Pair, frame, listen
from lubdub import LUBDUB, WORK, Lubdub, counted

BASELINE = Path(__file__).with_name("baseline.json")
# Of a figure that is new.
TOLERANCE = 0.03
# What is so much below its baseline deserves a new one, or it could be lost again unseen.
BETTER = 0.05
MIB = 1 << 20

# Empty frames of a client's, of 6 bytes each: lubdub reads 32 KiB at once.
AT_ONCE = 5000

# Not a number of instructions: control frames beside texts.
FLOOD = "flood"

SIDES = "client", "upstream"
# Nobody is pinged while messages are counted, but the clocks that would do it run.
QUIET = {f"keepalive.{side}.{key}": "1h" for side in SIDES for key in ("interval", "timeout")}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1, help="of each figure; their median counts (1)")
    parser.add_argument("figure", nargs="*", help=f"some of: {', '.join((*FIGURES, FLOOD))}")
    arguments = parser.parse_args()
    unknown = set(arguments.figure) - {*FIGURES, FLOOD}
    if unknown:
        parser.error(f"no such figure: {', '.join(sorted(unknown))}")
    if not os.access(LUBDUB, os.X_OK):
        parser.error(f"{LUBDUB} is not there: cargo build --release -p lubdub")

    baseline = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    measured = {}
    asked = arguments.figure or [*FIGURES, FLOOD]
    for name in [name for name in asked if name != FLOOD]:
        runs = [FIGURES[name].count(name) for _ in range(arguments.runs)]
        measured[name] = statistics.median(runs)
        spread = f" ({min(runs):,.0f} to {max(runs):,.0f} in {len(runs)} runs)" if len(runs) > 1 else ""
        print(f"{name}: {measured[name]:,.0f} {FIGURES[name].unit}{spread}", flush=True)
    if os.environ.get("LUBDUB_BLESS") == "1":
        bless(baseline, measured)
        failed = 0
    else:
        failed = compare(baseline, measured)
    # Needs no baseline: texts are its measure.
    return flood.check(QUIET) | failed if FLOOD in asked else failed


class Figure:
    """What one more unit costs: what a long life of lubdub's does less what a short one does, by the
    units that each has seen. What a life costs of itself is in both.
    """

    def __init__(self, unit, live, short, long):
        self.unit = unit
        self.live = live
        self.lengths = short, long

    def count(self, name):
        (few, before), (many, after) = (self.live(name, length) for length in self.lengths)
        return (after - before) / (many - few)


def messages(pairs, size, unit):
    """Lives in which messages of `size` bytes are echoed: each of the pairs has one under way at a time.
    Returns how many units were relayed, and the instructions.
    """

    def live(name, rounds):
        said, answered = frame(BINARY, bytes(size), MASK), frame(BINARY, bytes(size))
        with listen() as listener, counted(name, listener, QUIET) as lubdub:
            opened = [Pair(lubdub.address, listener) for _ in range(pairs)]
            for _ in range(rounds):
                for pair in opened:
                    pair.client.sendall(said)
                for pair in opened:
                    endpoints.expect(pair.upstream, said)
                for pair in opened:
                    pair.upstream.sendall(answered)
                for pair in opened:
                    endpoints.expect(pair.client, answered)
            for pair in opened:
                pair.close()
            # An echo is relayed twice.
            return 2 * pairs * rounds / unit, lubdub.end()

    return live


def sessions(count):
    """Lives of short sessions, one after the other: an upgrade, one message there and back, the closing handshake.
    Returns how many there were, and what `count` says of the life.
    """

    def live(name, times):
        said, answered = frame(BINARY, bytes(125), MASK), frame(BINARY, bytes(125))
        with listen() as listener, counted(name, listener, QUIET) as lubdub:
            for _ in range(times):
                pair = Pair(lubdub.address, listener)
                pair.client.sendall(said)
                endpoints.expect(pair.upstream, said)
                pair.upstream.sendall(answered)
                endpoints.expect(pair.client, answered)
                pair.close()
                # A session may not meet the end of the one before it.
                lubdub.logged("pair ended")
            return times, count(lubdub)

    return live


def empty_frames(opcode):
    """Lives in which a client says nothing but empty frames of one kind, nearly as many at a time as lubdub
    reads at once. Returns how many thousands were relayed, and the instructions.
    """
    single = frame(opcode, b"", MASK)
    # Whole frames, and less than lubdub reads at once.
    said = single * AT_ONCE

    def live(name, rounds):
        with listen() as listener, counted(name, listener, QUIET) as lubdub:
            pair = Pair(lubdub.address, listener)
            for _ in range(rounds):
                pair.client.sendall(said)
                endpoints.expect(pair.upstream, said)
            pair.close()
            return rounds * AT_ONCE / 1000, lubdub.end()

    return live


def heartbeats(side):
    """Lives in which one side of one pair answers pings. Were both sides pinged, some pings would share a
    wake-up with one of the other side, and how many is a matter of luck. Returns how many were sent, and the
    instructions.
    """
    settings = {f"keepalive.{other}.interval": "10ms" if other == side else "off" for other in SIDES}
    settings[f"keepalive.{side}.jitter"] = "0"

    def live(name, pings):
        with listen() as listener, counted(name, listener, settings) as lubdub:
            pair = Pair(lubdub.address, listener)
            end, mask = (pair.client, MASK) if side == "client" else (pair.upstream, None)
            for _ in range(pings):
                endpoints.answer_ping(end, mask)
            pair.client.close()
            pair.upstream.close()
            lubdub.logged("pair ended")
            sent, answered = lubdub.sums("lubdub_pings_sent_total", "lubdub_pongs_received_total")
            # The last pong may be lost in the end of the pair, and a ping may come after it.
            if not pings - 1 <= answered <= pings <= sent:
                raise Fault(f"{pings} pings were answered; lubdub has sent {sent:.0f} and seen {answered:.0f}")
            return sent, lubdub.end()

    return live


FIGURES = {
    "relay": Figure("instructions per relayed message of 125 bytes", messages(1, 125, 1), 500, 5_500),
    "relay-64": Figure("instructions per relayed message of 125 bytes, one of 64 at a time", messages(64, 125, 1), 10, 110),
    "bulk": Figure("instructions per relayed MiB in messages of 64 KiB", messages(1, 64 * 1024, MIB // (64 * 1024)), 50, 550),
    "texts": Figure("instructions per thousand empty texts", empty_frames(TEXT), 10, 110),
    "pings": Figure("instructions per thousand empty PINGs of an endpoint's", empty_frames(PING), 10, 110),
    "pongs": Figure("instructions per thousand empty PONGs of an endpoint's", empty_frames(PONG), 10, 110),
    "ping-client": Figure("instructions per ping to a client and its pong", heartbeats("client"), 100, 1_100),
    "ping-upstream": Figure("instructions per ping to an upstream and its pong", heartbeats("upstream"), 100, 1_100),
    "session": Figure("instructions per session of one message", sessions(Lubdub.end), 50, 550),
    "session-blocks": Figure("blocks of memory taken per session of one message", sessions(Lubdub.blocks), 50, 250),
}


def compare(baseline, measured):
    """Says what has changed. Returns the exit code."""
    if baseline and baseline["made with"]["machine"] != platform.machine():
        print(f"NOT COMPARED: the baseline is of {baseline['made with']['machine']}", file=sys.stderr)
        return 0
    worse = False
    for name, instructions in measured.items():
        known = baseline.get("figures", {}).get(name)
        if known is None:
            print(f"FAIL  {name}: not in the baseline; LUBDUB_BLESS=1 make cost writes it")
            worse = True
            continue
        change = instructions / known["instructions"] - 1
        text = f"{name}: {change:+.1%} against {known['instructions']:,}"
        if change > known["tolerance"]:
            worse = True
            print(f"FAIL  {text}, more than {known['tolerance']:.0%} above")
        elif change < -BETTER:
            print(f"ok    {text}: better; LUBDUB_BLESS=1 make cost keeps it so")
        else:
            print(f"ok    {text}")
    if worse:
        print(f"Where they are spent: callgrind_annotate {WORK}/FIGURE.callgrind")
        for what, now in circumstances().items():
            before = baseline.get("made with", {}).get(what)
            if before != now:
                print(f"The baseline was made with {what} {before}; here it is {now}.")
    return int(worse)


def bless(baseline, measured):
    """Writes the figures anew. Tolerances stay as they are."""
    figures = baseline.get("figures", {})
    for name, instructions in measured.items():
        tolerance = figures.get(name, {}).get("tolerance", TOLERANCE)
        figures[name] = {"instructions": round(instructions), "tolerance": tolerance}
    figures = {name: figures[name] for name in FIGURES if name in figures}
    text = json.dumps({"made with": circumstances(), "figures": figures}, indent=2)
    BASELINE.write_text(text + "\n")
    print(f"{BASELINE} is written")


def circumstances():
    """What else the figures depend on."""

    def version(*command):
        try:
            return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        except OSError:
            return "unknown"

    return {
        "machine": platform.machine(),
        "rustc": version("rustc", "--version"),
        "libc": " ".join(platform.libc_ver()),
        "valgrind": version("valgrind", "--version"),
    }


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Fault as fault:
        sys.exit(f"cost: {fault}")
