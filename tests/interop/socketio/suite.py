"""Socket.IO: long-polling and the upgrade from it, through lubdub."""

import json

from harness import NODE, NPM, Lubdub, Process, expect, expect_at_least

LIMIT = 200
CASES = 6
# All cases but the one that stays with long-polling, and the reconnect opens two.
PAIRS = 6


def run(tally, _options):
    with (
        Process("socketio-server", [NODE, str(NPM / "socketio" / "server.mjs")]) as server,
        Lubdub("socketio-lubdub", {"all": server.port()}, "200ms") as lubdub,
        tally.guard("socket.io: runs to its end"),
    ):
        with Process("socketio-client", [NODE, str(NPM / "socketio" / "client.mjs"), f"http://{lubdub.address}"]) as client:
            results = [json.loads(line) for line in client.lines(LIMIT) if line.startswith('{"case')]
        for result in results[:-1]:
            tally.case(f"socket.io: {result['case']}", result["problem"])
        expect(results[-1:], [{"cases": CASES}], "last line")
        expect(len(results), CASES + 1, "number of lines")
        expect_at_least(lubdub.metric("lubdub_pairs_opened_total"), PAIRS, "number of pairs")
        for side in ("client", "upstream"):
            expect_at_least(lubdub.metric("lubdub_pongs_received_total", side=side), 10, f"pongs of the {side} side")
            expect(lubdub.metric("lubdub_lapses_total", side=side), 0, f"lapses of the {side} side")
