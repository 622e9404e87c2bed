"""main.py [--fast] [SUITE]...: runs the suites, a line per case, and how many at the end.

Started by run.sh, which brings what the suites need.
"""

import argparse
import importlib
import signal
import sys

import harness

SUITES = {
    "prometheus": "prometheus.suite",
    "openapi": "openapi.suite",
    "tls": "tls.suite",
    "plain_http": "plain_http.suite",
    "socketio": "socketio.suite",
    "balancers": "balancers.suite",
    "clients": "clients.suite",
    "tls_ends": "tls_ends.suite",
    "tls_clients": "tls_clients.suite",
    "pages": "pages.suite",
    "status_page": "status_page.suite",
    "autobahn": "autobahn_cases.suite",
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--fast", action="store_true", help="what CI runs: no browser, fewer clients, quick sections of Autobahn")
    parser.add_argument("--cases", help="Autobahn cases instead of all, such as '12.1.* 13.1.1'")
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=f"all if none is named: {', '.join(SUITES)}")
    arguments = parser.parse_args()
    unknown = set(arguments.suites) - SUITES.keys()
    if unknown:
        parser.error(f"no such suite: {', '.join(sorted(unknown))}")

    signal.signal(signal.SIGTERM, lambda *_: sys.exit("told to stop"))
    tally = harness.Tally()
    try:
        for name, module in SUITES.items():
            if arguments.suites and name not in arguments.suites:
                continue
            try:
                importlib.import_module(module).run(tally, arguments)
            except Exception as error:
                tally.case(name, f"could not go on: {type(error).__name__}: {error}")
    finally:
        harness.stop_all()
    for line in tally.left_out:
        print(line)
    print(f"{tally.passed} passed, {tally.failed} failed")
    sys.exit(1 if tally.failed or not tally.passed else 0)


main()
