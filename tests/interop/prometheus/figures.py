"""Every query of the dashboard and every alert, asked of a real Prometheus that scrapes a lubdub to which all sorts of
things happen: no error, and something to see wherever something has happened."""

import contextlib
import itertools
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

from harness import HERE, LUBDUB, PYTHON, ROOT, Certificate, Lubdub, Process, expect
from prometheus.server import Prometheus, until
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

sys.path.append(str(ROOT / "tests" / "deploy"))
import dashboard  # noqa: E402

ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"
# Longer than all of it takes.
WINDOW = "1m"
# More than alerts take for a handful.
MANY = 30

# Queries of the dashboard that have no data here, by a panel's title or a metric, each with why.
QUIET = {
    "Restarts": "it is started once",
    "lubdub_pongs_repaired_total": "no client here answers two pings with one pong",
    "lubdub_log_lines_dropped_total": "the log is read",
    "lubdub_handover_pairs_total": "nothing is upgraded",
}
# Alerts whose condition is not met here, each with why.
CALM = {
    "LubdubDown": "it is scraped",
    "LubdubAbsent": "it is scraped",
    "LubdubRestarts": "it is started once",
    "LubdubUpstreamStalls": "the upstream that stops reading is sent nothing",
    "LubdubUpstreamSlow": "everything is on one machine",
    "LubdubPingsDelayed": "everything is on one machine",
    "LubdubAcceptPaused": "there is room for everybody",
    "LubdubFilesShort": "there is room for everybody",
    "LubdubHandoverLost": "nothing is upgraded",
    "LubdubLingers": "nothing is upgraded",
    "LubdubLogDropped": "the log is read",
    "LubdubFault": "there is none",
}

SETTINGS = [
    "keepalive.client.timeout=1s",
    "keepalive.upstream.timeout=1s",
    "timeouts.connect=1s",
    "timeouts.answer=1s",
    "timeouts.write_stall=1s",
    "log.refusals=1/s",
    "drain.delay=0s",
    "drain.spread=0s",
    "drain.timeout=1s",
    "listen.secure.address=127.0.0.1:0",
    "route.watched.keepalive.client.enforce=never",
    "route.small.limits.pairs=1",
    "upstream.hung.limits.waiting=1",
    "upstream.hung.limits.requests=1",
]


def run(tally, check_metrics):
    with contextlib.ExitStack() as stack:
        scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="interop-"))
        certificate = Certificate("figures", "localhost")
        backend, frozen = (stack.enter_context(echo(name)) for name in ("figures-backend", "figures-frozen"))
        hung = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        with socket.create_server(("127.0.0.1", 0)) as gone:
            nobody = gone.getsockname()[1]
        upstreams = dict.fromkeys(["all", "watched", "small"], backend.port())
        upstreams |= {"frozen": frozen.port(), "gone": nobody, "hung": hung.getsockname()[1]}
        secure = certificate.of_listener().replace("listen.public", "listen.secure")
        lubdub = stack.enter_context(Lubdub("figures-lubdub", upstreams, "200ms", extra=secure, settings=SETTINGS))
        prometheus = stack.enter_context(Prometheus(scratch, lubdub, ALERTS))
        # What grows is seen to grow from 0.
        until(lambda: prometheus.value("count_over_time(lubdub_draining[1m])") >= 2, "scrapes")
        with tally.guard("things happen to lubdub, and it counts them"):
            happen(stack, lubdub, frozen, certificate)
            until(lambda: state(prometheus, "LubdubDrainStuck") != "inactive", "the last thing that happens is seen")
        with tally.guard("promtool check metrics is silent after all that"):
            check_metrics(lubdub.metrics_text())
        for where, queries in itertools.groupby(dashboard.queries(), key=lambda query: query[0]):
            with tally.guard(f"dashboard, {where}"):
                for _, query in queries:
                    has_answer(prometheus, where, query)
        alerts = prometheus.alerts()
        with tally.guard("every alert that is said to be calm is there"):
            expect(CALM.keys() - {alert["name"] for alert in alerts}, set(), "those that are not")
        for alert in alerts:
            with tally.guard(f"alert {alert['name']}"):
                has_worked(prometheus, alert)


# --- what is looked at -------------------------------------------------------------------------------


def has_answer(prometheus, where, query):
    words = {where, *re.findall(r"\w+", query)}
    why = next((why for what, why in QUIET.items() if what in words), None)
    found = prometheus.series(dashboard.filled(query, WINDOW, job="lubdub"))
    expect(bool(found), why is None, f"whether there is data ({why or 'there has to be'}) for {query}")


def has_worked(prometheus, alert):
    expect(alert["health"], "ok", f"health, {alert.get('lastError')}:")
    why = CALM.get(alert["name"])
    expect(alert["state"] != "inactive", why is None, f"whether its condition is met ({why or 'it has to be'})")
    # What is calm is calm because of its numbers, and not for want of them.
    for selector in re.findall(r"\b(?:lubdub_|process_|up\b)\w*(?:\{[^}]*\})?", alert["query"]):
        expect(bool(prometheus.series(f"last_over_time({selector}[{WINDOW}])")), True, f"whether there is {selector}")


def state(prometheus, name):
    return next((alert["state"] for alert in prometheus.alerts() if alert["name"] == name), None)


