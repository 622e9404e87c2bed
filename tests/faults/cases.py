"""The cases: what is done to a link or a process, what must happen, and by when.

A case is a function of a `World` that has not been built. It returns how late each survivor was told,
in seconds, or how long whatever it measures took; it raises `Fault` if anything is not as it must be.
"""

import collections
import dataclasses
import json
import signal
import time
from typing import Callable

from evidence import Arrivals, Control, Log, Metrics, books
from world import BACKEND_NAME, CLIENT, PROXY, ROUTER, UPSTREAM, Fault, must, until

CONTROL = Control()
# A survivor is told no later than this after the deadline, plus what a sleep in this very process was
# late at the time.
ALLOWED = 0.1
# The log line of a ping is written a moment after the clock was read for it.
EARLY = 0.005
# The default of timeouts.write_stall.
WRITE_STALL = 10
PAIRS = range(10)
THOUSANDS = range(2000)
# Pairs that come when all is well again.
AGAIN = range(100, 110)
# How long an endpoint may stand still without harm, and how often it does.
PAUSE, PAUSES = 0.5, 5
# What the survivor is told of a side that lapsed.
CODES = {CLIENT: 1001, UPSTREAM: 1011}
CASES = {}


@dataclasses.dataclass
class Case:
    name: str
    must: str
    by: str
    measures: str
    # Runs of it that may go on at the same time.
    together: int
    run: Callable


@dataclasses.dataclass
class Outcome:
    """What a run measured: seconds, and what its limits granted, by the control sleep, for the machine."""

    seconds: list = dataclasses.field(default_factory=list)
    # None where a limit grants nothing.
    granted: float | None = None
    facts: dict = dataclasses.field(default_factory=dict)

    def grant(self, late):
        """Returns `late`, and sees to it that it is told."""
        self.granted = max(self.granted or 0.0, late)
        return late


def case(name, must, by, measures="late", together=5):
    def register(run):
        CASES[name] = Case(name, must, by, measures, together, run)
        return run

    return register


class Scene:
    """lubdub between clients and a backend, with pairs that have all been heard from."""

    def __init__(self, world, pairs=PAIRS, over=1.0, **settings):
        self.world = world
        self.pairs = pairs
        self.backend = world.start_backend()
        self.lubdub = world.start_lubdub(**settings)
        self.clients = world.start_clients()
        self.connect(pairs, over)
        until(lambda: all(pongs > 0 for pongs in self.pongs()), 10, "every side has answered a ping")
        self.began = time.monotonic()

    def connect(self, pairs, over=0.0, seconds=20):
        self.clients.tell(do="connect", pairs=list(pairs), over=over)
        end = time.monotonic() + seconds
        self.clients.wait("open", pairs, seconds)
        self.backend.wait("open", pairs, end - time.monotonic())

    def endpoints(self, side):
        return self.clients if side == CLIENT else self.backend

    def listed(self):
        pairs, behind = [], ""
        while True:
            page = json.loads(self.lubdub.get(f"/api/v1/pairs?limit=1000{behind}"))
            pairs += page["pairs"]
            if not page.get("next"):
                return pairs
            behind = f"&after={page['next']}"

    def pongs(self):
        return [pair[side]["pongs_received"] for pair in self.listed() for side in (CLIENT, UPSTREAM)]

    def intact(self):
        """No pair has ended."""
        left = len(self.listed())
        must(left == len(self.pairs), f"{left} of {len(self.pairs)} pairs are left")

    def at_random(self):
        """Waits, so that faults do not always come at the same point of the heartbeat."""
        time.sleep(self.world.chance.uniform(0, self.lubdub.interval))

    def converse(self, word, pairs=None, seconds=1):
        """A text of each client comes back from its backend. Returns the longest round trip."""
        pairs = self.pairs if pairs is None else pairs
        before = len(self.clients.events)
        said = time.monotonic()
        self.clients.tell(do="say", pairs=list(pairs), text=word)

        def heard():
            return {e["pair"]: e["t"] for e in self.clients.events[before:] if e.get("text") == word}

        until(lambda: set(heard()) >= set(pairs), seconds, f"{word!r} comes back on every pair")
        took = max(heard().values()) - said
        must(took <= seconds, f"{word!r} came back on every pair in {took:.3f} s, not in {seconds}")
        return took

    def part(self, pairs=None):
        """The clients say farewell, and the pairs end."""
        pairs = self.pairs if pairs is None else pairs
        self.clients.tell(do="close", pairs=list(pairs), code=1000)
        for endpoints in (self.backend, self.clients):
            for pair, close in endpoints.wait("close", pairs, seconds=20).items():
                must(close["code"] == 1000, f"pair {pair} got a Close {close['code']}, not 1000")
        self.clients.wait("eof", pairs)

    def finish(self, closed, warnings=(), **counts):
        """The books are right, lubdub had nothing else to say, and it goes when it is told to."""
        books(self.lubdub, closed, **counts)
        self.lubdub.signal(signal.SIGTERM)
        try:
            code = until(lambda: [c] if (c := self.lubdub.process.poll()) is not None else None, 5, "lubdub ends")
        except Fault as fault:
            raise Fault(f"{fault}; its threads: {self.lubdub.threads()}") from None
        must(code == [0], f"lubdub ended with {code}")
        alarms = [line["msg"] for line in Log(self.lubdub).alarms()]
        must(sorted(set(alarms)) == sorted(warnings), f"lubdub warned of {alarms}")


