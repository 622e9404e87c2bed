"""The status page in a real browser: what it shows is what the API says, and what it changes takes the token."""

import json
import shutil
import socket

from harness import LOGS, NODE, NPM, Lubdub, Process, expect

LIMIT = 420
TOKEN = "the-token-of-the-status-page-suite"


def beyond(port):
    """This machine's own address that is not loopback: whoever comes by it comes from beyond. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        address = probe.getsockname()[0]
    return None if address.startswith("127.") else f"{address}:{port}"


def run(tally, options):
    if options.fast:
        return
    LOGS.mkdir(parents=True, exist_ok=True)
    token = LOGS / "status-page-token"
    token.touch(mode=0o600)
    token.write_text(TOKEN + "\n")
    with (
        Process("status-page-backend", [NODE, str(NPM / "backends" / "echo.mjs")]) as backend,
        Lubdub(
            "status-page-lubdub",
            {"all": backend.port()},
            "1s",
            extra='[drain]\ndelay = "0s"\nspread = "2s"',
            # A client that freezes misses a few beats before it lapses: time to see them.
            client='timeout = "8s"\nenforce = "always"',
            admin=f'address = "0.0.0.0:0"\ntoken_file = "{token}"',
        ) as lubdub,
    ):
        port = lubdub.admin.rsplit(":", 1)[1]
        given = {
            "admin": f"127.0.0.1:{port}",
            "listener": lubdub.port_number,
            "beyond": beyond(port),
            "token": TOKEN,
            "pid": lubdub.pid,
            "executable": shutil.which("chromium"),
        }
        if given["beyond"] is None:
            tally.not_applicable("status_page: from beyond this machine", "it has no address but loopback")
        with tally.guard("status_page: the browser runs to its end"):
            with Process("status-page-browser", [NODE, str(NPM / "status_page" / "browser.mjs"), json.dumps(given)]) as browser:
                for line in browser.lines(LIMIT):
                    if line.startswith("{"):
                        result = json.loads(line)
                        tally.case(f"status_page: {result['case']}", result["problem"])
                expect(browser.wait(10), 0, "exit code")
