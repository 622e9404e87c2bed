"""Autobahn against an echo, directly and through lubdub: every case has to come out the same."""

import collections
import concurrent.futures
import contextlib
import json
import os
import tempfile

from harness import HERE, LOGS, PYTHON, WORK, Certificate, Lubdub, Process, expect, expect_at_least

PYTHON27 = os.environ.get("PYTHON27")
# Groups of cases, each run and compared before the next one begins, and how long a group may take (s).
QUICK = (("1.*", "2.*", "3.*", "5.*", "7.*"),)
FULL = (
    ("1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*"),
    ("9.*", "10.*"),
    *((f"12.{part}.*",) for part in range(1, 6)),
    *((f"13.{part}.*",) for part in range(1, 8)),
)
LIMIT = 3600
# The suite gives up on an endpoint after a second, so a machine that stalls fails a case, directly or through
# lubdub. What differs is run again so often, everywhere, and counts unless it is then the same every time, or
# unless the direct runs came out in this way as well; it is told in any case.
REPEATS = 10
# How many cases there are, and how many of those that --fast runs.
ALL_CASES = 517
QUICK_CASES = 91
# Of the pings that the lives of the pairs had time for, so many have to be sent: there are none behind a Close, and
# a busy machine delays the next.
SHARE = 0.25
# Intervals that a pair may live without: most cases of the first sections are over, or closing, before a ping is due.
SHORT = 10
# Name of a run: interval of lubdub's pings to both sides, in seconds.
DIRECT = "direct"
TLS = "ping-10ms-tls"
UNIX = "ping-10ms-unix"
RUNS = {DIRECT: None, "ping-1s": 1, "ping-10ms": 0.01, TLS: 0.01, UNIX: 0.01}
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
    "wasNotCleanReason",
)


def run(tally, options):
    if not PYTHON27:
        why = "it needs a Python 2.7 with pip, and there is none that will do: name one in PYTHON27"
        if options.fast:
            tally.leave_out("autobahn", why)
        else:
            tally.case("autobahn", why)
        return
    counts = {(role, name): collections.Counter() for role in ROLES for name in RUNS}
    groups = QUICK if options.fast else FULL
    if options.cases:
        groups = (options.cases.split(),)
    for group in groups:
        run_group(tally, group, counts)
    for (role, name), count in counts.items():
        if not options.cases:
            expected = QUICK_CASES if options.fast else ALL_CASES
            with tally.guard(f"autobahn fuzzing {role}, {name}: all {expected} cases ran"):
                expect(count.total(), expected, "cases")
        behaviours = ", ".join(f"{number} {behaviour}" for behaviour, number in sorted(count.items()))
        print(f"      autobahn fuzzing {role}, {name}: {count.total()} cases, {behaviours}", flush=True)


def run_group(tally, group, counts):
    title = " ".join(group)
    # What came out of each run, of the first and of all repeats.
    results = {}
    for job, outcome in run_everywhere(group, "").items():
        with tally.guard(f"autobahn fuzzing {job[0]}, {job[1]}: {title} runs to its end"):
            results[job] = [outcome.result()]
    suspects = different(results)
    for repeat in range(1, REPEATS + 1):
        if not suspects:
            break
        again = sorted({case for _, case in suspects}, key=number)
        for job, outcome in run_everywhere(again, f"-repeat{repeat}").items():
            if job in results:
                results[job].append({} if outcome.exception() else outcome.result())
    for (role, name), (first, *_) in results.items():
        counts[role, name].update(case["behavior"] for case in first.values())
        if name == DIRECT or (role, DIRECT) not in results:
            continue
        for case in sorted(first.keys() | results[role, DIRECT][0].keys(), key=number):
            job = ((role, name), case)
            problem, note = None, ""
            if job in suspects:
                note = f" (repeated {REPEATS} times; at first {suspects[job]})"
                problem = verdict(results[role, DIRECT], results[role, name], case)
            tally.case(f"autobahn fuzzing {role}, {name}, case {case}{note}", problem)


def verdict(direct, through, case):
    """What is wrong with a case that came out otherwise once: nothing, if every repeat was the same as directly, or
    if the direct runs came out in no fewer ways."""
    repeats = zip(direct[1:], through[1:], strict=True)
    again = [problem for one, other in repeats if (problem := compare(one, other, case))]
    if not again:
        return None
    for run in through:
        if all(compare(other, run, case) for other in direct):
            return f"{len(again)} of {REPEATS} repeats differ, the last: {again[-1]}"
    return None


def run_everywhere(cases, suffix):
    """Every role and run, all at once; their logs end in the suffix."""
    jobs = [(role, name) for role in ROLES for name in RUNS]
    with concurrent.futures.ThreadPoolExecutor(len(jobs)) as pool:
        return {(role, name): pool.submit(ROLES[role], name, cases, suffix) for role, name in jobs}