def told(scene, lost, fault, deadlines):
    """The survivors have a Close with the right code, in time and not too early."""
    survivors = scene.endpoints(UPSTREAM if lost == CLIENT else CLIENT)
    code = CODES[lost]
    allowed = scene.lubdub.interval + scene.lubdub.timeout
    closes = survivors.wait("close", scene.pairs, seconds=fault - time.monotonic() + allowed + 5)
    deadlines = deadlines()
    outcome = Outcome()
    for pair in scene.pairs:
        at, has, deadline = closes[pair]["t"], closes[pair]["code"], deadlines[pair]
        must(has == code, f"pair {pair}: the survivor got {has}, not {code}")
        late = at - deadline
        control = outcome.grant(CONTROL.worst(deadline, at))
        outcome.seconds.append(late)
        written = deadline - scene.lubdub.timeout
        if late < -EARLY:
            early = EARLY + outcome.grant(CONTROL.worst(written - EARLY, written))
            must(late >= -early, f"pair {pair}: told {-late * 1000:.1f} ms before the deadline")
        must(
            late <= ALLOWED + control,
            f"pair {pair}: told {late * 1000:.1f} ms after the deadline; a sleep was {control * 1000:.1f} ms late",
        )
        since = at - fault
        if since > allowed + ALLOWED:
            # The ping itself may have been late as well.
            control = outcome.grant(2 * CONTROL.worst(fault, at))
            must(since <= allowed + ALLOWED + control, f"pair {pair}: told {since:.3f} s after the fault")
    survivors.wait("eof", scene.pairs)
    return outcome


def lapse(world, lost, breaks):
    """Breaks one side of all pairs: it lapses in every one, and every survivor is told. Returns the
    scene and the outcome."""
    world.build()
    scene = Scene(world)
    scene.at_random()
    breaks(world, scene)
    fault = time.monotonic()

    def deadlines():
        log = Log(scene.lubdub)
        ids = log.ids()
        opened = scene.clients.seen("open")
        return {
            pair: log.deadline(ids[opened[pair]["port"]], lost, scene.lubdub.timeout)
            for pair in scene.pairs
        }

    return scene, told(scene, lost, fault, deadlines)


def what_must(lost, diagnosis, what):
    survivor = "backend" if lost == CLIENT else "client"
    return f"{what}: every pair's {survivor} gets a Close {CODES[lost]}, the lapse is put down to `{diagnosis}`"


BY_DEADLINE = "100 ms after the deadline of the oldest unanswered ping"


def cut_case(name, lost, what, breaks):
    @case(name, what_must(lost, "network", what), BY_DEADLINE)
    def run(world):
        scene, outcome = lapse(world, lost, breaks)
        scene.finish({f"{lost}_lapsed": len(PAIRS)}, lapses={(lost, "network"): len(PAIRS)})
        return outcome


