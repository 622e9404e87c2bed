"""A real Prometheus scrapes lubdub for ten seconds; promtool has nothing to say about what it reads."""

import json
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request
from pathlib import Path

from harness import HERE, PYTHON, Lubdub, Process, expect, expect_at_least
from websockets.sync.client import connect

SCRAPES = 10
LIMIT = 60


def run(tally, _options):
    with (
        tempfile.TemporaryDirectory(prefix="interop-") as scratch,
        Process("prometheus-backend", [PYTHON, str(HERE / "backends" / "echo.py")]) as backend,
        Lubdub("prometheus-lubdub", {"all": backend.port()}, "200ms") as lubdub,
        connect(f"ws://{lubdub.address}/", ping_interval=None),
        connect(f"ws://{lubdub.address}/", ping_interval=None),
    ):
        with tally.guard("promtool check metrics is silent"):
            check_metrics(lubdub.metrics_text())
        with tally.guard("prometheus scrapes lubdub and shows its pairs"), prometheus(scratch, lubdub) as query:
            until(lambda: query("count_over_time(lubdub_pairs[1m])") >= SCRAPES, "scrapes")
            expect(query('lubdub_pairs{listener="public",route="all"}'), 2, "lubdub_pairs")
            expect(query("min_over_time(up[1m])"), 1, "the worst of up")
            for side in ("client", "upstream"):
                pings = query(f'increase(lubdub_pings_sent_total{{side="{side}"}}[5s])')
                expect_at_least(pings, 20, f"pings to the {side} side in 5 s")
                rtt = f'{{route="all",side="{side}"}}[1m]))'
                quantile = query(f"histogram_quantile(0.5, rate(lubdub_ping_rtt_seconds_bucket{rtt}")
                expect(0 < quantile < 1, True, f"a median between 0 and 1 s in {quantile}")


def check_metrics(text):
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=LIMIT)
    expect((done.returncode, done.stdout + done.stderr), (0, ""), "exit code and words of promtool")


class prometheus:
    """A Prometheus with one target; gives a function from an expression to its value."""

    def __init__(self, scratch, lubdub):
        config = Path(scratch) / "prometheus.yml"
        config.write_text(
            "global:\n  scrape_interval: 1s\nscrape_configs:\n  - job_name: lubdub\n    static_configs:\n"
            f"      - targets: ['{lubdub.admin}']\n"
        )
        self.process = Process(
            "prometheus",
            [
                "prometheus",
                f"--config.file={config}",
                f"--storage.tsdb.path={scratch}/data",
                "--web.listen-address=127.0.0.1:0",
                "--log.format=json",
            ],
        )

    def __enter__(self):
        self.address = self.process.wait_for(lambda line: '"Listening on"' in line and json.loads(line)["address"], LIMIT)
        return self.query

    def __exit__(self, *_):
        self.process.stop()

    def query(self, expression):
        arguments = urllib.parse.urlencode({"query": expression})
        try:
            with urllib.request.urlopen(f"http://{self.address}/api/v1/query?{arguments}", timeout=10) as answer:
                result = json.load(answer)["data"]["result"]
        except urllib.error.HTTPError as error:
            if error.code != 503:
                raise
            return 0
        if len(result) > 1:
            raise AssertionError(f"{expression} has {len(result)} values")
        return float(result[0]["value"][1]) if result else 0


def until(true, what):
    deadline = time.monotonic() + LIMIT
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not enough after {LIMIT} s")
        time.sleep(0.25)
