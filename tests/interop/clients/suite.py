"""Real clients in front of real backends, held over many heartbeats toward both sides."""

import concurrent.futures
import functools
import json
import shutil
import tempfile
import time

from harness import HERE, NODE, NPM, PYTHON, ROOT, Lubdub, Process, expect, expect_at_least

INTERVAL = "200ms"
# At 200 ms, the connection that is idle for 3 s is pinged at least so often.
HELD_PINGS = 12
HELD = "held"
LIMIT = 300
CASES = (
    "text",
    "binary",
    "fragments_received",
    "fragments_sent",
    "compressed",
    "large",
    "subprotocol",
    "cookies_and_query",
    "close_by_client",
    "close_by_upstream",
    "ping_by_client",
    "ping_by_upstream",
    "pong_by_client",
    "pong_by_upstream",
    HELD,
)
# The interface of the browser has no fragments, pings and pongs.
STANDARD = ("fragments_sent", "ping_by_client", "pong_by_client")

# With --fast: one for each language and engine, and none that takes a browser to be installed.
FAST = ("websockets", "ws", "node", "tungstenite")


def python(name):
    return [PYTHON, str(HERE / "clients" / name)]


def node(name):
    return [NODE, str(NPM / "clients" / name)]


def rust(name):
    return [str(ROOT / "target" / "debug" / "examples" / name)]


# Name, command, what the client's library cannot do, further arguments.
CLIENTS = (
    ("websockets", python("python_websockets.py"), (), ()),
    ("aiohttp", python("python_aiohttp.py"), ("fragments_sent",), ()),
    ("websocket-client", python("python_websocket_client.py"), ("compressed",), ()),
    ("tungstenite", rust("rust_tungstenite"), ("compressed",), ()),
    ("ws", node("node_ws.mjs"), (), ()),
    ("node", node("node_standard.mjs"), STANDARD, ("builtin",)),
    ("undici", node("node_standard.mjs"), STANDARD, ("undici",)),
    ("chromium", node("browser.mjs"), STANDARD, ("chromium",)),
)


class Way:
    """How clients come to lubdub: over TLS they ask for `host`, and trust this certificate and no other."""

    def __init__(self, host=None, certificate=None):
        self.host, self.certificate = host, certificate

    def url(self, lubdub):
        return f"wss://{self.host}:{lubdub.port_number}" if self.host else f"ws://{lubdub.address}"

    def env(self):
        if not self.host:
            return {}
        return {"INTEROP_CA": str(self.certificate.cert), "INTEROP_SPKI": self.certificate.spki()}

    def label(self):
        return f", wss to {self.host}" if self.host else ""


PLAIN = Way()


def run(tally, options):
    with (
        Process("clients-backend-python", [PYTHON, str(HERE / "backends" / "echo.py")]) as python_backend,
        Process("clients-backend-node", [NODE, str(NPM / "backends" / "echo.mjs")]) as node_backend,
        Lubdub(
            "clients-lubdub", {"python": python_backend.port(), "node": node_backend.port()}, INTERVAL
        ) as lubdub,
        concurrent.futures.ThreadPoolExecutor(2) as pool,
    ):
        for client in CLIENTS:
            if options.fast and client[0] not in FAST:
                continue
            for done in [pool.submit(one, tally, lubdub, backend, *client) for backend in ("python", "node")]:
                done.result()
        for backend in ("python", "node"):
            with tally.guard(f"clients, {backend} backend: no pair is left, no side lapsed"):
                no_pair_is_left(lubdub, backend)
                expect(lubdub.metric("lubdub_lapses_total", route=backend), 0, "lapses")


def one(tally, lubdub, backend, name, command, lacking, further, way=PLAIN):
    title = f"{name} to {backend} backend{way.label()}"
    seen = {}
    play = functools.partial(run_client, lubdub, backend, name, command, further, seen, way)
    with tally.guard(f"{title}: runs to its end"):
        play((*lacking, HELD))
        no_pair_is_left(lubdub, backend)
    # Alone, so that all pings and pongs are of the one connection that is held.
    with tally.guard(f"{title}: held, pinged and answered all the while"):
        before = beats(lubdub, backend)
        play([case for case in CASES if case != HELD])
        no_pair_is_left(lubdub, backend)
        for key, count in beats(lubdub, backend).items():
            expect_at_least(count - before[key], HELD_PINGS, f"number of {key[0]} of side {key[1]}")
    for case in CASES:
        label = f"{title}: {case.replace('_', ' ')}"
        if case in lacking:
            tally.not_applicable(label, "its library cannot")
        else:
            tally.case(label, seen.get(case, "did not run"))


def run_client(lubdub, backend, name, command, further, seen, way, lacking):
    """Runs all cases but those that are lacking; `seen` gets what went wrong in each, if anything."""
    with tempfile.TemporaryDirectory(prefix="interop-") as scratch:
        arguments = [f"{way.url(lubdub)}/{backend}", ",".join(lacking), *further]
        if name == "chromium":
            arguments = [*arguments[:2], shutil.which("chromium"), scratch]
        log = f"client-{name}-{backend}{way.label().replace(', ', '-').replace(' ', '-')}"
        with Process(log, [*command, *arguments], env=way.env()) as client:
            for line in client.lines(LIMIT):
                if line.startswith('{"case"'):
                    result = json.loads(line)
                    seen[result["case"]] = result["problem"]
            expect(client.wait(10), 0, "exit code")


def no_pair_is_left(lubdub, route):
    """Waits for that: a pair is counted to its last ping once it has ended."""
    deadline = time.monotonic() + 10
    while pairs := lubdub.metric("lubdub_pairs", route=route):
        if time.monotonic() > deadline:
            raise AssertionError(f"{pairs:.0f} pairs are left")
        time.sleep(0.05)


def beats(lubdub, route):
    names = ("lubdub_pings_sent_total", "lubdub_pongs_received_total")
    return {(name, side): lubdub.metric(name, route=route, side=side) for name in names for side in ("client", "upstream")}