def stop_case(side):
    what = what_must(side, "application", f"SIGSTOP for the {side}")

    @case(
        f"stop-{side}",
        f"{what}; after SIGCONT the {side} finds all of these connections reset, and ten new pairs of it converse",
        f"{BY_DEADLINE}; the resets 1 s after SIGCONT, then the 101s and the conversation in 1 s each",
    )
    def run(world):
        scene, outcome = lapse(world, side, lambda world, scene: scene.endpoints(side).stop())
        revived = scene.endpoints(side)
        revived.resume()
        revived.wait("reset", scene.pairs, seconds=1)
        must(not revived.seen("close"), f"the {side} that had lapsed got a Close")
        scene.connect(AGAIN, seconds=1)
        scene.converse("again", AGAIN)
        scene.part(AGAIN)
        closed = {f"{side}_lapsed": len(PAIRS), "client_closed": len(AGAIN)}
        scene.finish(closed, lapses={(side, "application"): len(PAIRS)})
        return outcome


def pause_case(side):
    @case(
        f"pause-{side}",
        f"SIGSTOP for the {side}, SIGCONT after {PAUSE * 1000:.0f} ms, {PAUSES} times: no pair ends, and all converse",
        "the conversation in the second after each SIGCONT; no end until 2 s after the last, interval + timeout",
        measures="after SIGCONT until all had conversed",
    )
    def run(world):
        return paused(world, side)


def paused(world, side):
    """Endpoints that stand still for clearly less than `timeout` and take up where they left off."""
    world.build()
    scene = Scene(world)
    endpoints = scene.endpoints(side)
    took = []
    for n in range(PAUSES):
        scene.at_random()
        stopped = endpoints.stop()
        time.sleep(PAUSE)
        resumed = endpoints.resume()
        lasted = resumed - stopped
        must(lasted < scene.lubdub.timeout - ALLOWED, f"the machine made {lasted:.3f} s of a pause of {PAUSE} s")
        took.append(scene.converse(f"back {n}"))
    time.sleep(max(0, resumed + scene.lubdub.interval + scene.lubdub.timeout - time.monotonic()))
    scene.intact()
    scene.converse("still")
    scene.part()
    pongs = Log(scene.lubdub).of("pong received", side=side)
    worst = max(line["rtt_us"] for line in pongs) / 1e6
    must(worst > PAUSE / 2, f"the longest round trip is {worst:.3f} s: no ping met with a pause")
    scene.finish({"client_closed": len(PAIRS)})
    return Outcome(took, facts={"longest round trip of a ping ms": round(worst * 1000)})


for side in (CLIENT, UPSTREAM):
    cut_case(
        f"drop-{side}", side, f"packets to and from the {side} are dropped",
        lambda world, scene, side=side: world.drop(side),
    )
    cut_case(
        f"drop-to-{side}", side, f"only packets to the {side} are dropped",
        lambda world, scene, side=side: world.drop(side, from_side=False),
    )
    cut_case(
        f"drop-from-{side}", side, f"only packets from the {side} are dropped",
        lambda world, scene, side=side: world.drop(side, to_side=False),
    )
    cut_case(
        f"unplug-{side}", side, f"the link of the {side} goes down at its far end",
        lambda world, scene, side=side: world.unplug(side),
    )
    cut_case(
        f"disable-{side}", side, f"the link of the {side} goes down at the proxy's end",
        lambda world, scene, side=side: world.disable(side),
    )
    stop_case(side)
    pause_case(side)


# --- lubdub itself stands still


def stopped(world, seconds):
    world.build()
    scene = Scene(world, pairs=THOUSANDS, over=4.0, level="info")
    scene.at_random()
    scene.lubdub.signal(signal.SIGSTOP)
    time.sleep(seconds)
    resumed = scene.lubdub.signal(signal.SIGCONT)
    aftermath = 3 * (scene.lubdub.interval + scene.lubdub.timeout)
    back = scene.converse("back", seconds=aftermath)
    time.sleep(max(0, resumed + aftermath - time.monotonic()))
    scene.intact()
    scene.converse("still", seconds=aftermath)
    scene.part()
    scene.finish({"client_closed": len(THOUSANDS)})
    return Outcome([back])


for seconds in (3, 10):

    @case(
        f"stop-lubdub-{seconds}s",
        f"SIGSTOP for lubdub itself, SIGCONT after {seconds} s, {len(THOUSANDS):,} pairs: none ends, and all converse",
        "in the 6 s after SIGCONT, three times interval + timeout; the conversation once more in the 6 s after those",
        measures=f"after SIGCONT until all {len(THOUSANDS):,} had conversed",
        together=2,
    )
    def run(world, seconds=seconds):
        return stopped(world, seconds)


