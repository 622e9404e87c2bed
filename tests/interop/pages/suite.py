"""Pages in a real browser: who is listed in `origins` opens a WebSocket, and other people's pages do not."""

import json
import shutil
import tempfile

from harness import NODE, NPM, Lubdub, Process, expect

LIMIT = 120
# Chromium takes all of them for 127.0.0.1, and for sites of their own.
OURS, BELOW, EVIL = "ours.test", "app.ours.test", "evil.test"
# Page, route, what becomes of it. The first two are the hole; without them nobody knows that it would be one.
CASES = (
    (EVIL, "open", "open"),
    ("null", "open", "open"),
    (OURS, "guarded", "open"),
    (BELOW, "guarded", "open"),
    (EVIL, "guarded", "refused"),
    ("evil-ours.test", "guarded", "refused"),
    ("null", "guarded", "refused"),
)


def run(tally, options):
    if options.fast:
        return
    echo = [NODE, str(NPM / "backends" / "echo.mjs")]
    with (
        tempfile.TemporaryDirectory(prefix="interop-") as profile,
        Process("pages-backend", echo) as backend,
        # Its pages are not lubdub's: they are of other sites.
        Process("pages-elsewhere", echo) as elsewhere,
    ):
        page = elsewhere.port()
        origins = f'origins = ["http://{OURS}:{page}", "http://*.{OURS}:{page}"]'
        ports = dict.fromkeys(("open", "guarded"), backend.port())
        with Lubdub("pages-lubdub", ports, "200ms", routes={"guarded": origins}) as lubdub:
            port = lubdub.address.rsplit(":", 1)[1]
            arguments = [f"ws://lubdub.test:{port}", str(page), json.dumps(CASES), shutil.which("chromium"), profile]
            seen = {}
            with tally.guard("pages: the browser runs to its end"):
                with Process("pages-browser", [NODE, str(NPM / "pages" / "browser.mjs"), *arguments]) as browser:
                    for line in browser.lines(LIMIT):
                        if line.startswith("{"):
                            result = json.loads(line)
                            seen[result["page"], result["route"]] = result["became"]
                    expect(browser.wait(10), 0, "exit code")
            for page, route, became in CASES:
                verb = "comes in" if became == "open" else "is refused"
                with tally.guard(f"pages: {page} {verb} by the route {route}"):
                    expect(seen.get((page, route)), became, "the WebSocket")
            with tally.guard("pages: each refusal is counted, and the backend hears of none"):
                refused = sum(1 for _, _, became in CASES if became == "refused")
                count = lubdub.metric("lubdub_handshakes_total", route="guarded", outcome="origin")
                expect(count, refused, "number of refusals")
                count = lubdub.metric("lubdub_handshakes_total", outcome="upgraded")
                expect(count, len(CASES) - refused, "number of pairs")
