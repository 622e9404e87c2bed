"""Runs the cases, each in worlds of its own, and says how they went: `faults.py --help`."""

import argparse
import collections
import concurrent.futures
import contextlib
import os
import random
import shutil
import signal
import sys
import threading
import time
import traceback

from cases import CASES
from world import LUBDUB, WORK, Fault, World

# No run takes longer than this; one that does is given up.
LIMIT = 180


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="runs of each case (3)")
    parser.add_argument("--seed", type=int, default=1, help="of when faults strike (1)")
    parser.add_argument("--table", action="store_true", help="also print a Markdown table")
    parser.add_argument("case", nargs="*", help=f"some of: {', '.join(CASES)}")
    arguments = parser.parse_args()
    unknown = set(arguments.case) - set(CASES)
    if unknown:
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    if os.geteuid() != 0:
        parser.error("network namespaces need root")
    if not os.access(LUBDUB, os.X_OK):
        parser.error(f"{LUBDUB} is not there: make build")
    # What ends this process by request still lets the worlds be taken down.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))

    go_ahead()
    shutil.rmtree(WORK, ignore_errors=True)
    rows = []
    passed = failed = 0
    for name in arguments.case or CASES:
        outcomes, problems = play(CASES[name], arguments.runs, arguments.seed)
        passed += len(outcomes)
        failed += len(problems)
        print(summary(CASES[name], outcomes, problems), flush=True)
        rows.append(row(CASES[name], outcomes, problems))
    if arguments.table:
        print("\n| case | what must happen | by when | runs | worst |")
        print("| --- | --- | --- | --- | --- |")
        print("\n".join(rows))
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


def go_ahead():
    """Goes before everything else on the machine: it is lubdub that is measured, not its neighbours.

    Where the scheduler groups by session, the niceness of a process counts only within its own.
    """
    os.nice(-20)
    with contextlib.suppress(OSError):
        os.setsid()
        with open("/proc/self/autogroup", "w") as group:
            group.write("-20")


def play(case, runs, seed):
    """All runs of a case. Returns the outcomes and what went wrong."""
    outcomes, problems = [], []
    with concurrent.futures.ThreadPoolExecutor(case.together) as pool:
        started = [pool.submit(once, case, number, seed) for number in range(runs)]
        try:
            for future in concurrent.futures.as_completed(started):
                outcome, problem = future.result()
                if problem:
                    problems.append(problem)
                else:
                    outcomes.append(outcome)
        except BaseException:
            for future in started:
                future.cancel()
            WORLDS.end()
            raise
    return outcomes, problems


class Worlds:
    """Those that exist, to be ended from outside if they have to be."""

    def __init__(self):
        self.lock = threading.Lock()
        self.alive = set()

    def add(self, world):
        with self.lock:
            self.alive.add(world)

    def remove(self, world):
        with self.lock:
            self.alive.discard(world)

    def end(self):
        with self.lock:
            for world in self.alive:
                world.kill()


WORLDS = Worlds()


def once(case, number, seed):
    world = World(f"{case.name}-{number}", random.Random(f"{seed} {case.name} {number}").random())
    WORLDS.add(world)
    # A run that hangs is ended by taking its processes away: whatever it waits for fails then.
    bomb = threading.Timer(LIMIT, world.kill)
    bomb.start()
    try:
        return case.run(world), None
    except Fault as fault:
        world.evidence()
        return None, f"run {number}: {fault}; see {world.logs}"
    except Exception:
        world.evidence()
        return None, f"run {number}: {traceback.format_exc()}"
    finally:
        bomb.cancel()
        world.end()
        WORLDS.remove(world)


def summary(case, outcomes, problems):
    verdict = "FAIL" if problems else "ok  "
    text = f"{verdict}  {case.name}: {len(outcomes)} of {len(outcomes) + len(problems)} runs"
    if outcomes:
        text += f", worst {worst(case, outcomes)}"
    for name, (least, most) in facts(outcomes).items():
        text += f"; {name} {least}" + (f" to {most}" if most != least else "")
    return "\n      ".join([text, *problems])


def facts(outcomes):
    """The least and the most of each."""
    all_of = collections.defaultdict(list)
    for outcome in outcomes:
        for name, value in outcome.facts.items():
            all_of[name].append(value)
    return {name: (min(values), max(values)) for name, values in all_of.items()}


def row(case, outcomes, problems):
    runs = f"{len(outcomes)}/{len(outcomes) + len(problems)}"
    measured = worst(case, outcomes) if outcomes else ""
    return f"| `{case.name}` | {case.must} | {case.by} | {runs} | {measured} |"


def worst(case, outcomes):
    """The worst that was measured in any run, and the most that was granted for the machine in any."""
    text = f"{max(max(outcome.seconds) for outcome in outcomes) * 1000:.1f} ms {case.measures}"
    granted = [outcome.granted for outcome in outcomes if outcome.granted is not None]
    return text + (f" (control {max(granted) * 1000:.1f} ms)" if granted else "")


if __name__ == "__main__":
    sys.exit(main())