@case(
    "hiccups",
    "lubdub is stopped 20 times for 50 to 900 ms, interval 200 ms, timeout 500 ms, 100 pairs: none ends, all converse",
    "no end until 2 s after the last SIGCONT; then the conversation in 1 s",
    measures="until all 100 had conversed",
    together=4,
)
def hiccups(world):
    world.build()
    scene = Scene(world, pairs=range(100), interval="200ms", timeout="500ms", level="info")
    for _ in range(20):
        scene.lubdub.signal(signal.SIGSTOP)
        time.sleep(world.chance.uniform(0.05, 0.9))
        resumed = scene.lubdub.signal(signal.SIGCONT)
        time.sleep(world.chance.uniform(0.05, 0.6))
    time.sleep(max(0, resumed + 2 - time.monotonic()))
    scene.intact()
    took = scene.converse("well")
    scene.part()
    scene.finish({"client_closed": 100})
    return Outcome([took])


@case(
    "stop-lubdub-drop-client",
    "lubdub is stopped for 3 s and packets of the client are dropped meanwhile: its lapse is not forgiven",
    "100 ms after SIGCONT, or the ping written after it, plus a whole timeout",
)
def stopped_and_lost(world):
    world.build()
    scene = Scene(world)
    scene.at_random()
    scene.lubdub.signal(signal.SIGSTOP)
    world.drop(CLIENT)
    time.sleep(3)
    resumed = scene.lubdub.signal(signal.SIGCONT)

    def deadlines():
        log = Log(scene.lubdub)
        ids = log.ids()
        timeout = scene.lubdub.timeout
        opened = scene.clients.seen("open")
        return {
            pair: max(resumed + timeout, log.deadline(ids[opened[pair]["port"]], CLIENT, timeout))
            for pair in scene.pairs
        }

    outcome = told(scene, CLIENT, resumed, deadlines)
    scene.finish({"client_lapsed": len(PAIRS)}, lapses={(CLIENT, "network"): len(PAIRS)})
    return outcome


# --- links that are bad, not dead


def lossy(world, timeout):
    """A router on the way to the clients loses 20 % of the packets each way for 60 s."""
    world.build(client_link="router")
    witness = Arrivals(world)
    scene = Scene(world, timeout=timeout)
    world.lose(20)
    time.sleep(60)
    lost = world.lost()
    world.mend(ROUTER)
    mended = time.monotonic()
    must(lost > 100, f"only {lost} packets were lost")

    def settled():
        # What was lost last is sent again seconds later: until then a side can still lapse.
        log = Log(scene.lubdub)
        heard = {line["pair"] for line in log.of("pong received", side=CLIENT) if line["t"] > mended}
        ended = {line["pair"] for line in log.of("pair ended")}
        return log if heard | ended >= set(log.ids().values()) else None

    log = until(settled, 60, "every pair has had a pong since the link is whole, or has lapsed")
    lapsed = log.of("pair ended")
    for end in lapsed:
        must(end["cause"] == "client_lapsed", f"pair {end['pair']} ended: {end['cause']}")
        ping = log.deadline(end["pair"], CLIENT, 0)
        # What had arrived by an earlier look, behind a gap, has given it another timeout.
        since = max(ping, end["t"] - scene.lubdub.timeout)
        arrived = witness.between(int(end["client"].rsplit(":", 1)[1]), since, end["t"] - EARLY)
        after = ", ".join(f"{at - ping:.3f}" for at in arrived)
        must(
            not arrived,
            f"pair {end['pair']} lapsed {end['t'] - ping:.3f} s after a ping, but new bytes of the client arrived "
            f"{after} s after it",
        )
    left = set(scene.pairs) - set(scene.backend.seen("close"))
    must(len(left) == len(scene.pairs) - len(lapsed), f"{len(lapsed)} lapses, but {len(left)} pairs are left")
    scene.converse("after all", pairs=left, seconds=30)
    scene.part(left)
    pongs = Log(scene.lubdub).of("pong received", side=CLIENT)
    counts = collections.Counter((CLIENT, end["diagnosis"]) for end in lapsed)
    closed = {"client_closed": len(left), "client_lapsed": len(lapsed)}
    scene.finish({cause: n for cause, n in closed.items() if n}, lapses=dict(counts))
    worst = max(line["rtt_us"] for line in pongs) / 1e6
    facts = {"packets lost": lost, "pings answered": len(pongs), "lapsed": len(lapsed)}
    return Outcome([worst], facts=facts)