# --- what happens ------------------------------------------------------------------------------------


def happen(stack, lubdub, frozen, certificate):
    """Everything that can be seen in a few seconds. What is to last lasts until the stack ends."""
    http, ws = f"http://{lubdub.address}", f"ws://{lubdub.address}"
    # Pairs that are well, of which some end.
    for n in range(3):
        client = connect(f"{ws}/", ping_interval=None)
        client.send("hello")
        expect(client.recv(), "hello", "the echo")
        if n:
            client.close()
        else:
            stack.callback(client.close)
    # Clients that fall silent, that are only watched, and one that takes nothing of what it asks for.
    silent = [upgraded(stack, lubdub, "/") for _ in range(MANY)]
    upgraded(stack, lubdub, "/watched")
    greedy = upgraded(stack, lubdub, "/", small=True)
    size = 8 << 20
    # Masked with nothing.
    greedy.sendall(b"\x82\xff" + size.to_bytes(8) + bytes(4) + bytes(size))
    # An upstream that freezes with a pair, and then answers nobody.
    stack.callback(connect(f"{ws}/frozen", ping_interval=None).close)
    stack.callback(os.kill, frozen.pid, signal.SIGCONT)
    os.kill(frozen.pid, signal.SIGSTOP)
    expect(status(f"{ws}/frozen"), 504, "the answer of who is frozen")
    # No room; nobody there; an upstream that hangs.
    stack.callback(connect(f"{ws}/small", ping_interval=None).close)
    expect(status(f"{ws}/small"), 503, "the answer for one pair too many")
    expect({status(f"{ws}/gone") for _ in range(MANY)}, {502}, "the answers of nobody")
    with ask(lubdub, "/hung", upgrade=True):
        until(lambda: lubdub.metric("lubdub_upstream_waiting", upstream="hung") == 1, "one that waits")
        expect(status(f"{ws}/hung"), 503, "the answer for one that waits too many")
    until(lambda: lubdub.metric("lubdub_upstream_waiting", upstream="hung") == 0, "none that waits")
    stack.enter_context(ask(lubdub, "/hung"))
    until(lambda: lubdub.metric("lubdub_upstream_requests", upstream="hung") == 1, "a request that waits")
    # Plain HTTP.
    for path, wanted in [("/page", 200), ("/nothing", 500), *[("/gone", 502)] * MANY]:
        expect(plain(http + path), wanted, f"the answer to {path}")
    # TLS, and clients that do not trust it.
    port = secure_port(lubdub)
    trusting = ssl.create_default_context(cafile=str(certificate.cert))
    stack.callback(connect(f"wss://localhost:{port}/", ssl=trusting, ping_interval=None).close)
    for _ in range(MANY):
        with contextlib.suppress(ssl.SSLCertVerificationError), socket.create_connection(("127.0.0.1", port), 10) as connection:
            ssl.create_default_context().wrap_socket(connection, server_hostname="localhost")
            raise AssertionError("a certificate that nobody has signed is trusted")
    # A reload that is applied, and one that is refused.
    command(lubdub, "reload")
    with open(lubdub.config, "a") as config:
        config.write("\n[no.such.table]\n")
    command(lubdub, "reload", fails=True)
    # All of it has come to its end.
    for name, labels, least in [
        ("lubdub_lapses_total", {"side": "client"}, len(silent)),
        ("lubdub_lapses_total", {"side": "upstream"}, 1),
        ("lubdub_would_have_lapsed_total", {"route": "watched"}, 1),
        ("lubdub_write_stalls_total", {"side": "client"}, 1),
        ("lubdub_tls_handshake_failures_total", {"reason": "unknown_ca"}, MANY),
    ]:
        until(lambda: lubdub.metric(name, **labels) >= least, f"{name} {labels} is {least}")
    command(lubdub, "drain")


def ask(lubdub, path, upgrade=False, small=False):
    """A request over a connection of its own, which is not waited for."""
    connection = socket.socket()
    if small:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(30)
    host, port = lubdub.address.rsplit(":", 1)
    connection.connect((host, int(port)))
    fields = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    fields += "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{fields if upgrade else ''}\r\n".encode())
    return connection


def upgraded(stack, lubdub, path, small=False):
    """A client that is there, and reads nothing behind its 101."""
    connection = stack.enter_context(ask(lubdub, path, upgrade=True, small=small))
    expect(connection.recv(12), b"HTTP/1.1 101", "the answer")
    return connection


def status(url):
    """Of an upgrade that is refused."""
    try:
        with connect(url, ping_interval=None, open_timeout=30):
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code


def plain(url):
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def secure_port(lubdub):
    lines = (json.loads(line) for line in lubdub.log.read_text().splitlines() if line.startswith("{"))
    address = next(line["address"] for line in lines if line["msg"] == "listening" and line["listener"] == "secure")
    return int(address.rsplit(":", 1)[1])


def command(lubdub, *words, fails=False):
    done = subprocess.run([LUBDUB, *words, "--admin", lubdub.admin], capture_output=True, text=True, timeout=60)
    expect(done.returncode != 0, fails, f"whether {words} fails, {done.stderr}:")


def echo(name):
    return Process(name, [PYTHON, str(HERE / "backends" / "echo.py")])
