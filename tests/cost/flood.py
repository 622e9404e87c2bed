"""What a flood of empty control frames costs lubdub beside one of empty texts, in time of the processor, the
kernel's share included: docs/topics/cost.md.
"""

import contextlib
import os
import statistics
import sys
import threading

from endpoints import MASK, PING, PONG, TEXT, Fault, Pair, frame, listen
from lubdub import timed

# A control frame may cost so many times what an empty text costs.
AT_MOST = 2
KINDS = {"texts": TEXT, "pings": PING, "pongs": PONG}
# Of one kind at a time: 6 MB, which take lubdub 6 ms and more.
FRAMES = 1_000_000
# Texts, PINGs and PONGs in turn; medians count. Each kind begins as many rounds as the others.
ROUNDS = 45
# Once, unmeasured: buffers grow, and pages are touched for the first time.
WARM_UP = 1
# What the upstream takes at once, to throw it away.
AT_ONCE = 1 << 20


# A ratio above the bound is looked at again: neighbours of the machine make single runs up to a tenth dearer.
TRIES = 3


def check(settings):
    """Measures, and says what it found. Returns the exit code."""
    processors = sorted(os.sched_getaffinity(0))
    alone = len(processors) > 1
    for left in reversed(range(TRIES)):
        # Far apart: neighbours may be two halves of one core.
        spent = measure(processors[0], processors[-1], settings)
        worse = tell(spent, alone, left)
        if not worse:
            break
    if not alone:
        print("NOT CHECKED: how many times, because that takes two processors", file=sys.stderr)
    return int(worse)


def tell(spent, alone, left):
    """Says what was found; `left` measurements may follow. Returns whether a bound does not hold."""
    for kind, times in spent.items():
        text = f"{kind}: {statistics.median(times):.2f} ms of CPU per MB of them"
        print(f"{text} ({min(times):.2f} to {max(times):.2f} in {len(times)} rounds)")
    failed = False
    for kind in ("pings", "pongs"):
        # The machine is faster and slower from minute to minute: what is compared is of one round.
        ratio = statistics.median(own / texts for own, texts in zip(spent[kind], spent["texts"], strict=True))
        worse = alone and ratio > AT_MOST
        failed |= worse
        word = ("again" if left else "FAIL ") if worse else "ok   " if alone else "     "
        print(f"{word} {kind}: {ratio:.2f} x the CPU of empty texts, at most {AT_MOST}", flush=True)
    return failed


def measure(own, others, settings):
    """The milliseconds per MB of each kind in each round. lubdub has the processor `own`, and its endpoints have
    `others`: did they share one, what is in its caches, and so what a text costs, would be a matter of luck.
    """
    said = {kind: frame(opcode, b"", MASK) * FRAMES for kind, opcode in KINDS.items()}
    spent = {kind: [] for kind in KINDS}
    kinds = list(KINDS)
    with on(others), listen() as listener, timed(own, listener, settings) as lubdub:
        pairs = {kind: Pair(lubdub.address, listener) for kind in KINDS}
        before = lubdub.nanoseconds()
        for number in range(WARM_UP + ROUNDS):
            for kind in kinds:
                flood(pairs[kind], said[kind])
                after = lubdub.nanoseconds()
                if number >= WARM_UP:
                    # Nanoseconds per byte are milliseconds per MB.
                    spent[kind].append((after - before) / len(said[kind]))
                before = after
            kinds.append(kinds.pop(0))
        for pair in pairs.values():
            pair.close()
    return spent


def flood(pair, said):
    """The client says all of it as fast as it can, and the upstream throws away what comes, until all has come."""
    client = threading.Thread(target=pair.client.sendall, args=(said,))
    client.start()
    heard, room = 0, bytearray(AT_ONCE)
    while heard < len(said):
        came = pair.upstream.recv_into(room)
        if came == 0:
            raise Fault("a connection ended too early")
        heard += came
    client.join()


@contextlib.contextmanager
def on(processor):
    """This thread, and those that it starts, have that processor alone."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {processor})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)