def different(results):
    """What came out through lubdub otherwise than directly at first: (job, case) and how."""
    found = {}
    for role, name in results:
        if name == DIRECT or (role, DIRECT) not in results:
            continue
        direct, through = results[role, DIRECT][0], results[role, name][0]
        for case in direct.keys() | through.keys():
            if problem := compare(direct, through, case):
                found[(role, name), case] = problem
    return found


def compare(direct, through, case):
    """How a case differs between two runs, if it does."""
    if case not in direct or case not in through:
        return "not run " + ("directly" if case not in direct else "through lubdub")
    return "; ".join(differences(direct[case], through[case]))[:600]


def number(case):
    return [int(part) for part in case.split(".")]


def differences(direct, through):
    # Where any outcome is allowed, what arrives before the end differs from one direct run to the next.
    informational = direct["behavior"] == "INFORMATIONAL"
    for field in COMPARED if informational else (*COMPARED, "received"):
        if direct[field] != through[field]:
            yield f"{field} {direct[field]!r} became {through[field]!r}"


def fuzzer(name, *arguments):
    command = [PYTHON27, "-u", str(HERE / "autobahn_cases" / "fuzzer.py"), *arguments]
    return Process(name, command, env={"PYTHONUSERBASE": str(WORK / "py27")})


def echo(name, *arguments):
    return Process(name, [PYTHON, str(HERE / "autobahn_cases" / "echo.py"), *arguments])


def fuzzing_client(name, cases, suffix):
    """The suite is the client, websockets the echo server."""
    out = fresh(f"autobahn-client-{name}{suffix}")
    with echo(f"{out.stem}-echo", "server") as server, in_front(out.stem, server.port(), RUNS[name], suffix) as url:
        with fuzzer(f"{out.stem}-fuzzer", "client", str(out), url, *cases) as client:
            client.wait(LIMIT)
            return json.loads(out.read_text())


def fuzzing_server(name, cases, suffix):
    """The suite is the server, websockets the echo client."""
    out = fresh(f"autobahn-server-{name}{suffix}")
    with fuzzer(f"{out.stem}-fuzzer", "server", str(out), *cases) as server:
        port, count = server.wait_for(lambda line: line.startswith("listening ") and line.split()[1:])
        with in_front(out.stem, port, RUNS[name], suffix) as url:
            with echo(f"{out.stem}-echo", "client", url, count) as client:
                code = client.wait(LIMIT)
                if code != 0:
                    raise RuntimeError(f"the echo client ended with {code}, see {client.log.name}")
                return json.loads(out.read_text())


@contextlib.contextmanager
def in_front(name, port, interval, suffix):
    """The URL of the upstream, or of lubdub in front of it."""
    if not interval:
        yield f"ws://127.0.0.1:{port}"
        return
    every = f"{interval * 1000:.0f}ms"
    with contextlib.ExitStack() as behind:
        how, pinging = {}, []
        if UNIX in name:
            # The suite knows no Unix sockets. So there is one between two lubdubs, and both of them ping: it is where the
            # first has its upstream and the second its client. A path is at most 107 bytes.
            directory = behind.enter_context(tempfile.TemporaryDirectory(prefix="interop-"))
            how = {"url": f"unix:{directory}/socket"}
            second = Lubdub(f"{name}-second", {"all": port}, every, address=how["url"])
            pinging.append(behind.enter_context(second))
        if TLS in name:
            # The suite speaks no TLS. So it goes from one lubdub to another: out of the first, into the second,
            # which pings nobody.
            certificate = Certificate(f"{name}-certificate", "localhost")
            second = Lubdub(f"{name}-second", {"all": port}, "off", certificate.of_listener())
            port = behind.enter_context(second).port_number
            how = {"url": "wss://localhost:{port}", "upstream": f'ca = "{certificate.cert}"'}
        first = behind.enter_context(Lubdub(f"{name}-lubdub", {"all": port}, every, **how))
        yield f"ws://{first.address}"
        for lubdub in (first, *pinging):
            # A repeat may be over before a ping is due.
            has_beaten(lubdub, None if suffix else interval)


def has_beaten(lubdub, interval):
    """Nobody has lapsed, and with an interval: pings went to both sides."""
    lives = lubdub.metric("lubdub_pair_duration_seconds_sum")
    pairs = lubdub.metric("lubdub_pair_duration_seconds_count")
    for side in ("client", "upstream"):
        expect(lubdub.metric("lubdub_lapses_total", side=side), 0, f"{lubdub.name}: lapses of the {side} side")
        pings = lubdub.metric("lubdub_pings_sent_total", side=side)
        if interval:
            least = max(1, SHARE * (lives / interval - SHORT * pairs))
            what = f"{lubdub.name}: pings to the {side} side in {lives:.0f} s of {pairs:.0f} pairs"
            expect_at_least(pings, least, what)


def fresh(name):
    LOGS.mkdir(parents=True, exist_ok=True)
    path = LOGS / f"{name}.json"
    path.unlink(missing_ok=True)
    return path


ROLES = {"client": fuzzing_client, "server": fuzzing_server}
