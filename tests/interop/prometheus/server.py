"""A real Prometheus with one target, and the shipped alerts if they are wanted."""

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from harness import Process

LIMIT = 60


class Prometheus:
    """Asked by its HTTP API."""

    def __init__(self, scratch, lubdub, rules=None):
        config = Path(scratch) / "prometheus.yml"
        config.write_text(
            "global:\n  scrape_interval: 1s\n  evaluation_interval: 1s\n"
            f"rule_files: {json.dumps([str(rules)] if rules else [])}\n"
            "scrape_configs:\n  - job_name: lubdub\n    static_configs:\n"
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
        return self

    def __exit__(self, *_):
        self.process.stop()

    def series(self, expression):
        """What the expression comes to: a value for each series."""
        return self._ask("query", query=expression)["result"]

    def value(self, expression):
        """The one value of the expression; 0 as long as there is none."""
        try:
            result = self.series(expression)
        except urllib.error.HTTPError as error:
            if error.code != 503:
                raise
            return 0
        if len(result) > 1:
            raise AssertionError(f"{expression} has {len(result)} values")
        return float(result[0]["value"][1]) if result else 0

    def alerts(self):
        """The alerting rules, as they were evaluated last."""
        groups = self._ask("rules", type="alert")["groups"]
        return [rule for group in groups for rule in group["rules"]]

    def _ask(self, what, **arguments):
        arguments = urllib.parse.urlencode(arguments)
        url = f"http://{self.address}/api/v1/{what}?{arguments}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            if error.code == 503:
                raise
            raise AssertionError(f"{arguments}: {error.read().decode()}") from None


def until(true, what):
    deadline = time.monotonic() + LIMIT
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not enough after {LIMIT} s")
        time.sleep(0.25)
