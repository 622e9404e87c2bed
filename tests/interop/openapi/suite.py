"""The admin interface is what its description says: Schemathesis asks for all that is described, as it should be asked
and as it should not, and looks at status, type, fields and body of every answer.

What changes something has a lubdub of its own to change, and so few requests a second that most get through. Events
have no end, so they are left out: tests/admin knows them.
"""

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor

from harness import HERE, LOGS, PYTHON, WORK, Lubdub, Process, expect, expect_at_least
from websockets.sync.client import connect

SCHEMATHESIS = str(WORK / "venv" / "bin" / "schemathesis")
LIMIT = 150

# Which names there are, how long a text may be in bytes, and what was a cursor of this process is not for a schema to
# say: a text that it allows may be refused.
TAKES_TEXT = ["pairs", "ends", "drain", "close_pair"]

CONFIGURATION = """\
color = false
continue-on-failure = true
request-timeout = 10
# Each run asks the same.
cache.enabled = false
generation = {{ deterministic = true, max-examples = {examples}, no-shrink = true }}
checks.positive_data_acceptance.expected-statuses = ["2xx", "401", "404", "409", "429"]
warnings.fail-on = ["unresolvable_reference", "unsupported_regex", "unmatched_filter", "missing_deserializer"]
{settings}
{unlike}
"""
UNLIKE = """
[[operations]]
include-operation-id = "{operation}"
checks.positive_data_acceptance.enabled = false
"""
SETS_PAIR = """
parameters."path.id" = "{pair}"
checks.negative_data_rejection.enabled = false
"""


class Play:
    """A run of Schemathesis: of which operations, on which lubdub, and what has to come of it."""

    def __init__(self, name, operations, examples=30, pair=None, rate=None, accepted=1):
        self.name = name
        self.operations = operations
        self.examples = examples
        # The number that is asked for, which then cannot be wrong.
        self.pair = pair
        self.rate = rate
        # So many of what was asked rightly had an answer of 200, of each operation.
        self.accepted = accepted

    def run(self, admin):
        config, report = LOGS / f"openapi-{self.name}-schemathesis.toml", LOGS / f"openapi-{self.name}.json"
        unlike = "".join(UNLIKE.format(operation=operation) for operation in TAKES_TEXT if operation in self.operations)
        settings = SETS_PAIR.format(pair=self.pair) if self.pair else ""
        written = CONFIGURATION.format(examples=self.examples, settings=settings, unlike=unlike)
        config.write_text(written)
        report.unlink(missing_ok=True)
        command = [SCHEMATHESIS, "--config-file", str(config), "run", f"http://{admin}/api/v1/openapi.json"]
        command += ["--phases=examples,coverage,fuzzing", f"--report-json-path={report}"]
        command += [f"--include-operation-id={operation}" for operation in self.operations]
        command += [f"--rate-limit={self.rate}"] if self.rate else []
        told = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, cwd=LOGS, stdin=subprocess.DEVNULL)
        (LOGS / f"openapi-{self.name}.log").write_text(told.stdout + told.stderr)
        if not report.exists():
            raise RuntimeError(f"no report, see openapi-{self.name}.log")
        self.judge(json.loads(report.read_text()), told.returncode)

    def judge(self, report, code):
        failures = "; ".join(f"{one['title']} ({', '.join(one['operations'])})" for one in report["failures"] + report["errors"])
        if failures:
            raise AssertionError(f"{failures}, see openapi-{self.name}.log")
        expect(code, 0, f"exit code (openapi-{self.name}.log)")
        expect(report["operations"]["tested"], len(self.operations), "operations")
        expect_at_least(report["test_cases"]["generated"], len(self.operations), "requests")
        for operation, phases in report["valid_rates"].items():
            accepted = sum(phase["accepted"] for phase in phases.values())
            expect_at_least(accepted, self.accepted, f"answers of 200 to {operation}")


LOOKS = Play(
    "looks",
    ["metrics", "livez", "readyz", "page", "description", "status", "history", "config", "latest_drain", "ends", "pairs"],
)
NO_PAIR = Play("no-pair", ["pair"], accepted=0)
PAIR = Play("pair", ["pair"], examples=10, pair=1)
# In ten seconds 80 of them get through, and few are too many.
CHANGES = [
    Play("drain", ["drain"], examples=10, rate="9/s"),
    Play("reload", ["reload"], examples=10, rate="9/s"),
    Play("close", ["close_pair"], examples=10, rate="9/s", pair=1),
    Play("close-none", ["close_pair"], examples=10, rate="9/s", accepted=0),
    # Without a token nobody may, and no program is started.
    Play("upgrade", ["upgrade"], examples=10, rate="9/s", accepted=0),
]


def run(tally, _arguments):
    with Process("openapi-backend", [PYTHON, str(HERE / "backends" / "echo.py")]) as backend:
        port = backend.port()
        with ThreadPoolExecutor(4) as pool:
            runs = [pool.submit(look, tally, port)]
            runs += [pool.submit(change, tally, port, play) for play in CHANGES]
        for one in runs:
            one.result()


def look(tally, port):
    """All that can be looked at, beside pairs that live and one that has ended."""
    with Lubdub("openapi-looks", {"chat": port}, "100ms") as lubdub:
        url = f"ws://{lubdub.address}/chat"
        with connect(url), connect(url) as ended:
            ended.close()
            for play in [LOOKS, NO_PAIR, PAIR]:
                with tally.guard(f"openapi: {play.name}"):
                    play.run(lubdub.admin)


def change(tally, port, play):
    with tally.guard(f"openapi: {play.name}"):
        with Lubdub(f"openapi-{play.name}-lubdub", {"chat": port}, "100ms") as lubdub, connect(f"ws://{lubdub.address}/chat"):
            play.run(lubdub.admin)
