"""Certificates that clients show: the right one comes in and is named to the backend. Who shows another, or none, is
refused, and lubdub's log and metrics say why."""

import json
import subprocess
import tempfile
from pathlib import Path

from clients.suite import CASES, CLIENTS, Way, run_client
from harness import NODE, NPM, Certificate, Lubdub, Process, expect, expect_at_least
from tls_clients.authority import Authority

# Who comes; the browser not with --fast.
COMING = ("websockets", "ws", "chromium")
HOST = "lubdub.example"
SUBJECT = "X-Client-Subject"
LONG_AGO = ("-startdate", "20200101000000Z", "-enddate", "20200201000000Z")
FAILURES = "lubdub_tls_handshake_failures_total"
# What is shown: how lubdub counts it, and what its log says.
REFUSED = {
    "none": ("no_client_certificate", 'it shows no certificate, and client_auth is "required"'),
    "stranger": ("client_certificate_unknown_ca", "its certificate is from nobody in client_ca"),
    # Of an authority that calls itself as ours does.
    "namesake": (
        "client_certificate_bad",
        "a signature does not fit: its certificate is from another authority of the same name as one in client_ca, "
        "or the client does not have its key",
    ),
    "expired": ("client_certificate_expired", "its certificate has expired"),
    "revoked": ("client_certificate_revoked", "its certificate has been revoked"),
}


class Showing(Way):
    """Over TLS, with a certificate of one's own, given as files, or with none."""

    def __init__(self, listener, name, files, home):
        super().__init__(HOST, listener)
        self.name, self.files, self.home = name, files, home

    def env(self):
        env = {**super().env(), "HOME": self.home}
        if self.files:
            env |= {"INTEROP_CERT": str(self.files[0]), "INTEROP_KEY": str(self.files[1])}
        return env

    def label(self):
        return f", showing {self.name}"


def run(tally, options):
    listener = Certificate("tls-clients-listener", HOST)
    authority, namesake = Authority("tls-clients-authority"), Authority("tls-clients-namesake")
    other = Authority("tls-clients-other-authority", "Another Authority")
    shown = {
        "right": authority.vouch("right"),
        "none": None,
        "stranger": other.vouch("stranger"),
        "namesake": namesake.vouch("namesake"),
        "expired": authority.vouch("expired", *LONG_AGO),
        "revoked": authority.vouch("revoked"),
    }
    authority.revoke(shown["revoked"][0])
    authority.publish()
    table = "\n".join(
        (
            "[listen.public.tls]",
            'client_auth = "required"',
            f'client_ca = "{authority.ca}"',
            f'client_crl = "{authority.crl}"',
            f'subject_header = "{SUBJECT}"',
            listener.of_listener(),
        )
    )
    with Process("tls-clients-backend", [NODE, str(NPM / "backends" / "echo.mjs")]) as backend:
        port = backend.port()
        for client in CLIENTS:
            name = client[0]
            if name not in COMING or (options.fast and name == "chromium"):
                continue
            for what, files in shown.items():
                with (
                    tally.guard(f"tls_clients: {name}, showing {what}, {'is refused' if what in REFUSED else 'comes in'}"),
                    tempfile.TemporaryDirectory(prefix="interop-") as home,
                    Lubdub(f"tls-clients-lubdub-{name}-{what}", {"node": port}, "200ms", table) as lubdub,
                ):
                    if name == "chromium" and files:
                        store(home, *files)
                    seen = {}
                    way = Showing(listener, what, files, home)
                    run_client(lubdub, "node", *only_text(client), seen, way, [case for case in CASES if case != "text"])
                    if what in REFUSED:
                        # Chromium shows none that has expired or is from an authority that was not named.
                        unseen = name == "chromium" and what in ("expired", "stranger")
                        refused(lubdub, name, seen, *REFUSED["none" if unseen else what])
                    else:
                        came_in(lubdub, seen, backend)


def only_text(client):
    name, command, _, further = client
    return name, command, further


def came_in(lubdub, seen, backend):
    expect(seen, {"text": None}, "cases")
    named = backend.wait_for(lambda line: line.startswith("subject ") and line.split(" ", 1)[1], 10)
    expect(named, "CN=right,O=Interop", "subject that the backend hears of")
    expect(failures(lubdub).keys() - {"gone"}, set(), "reasons of failures")


def refused(lubdub, name, seen, failure, reason):
    if not seen.get("text"):
        raise AssertionError(f"the client was not refused: {seen}")
    told = json.loads(lubdub.wait_for(lambda line: '"TLS handshake failed"' in line and line, 10))
    expect((told["level"], told["failure"], told["reason"]), ("info", failure, reason), "line in the log")
    counted = failures(lubdub)
    if name == "chromium":
        # It goes to fetch its certificate when it is asked for one, and comes back; and it tries more than once.
        counted.pop("gone", None)
        expect_at_least(counted.pop(failure, 0), 1, f"number of {failure}")
        expect(counted, {}, "further failures")
    else:
        expect(counted, {failure: 1}, "failures")
    handshakes = lubdub.metric("lubdub_handshakes_total") - lubdub.metric("lubdub_handshakes_total", outcome="client_gone")
    expect(handshakes, 0, "number of handshakes of WebSocket")


def failures(lubdub):
    """How many TLS handshakes have failed, by reason."""
    counted = {}
    for line in lubdub.metrics_text().splitlines():
        if line.startswith(FAILURES + "{"):
            series, number = line.rsplit(" ", 1)
            if float(number):
                counted[series.split('reason="', 1)[1].split('"', 1)[0]] = float(number)
    return counted


def store(home, cert, key):
    """Puts the certificate where Chromium looks for its user's: NSS' database in the home."""
    database = Path(home) / ".pki" / "nssdb"
    database.mkdir(parents=True)
    bundle = Path(home) / "client.p12"
    run = lambda *command: subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    run("openssl", "pkcs12", "-export", "-in", cert, "-inkey", key, "-out", bundle, "-passout", "pass:interop")
    run("certutil", "-N", "-d", f"sql:{database}", "--empty-password")
    run("pk12util", "-i", bundle, "-d", f"sql:{database}", "-W", "interop")
