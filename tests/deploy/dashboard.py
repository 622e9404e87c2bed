"""The queries of the dashboard, as Grafana sends them."""

import json
import pathlib
import re

DASHBOARD = pathlib.Path(__file__).resolve().parents[2] / "deploy/grafana/lubdub.json"


def panels():
    return json.loads(DASHBOARD.read_text())["panels"]


def queries():
    """Each with where it stands, its variables as they are."""
    dashboard = json.loads(DASHBOARD.read_text())
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]
    for annotation in dashboard["annotations"]["list"]:
        yield annotation["name"], annotation["expr"]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            query = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"])
            assert query, f"variable {variable['name']} is no label_values(SERIES, LABEL)"
            yield variable["name"], f"count by ({query[2]}) ({query[1]})"


def filled(query, window="1m", **chosen):
    """The query with all of everything chosen, but for what is named."""
    every = dict.fromkeys(["job", "instance", "route", "upstream", "listener"], ".*") | chosen
    query = query.replace("$__rate_interval", window)
    for variable, value in every.items():
        query = query.replace(f"${variable}", value)
    assert "$" not in query, f"nothing is known of a variable in {query}"
    return query
