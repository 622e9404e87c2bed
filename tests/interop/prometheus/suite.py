"""A real Prometheus scrapes lubdub; promtool has nothing to say about what it reads."""

import subprocess
import tempfile

from harness import HERE, PYTHON, Lubdub, Process, expect, expect_at_least
from prometheus import figures
from prometheus.server import LIMIT, Prometheus, until
from websockets.sync.client import connect

SCRAPES = 10


def run(tally, _options):
    calm(tally)
    figures.run(tally, check_metrics)


def calm(tally):
    with (
        tempfile.TemporaryDirectory(prefix="interop-") as scratch,
        Process("prometheus-backend", [PYTHON, str(HERE / "backends" / "echo.py")]) as backend,
        Lubdub("prometheus-lubdub", {"all": backend.port()}, "200ms") as lubdub,
        connect(f"ws://{lubdub.address}/", ping_interval=None),
        connect(f"ws://{lubdub.address}/", ping_interval=None),
    ):
        with tally.guard("promtool check metrics is silent"):
            check_metrics(lubdub.metrics_text())
        with tally.guard("prometheus scrapes lubdub and shows its pairs"), Prometheus(scratch, lubdub) as prometheus:
            query = prometheus.value
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