@case(
    "loss",
    "20 % of the packets of the clients are lost each way for 60 s, timeout 30 s as by default: nobody lapses of whom "
    "a single byte arrived, for the first time, at the proxy's interface in the last 30 s (a pong that is lost eight "
    "times is longer on its way)",
    "at any time",
    measures="for the longest round trip of a ping",
    together=20,
)
def loss(world):
    return lossy(world, "30s")


@case(
    "loss-impatient",
    "the same with timeout 5 s (a pong that is lost three times is more than 5 s on its way)",
    "at any time",
    measures="for the longest round trip of a ping",
    together=20,
)
def loss_impatient(world):
    return lossy(world, "5s")


@case(
    "delay",
    "300 ms of delay each way, give or take 100 ms: nobody lapses in 20 s, and the metrics show the round trip",
    "at any time",
    measures="for the longest round trip of a ping",
    together=20,
)
def delay(world):
    world.build(client_link="tun")
    world.build_delay(300, 100)
    scene = Scene(world)
    time.sleep(20)
    scene.converse("far away", seconds=5)
    metrics = Metrics(scene.lubdub)
    mean = {
        side: metrics.total("ping_rtt_seconds_sum", side=side) / metrics.total("ping_rtt_seconds_count", side=side)
        for side in (CLIENT, UPSTREAM)
    }
    must(0.55 <= mean[CLIENT] <= 0.7, f"the mean round trip to the client is {mean[CLIENT]:.3f} s")
    must(mean[UPSTREAM] <= 0.05, f"the mean round trip to the upstream is {mean[UPSTREAM]:.3f} s")
    shown = [pair[CLIENT]["last_rtt_seconds"] for pair in scene.listed()]
    must(all(0.39 <= rtt <= 0.95 for rtt in shown), f"the list of pairs shows {shown}")
    scene.part()
    trips = [line["rtt_us"] / 1e6 for line in Log(scene.lubdub).of("pong received", side=CLIENT)]
    scene.finish({"client_closed": len(PAIRS)})
    return Outcome([max(trips)], facts={"mean round trip s": round(mean[CLIENT], 3)})


