"""Autobahn against an echo, directly and through lubdub: every case has to come out the same."""

import concurrent.futures
import json
import os

from harness import HERE, LOGS, PYTHON, WORK, Lubdub, Process

PYTHON27 = os.environ.get("PYTHON27", "python2.7")
FAST = ["1.*", "2.*", "3.*", "5.*", "7.*"]
ALL = ["*"]
# Name of a run -> interval of lubdub's pings to both sides.
RUNS = {"direct": None, "ping-1s": "1s", "ping-10ms": "10ms"}
# What must be the same.
COMPARED = (
    "behavior",
    "behaviorClose",
    "localCloseCode",
    "localCloseReason",
    "remoteCloseCode",
    "remoteCloseReason",
    "closedByMe",
    "failedByMe",
    "droppedByMe",
    "wasClean",
)


def run(tally, fast):
    cases = FAST if fast else ALL
    limit = 300 if fast else 3600
    jobs = [(role, name) for name in RUNS for role in ("client", "server")]
    with concurrent.futures.ThreadPoolExecutor(len(jobs)) as pool:
        futures = {job: pool.submit(ROLES[job[0]], job[1], cases, limit) for job in jobs}
    for role in ROLES:
        results = {}
        for name in RUNS:
            with tally.guard(f"autobahn fuzzing {role}, {name}: runs to its end"):
                results[name] = futures[role, name].result()
        for name in RUNS:
            if name != "direct" and name in results and "direct" in results:
                compare(tally, f"autobahn fuzzing {role}, {name}", results["direct"], results[name])


def compare(tally, title, direct, through):
    wanted = sorted(direct.keys() | through.keys(), key=lambda case: [int(part) for part in case.split(".")])
    counts = {}
    for case in wanted:
        problem = None
        if case not in direct or case not in through:
            problem = "ran only " + ("directly" if case in direct else "through lubdub")
        else:
            counts[through[case]["behavior"]] = counts.get(through[case]["behavior"], 0) + 1
            # Where any outcome is allowed, what arrives before the end differs from one direct run to the next.
            informational = direct[case]["behavior"] == "INFORMATIONAL"
            differences = [
                f"{field} {direct[case][field]!r} became {through[case][field]!r}"
                for field in (COMPARED if informational else (*COMPARED, "received"))
                if direct[case][field] != through[case][field]
            ]
            problem = "; ".join(differences)[:600]
        tally.case(f"{title}, case {case}", problem)
    print(f"      {title}: {', '.join(f'{count} {behaviour}' for behaviour, count in sorted(counts.items()))}")


def fuzzer(name, *arguments):
    command = [PYTHON27, "-u", str(HERE / "autobahn_cases" / "fuzzer.py"), *arguments]
    return Process(name, command, env={"PYTHONUSERBASE": str(WORK / "py27")})


def echo(name, *arguments):
    return Process(name, [PYTHON, str(HERE / "autobahn_cases" / "echo.py"), *arguments])


def fuzzing_client(name, cases, limit):
    """The suite is the client, websockets the echo server."""
    out = fresh(f"autobahn-client-{name}")
    with echo(f"{out.stem}-echo", "server") as server, in_front(out.stem, server.port(), RUNS[name]) as url:
        with fuzzer(f"{out.stem}-fuzzer", "client", str(out), url, *cases) as client:
            client.wait(limit)
            return json.loads(out.read_text())


def fuzzing_server(name, cases, limit):
    """The suite is the server, websockets the echo client."""
    out = fresh(f"autobahn-server-{name}")
    with fuzzer(f"{out.stem}-fuzzer", "server", str(out), *cases) as server:
        port, count = server.wait_for(lambda line: line.startswith("listening ") and line.split()[1:])
        with in_front(out.stem, port, RUNS[name]) as url:
            with echo(f"{out.stem}-echo", "client", url, count) as client:
                code = client.wait(limit)
                if code != 0:
                    raise RuntimeError(f"the echo client ended with {code}, see {client.log.name}")
                return json.loads(out.read_text())


class in_front:
    """The URL of the upstream, or of lubdub in front of it, which must have pinged both sides."""

    def __init__(self, name, port, interval):
        self.proxy = interval and Lubdub(f"{name}-lubdub", {"all": port}, interval)
        self.url = f"ws://{self.proxy.address}" if self.proxy else f"ws://127.0.0.1:{port}"

    def __enter__(self):
        return self.url

    def __exit__(self, kind, *_):
        if not self.proxy:
            return
        try:
            if kind is None:
                for side in ("client", "upstream"):
                    if not self.proxy.metric("lubdub_pings_sent_total", side=side):
                        raise AssertionError(f"lubdub sent no ping to the {side} side")
                    if self.proxy.metric("lubdub_lapses_total", side=side):
                        raise AssertionError(f"lubdub saw the {side} side lapse")
        finally:
            self.proxy.stop()


def fresh(name):
    LOGS.mkdir(parents=True, exist_ok=True)
    path = LOGS / f"{name}.json"
    path.unlink(missing_ok=True)
    return path


ROLES = {"client": fuzzing_client, "server": fuzzing_server}
