"""TLS on both legs: real clients come to one of three names, and real backends want to see a certificate of lubdub's."""

import asyncio
import json
import ssl
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from clients.suite import CASES, CLIENTS, Way, no_pair_is_left, one, run_client
from harness import HERE, NODE, NPM, PYTHON, Certificate, Lubdub, Process, expect

INTERVAL = "200ms"
# Who comes; the browser not with --fast.
COMING = ("websockets", "ws", "chromium")
# The names of the certificates, and the host by which a client asks for each.
HOSTS = {"one": "one.example", "two": "any.two.example", "three": "three.example"}
NAMES = {"one": "one.example", "two": "*.two.example", "three": "three.example"}
# A handshake that any server answers.
UPGRADE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}


def run(tally, options):
    shown = {name: Certificate(f"tls-ends-{name}", host) for name, host in NAMES.items()}
    server = Certificate("tls-ends-backend", "localhost")
    client = Certificate("tls-ends-lubdub", "lubdub.example")
    stranger = Certificate("tls-ends-stranger", "stranger.example")
    files = [str(server.cert), str(server.key), str(client.cert)]
    listener = "".join(certificate.of_listener(name) for name, certificate in shown.items())
    with (
        Process("tls-ends-backend-python", [PYTHON, str(HERE / "backends" / "echo.py"), *files]) as python,
        Process("tls-ends-backend-node", [NODE, str(NPM / "backends" / "echo.mjs"), *files]) as node,
    ):
        backends = {"python": python.port(), "node": node.port()}
        how = {"url": "wss://localhost:{port}"}
        ca = f'ca = "{server.cert}"\n'
        showing = lambda certificate: f'{ca}certificate = "{certificate.cert}"\nkey = "{certificate.key}"\n'
        with Lubdub("tls-ends-lubdub", backends, INTERVAL, listener, upstream=showing(client), **how) as lubdub:
            coming = [client for client in CLIENTS if client[0] in COMING and not (options.fast and client[0] == "chromium")]
            for name, command, lacking, further in coming:
                for backend in backends:
                    one(tally, lubdub, backend, name, command, lacking, further, Way(HOSTS["one"], shown["one"]))
                for certificate in ("two", "three"):
                    by_name(tally, lubdub, name, command, further, Way(HOSTS[certificate], shown[certificate]))
            # Who asks for a name that nobody has is shown the first, and one that nobody is does not fit.
            for asked, certificate in (("four.example", "one"), ("two.example", "one")):
                with tally.guard(f"tls_ends: {asked} is shown the certificate {certificate}"):
                    expect(certificate_for(lubdub, asked), shown[certificate].cert.read_text().split(), "certificate")
            for backend in backends:
                with tally.guard(f"tls_ends, {backend} backend: no pair is left, no side lapsed"):
                    no_pair_is_left(lubdub, backend)
                    expect(lubdub.metric("lubdub_lapses_total", route=backend), 0, "lapses")
        for what, settings, words in (
            # They say so by an alert, or hang up.
            ("no certificate", ca, "asks for a certificate: set upstream.{}.certificate and upstream.{}.key"),
            ("another certificate", showing(stranger), "the certificate in upstream.{}.certificate"),
            ("another authority", f'ca = "{stranger.cert}"\n', "its certificate is that of an authority"),
        ):
            name = f"tls-ends-lubdub-{what.replace(' ', '-')}"
            with Lubdub(name, backends, INTERVAL, upstream=settings, **how) as lubdub:
                for backend in backends:
                    with tally.guard(f"tls_ends, {backend} backend, {what}: connect_failed, and why"):
                        refused(lubdub, backend, words.format(backend, backend))


def by_name(tally, lubdub, name, command, further, way):
    """A client that trusts one certificate only, and so was shown it."""
    seen = {}
    with tally.guard(f"{name}{way.label()}: is shown its certificate"):
        run_client(lubdub, "python", name, command, further, seen, way, [case for case in CASES if case != "text"])
        expect(seen, {"text": None}, "cases")


def certificate_for(lubdub, name):
    """The certificate that lubdub shows to who asks for this name, as the words of its PEM."""

    async def ask():
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        _, writer = await asyncio.open_connection("127.0.0.1", lubdub.port_number, ssl=context, server_hostname=name)
        shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        return ssl.DER_cert_to_PEM_cert(shown).split()

    return asyncio.run(asyncio.wait_for(ask(), 10))


def refused(lubdub, backend, words):
    try:
        with urlopen(Request(f"http://{lubdub.address}/{backend}", headers=UPGRADE), timeout=10) as answer:
            status = answer.status
    except HTTPError as error:
        status = error.code
    expect(status, 502, "status")
    line = json.loads(lubdub.wait_for(lambda line: '"not served"' in line and line, 10))
    expect(line["outcome"], "connect_failed", "outcome")
    if words not in line["reason"]:
        raise AssertionError(f"the reason was {line['reason']!r}, without {words!r}")