def stuck(world, where, device, first, endpoints):
    """For longer than `timeout`, packets that begin with a byte are lost each time they are sent, while texts
    of `endpoints` arrive behind them."""
    world.build()
    scene = Scene(world, pairs=range(1))
    talker = scene.endpoints(endpoints)

    def pings():
        return Log(scene.lubdub).of("ping written", side=CLIENT)

    def talk(long_enough, seconds):
        """A text every 30 ms."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and not long_enough():
            talker.tell(do="say", pairs=[0], text="x" * 100)
            time.sleep(0.03)

    sent = len(pings())
    talk(lambda: len(pings()) > sent, 2)
    # So that the next one is written well after packets begin to be lost, and is not taken for the one before it.
    talk(lambda: False, 0.5 * scene.lubdub.interval)
    world.filter(where, "prerouting", f'iifname "{device}" @ih,0,8 {first} counter drop')
    sent = len(pings())
    talk(lambda: len(pings()) > sent, 2)
    talk(lambda: False, 1.2 * scene.lubdub.timeout)
    lost = world.lost(where)
    world.mend(where)
    talk(lambda: False, 1)
    must(lost > 0, "nothing was lost")
    must(len(scene.listed()) == 1, "the pair of a client that goes on talking and hearing has ended")
    worst = max(line["rtt_us"] for line in Log(scene.lubdub).of("pong received", side=CLIENT)) / 1e6
    must(worst > scene.lubdub.timeout, f"the longest round trip is {worst:.3f} s: no pong was late")
    scene.part()
    scene.finish({"client_closed": 1})
    return Outcome([worst], facts={"times lost": lost})


@case(
    "lost-ping",
    "a ping to the client is lost each time it is sent, for longer than `timeout`, while texts arrive there "
    "behind it: the client does not lapse, and the ping is answered in the end",
    "at any time",
    measures="for the longest round trip of a ping",
    together=20,
)
def lost_ping(world):
    # The first byte of a PING, RFC 6455 5.2.
    return stuck(world, CLIENT, "cl0", "0x89", UPSTREAM)


@case(
    "lost-pong",
    "the same with the client's pong, behind which its texts arrive and cannot be read",
    "at any time",
    measures="for the longest round trip of a ping",
    together=20,
)
def lost_pong(world):
    return stuck(world, PROXY, "cl1", "0x8a", CLIENT)


def slow(world, queue):
    """One client behind a modem, with 2 MiB on their way to it."""
    world.build(client_link="router")
    world.throttle(ROUTER, "rt0", "56kbit", queue)
    world.throttle(CLIENT, "cl0", "56kbit", queue)
    scene = Scene(world, pairs=range(1))
    scene.backend.tell(do="stream", pairs=[0], size=2 * 1024 * 1024)
    for _ in range(45):
        time.sleep(1)
        must(len(scene.listed()) == 1, "the pair of a healthy client has ended")
    _, received = scene.clients.tally()[0]
    must(received > 45 * 56_000 / 8 / 2, f"only {received} bytes came through")
    must(received < 2 * 1024 * 1024, "there was nothing left on its way")
    trips = [line["rtt_us"] / 1e6 for line in Log(scene.lubdub).of("pong received", side=CLIENT)]
    world.drop(CLIENT)
    fault = time.monotonic()
    close = scene.backend.wait("close", scene.pairs, seconds=3 * WRITE_STALL)[0]
    must(close["code"] == 1001, f"the backend got a Close {close['code']}, not 1001")
    after = close["t"] - fault
    outcome = Outcome([after])
    control = outcome.grant(CONTROL.worst(fault, close["t"]))
    (end,) = until(lambda: Log(scene.lubdub).of("pair ended"), 5, "the pair has ended")
    # A ping that was written: one timeout may be given for what was acknowledged before the fault, then
    # one more runs. None could be written: no progress for `write_stall`, looked at in tenths of it.
    if end["cause"] == "client_lapsed":
        limit, counts = 2 * scene.lubdub.timeout, {"lapses": {(CLIENT, "network"): 1}}
    else:
        limit, counts = 1.1 * WRITE_STALL, {"stalls": {CLIENT: 1}}
    must(after <= limit + ALLOWED + control, f"told {after:.3f} s after the fault: {end['cause']}")
    scene.finish({end["cause"]: 1}, **counts)
    outcome.facts = {"bytes through": received, "longest round trip s": round(max(trips), 1), end["cause"]: 1}
    return outcome


for name, queue, what in (
    ("slow-link", "1mb", "with a queue that takes all that comes"),
    ("slow-link-dropping", "16kb", "with a queue of 16 kB that overflows"),
):

    @case(
        name,
        f"a 56 kbit/s link {what}, 2 MiB on their way: neither lapsed nor stalled in 45 s; then all packets "
        "are dropped: lapsed, or stalled if no ping could be written",
        "after the packets stop: two timeouts, or 1.1 times `write_stall` (10 s), and 100 ms",
        measures="after the packets stopped",
        together=20,
    )
    def run(world, queue=queue):
        return slow(world, queue)


# --- the backend dies


BY_KILL = "the {} 100 ms after the signal; the 502, the 101 and the conversation in 1 s each"


def killed(world, cause, event, before, interval="1s"):
    world.build()
    scene = Scene(world, interval=interval)
    scene.at_random()
    before(scene)
    fault = time.monotonic()
    scene.backend.kill()
    ended = scene.clients.wait(event, scene.pairs)
    outcome = Outcome([ended[pair]["t"] - fault for pair in scene.pairs])
    control = outcome.grant(CONTROL.worst(fault, fault + max(outcome.seconds)))
    must(
        max(outcome.seconds) <= ALLOWED + control,
        f"the last client was told {max(outcome.seconds) * 1000:.1f} ms after",
    )
    must(not scene.clients.seen("close"), "a client got a Close that no endpoint sent")

    scene.clients.tell(do="connect", pairs=[100], over=0)
    refused = scene.clients.wait("refused", [100], seconds=1)[100]
    must(refused["status"] == 502, f"without a backend a handshake was answered {refused['status']}")
    scene.backend = world.start_backend()
    scene.connect([101], seconds=1)
    scene.converse("new", pairs=[101])
    metrics = Metrics(scene.lubdub)
    must(metrics.total("handshakes_total", outcome="connect_failed") == 1, "connect_failed is not 1")
    scene.part([101])
    scene.finish({cause: len(PAIRS), "client_closed": 1})
    return outcome


@case(
    "kill-backend",
    "SIGKILL for an idle backend: its FINs are passed on as FINs; a handshake is answered 502; once it is "
    "restarted, 101, and the pair converses",
    BY_KILL.format("FINs"),
    measures="after the signal",
)
def killed_idle(world):
    # A ping that came this very moment is unread, too: there are to be few.
    return killed(world, "upstream_eof", "eof", lambda scene: None, interval="5s")


@case(
    "kill-backend-unread",
    "SIGKILL for a backend with unread bytes: its RSTs are passed on as RSTs; then as above",
    BY_KILL.format("RSTs"),
    measures="after the signal",
)
def killed_busy(world):
    def before(scene):
        scene.backend.stop()
        scene.clients.tell(do="say", pairs=list(scene.pairs), text="unread")
        time.sleep(0.1)

    return killed(world, "upstream_reset", "reset", before)


# --- no file descriptors


@case(
    "descriptors",
    "lubdub has no file descriptor left for 5 s: four new clients wait, lubdub warns once and does not spin, "
    "live pairs converse; one pair ends, and who is accepted on what it leaves has none to look up the upstream's name "
    "with: no client is refused; when three more end, the four are let in",
    "the conversation in 1 s; the four 500 ms after descriptors came free",
    measures="after descriptors came free",
)
def descriptors(world):
    world.build()
    # A name: to look it up takes a descriptor, too.
    scene = Scene(world, upstream=BACKEND_NAME)
    waiting, first, leaving, staying = range(100, 104), PAIRS[:1], PAIRS[1:4], PAIRS[4:]
    limit = until(lambda: steady(scene.lubdub.files), 5, "the number of descriptors is steady")
    scene.lubdub.limit_files(limit)
    scene.clients.tell(do="connect", pairs=list(waiting), over=0)
    scene.clients.wait("connected", waiting)
    used = scene.lubdub.cpu()
    longest = 0.0
    for n in range(5):
        time.sleep(1)
        longest = max(longest, scene.converse(f"live {n}"))
    must(not scene.clients.seen("open", waiting), "a client was let in without a descriptor")
    # Two descriptors: two clients are accepted, and theirs are the last.
    scene.part(first)
    time.sleep(1)
    longest = max(longest, scene.converse("fewer", [*leaving, *staying]))
    used = scene.lubdub.cpu() - used
    must(used <= 0.6, f"lubdub used {used:.2f} s of processor time in 6 s")
    scene.part(leaving)
    free = max(seen["t"] for seen in scene.clients.wait("eof", leaving).values())

    def answered(how):
        return scene.clients.seen(how, waiting)

    until(lambda: len(answered("open")) + len(answered("refused")) == len(waiting), 5, "all who wait are answered")
    must(not answered("refused"), "a client was refused that could have waited")
    # What the first pair left may have sufficed for one of them.
    outcome = Outcome([max(0.0, seen["t"] - free) for seen in answered("open").values()])
    outcome.facts = {"processor s of 6": round(used, 2), "longest round trip ms": round(longest * 1000, 1)}
    control = outcome.grant(CONTROL.worst(free, free + max(outcome.seconds)))
    must(max(outcome.seconds) <= 0.5 + control, f"let in {max(outcome.seconds):.3f} s after")
    scene.lubdub.limit_files(20_000)
    scene.converse("all", pairs=[*staying, *waiting])
    scene.part([*staying, *waiting])
    alarms = Log(scene.lubdub).alarms()
    must(len(alarms) == 1, f"it warned {len(alarms)} times")
    must("cannot accept" in alarms[0]["msg"], f"it warned of {alarms[0]['msg']!r}")
    scene.finish({"client_closed": len(PAIRS) + len(waiting)}, warnings=[alarms[0]["msg"]])
    return outcome


def steady(count):
    before = count()
    time.sleep(0.3)
    return before if count() == before else None
