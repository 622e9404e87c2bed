"""HAProxy and nginx in front of lubdub and behind it: does everybody know who the client is?

Clients, nginx and HAProxy have addresses of their own on loopback. Only the latter two are trusted.
"""

import contextlib
import json
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from harness import HERE, Lubdub, Process, expect

CLIENT, ANOTHER = "127.0.0.50", "127.0.0.51"
NGINX, HAPROXY = "127.0.0.2", "127.0.0.3"
LIMIT = 10


def run(tally, _options):
    with tempfile.TemporaryDirectory(prefix="interop-") as scratch:
        scratch = Path(scratch)
        certificate(scratch)
        with Process("balancers-backend", [sys.executable, str(HERE / "balancers" / "backend.py")]) as backend:
            port = backend.port()
            with free_ports("nginx", "haproxy", "v1", "tls", "fields") as ports:
                in_front(tally, scratch, port, ports)
            with free_ports("haproxy", "nginx") as ports:
                behind(tally, scratch, port, ports)


# --- in front


def in_front(tally, scratch, backend, ports):
    listen = f'proxy_protocol = "required"\ntrust = ["{NGINX}", "{HAPROXY}"]'
    limits = "[limits]\npairs_per_source = 1"
    trust = f'[forwarded]\ntrust = ["{NGINX}", "{HAPROXY}"]'
    with (
        Lubdub("balancers-lubdub", {"all": backend}, "10s", limits, listen=listen) as lubdub,
        Lubdub("balancers-fields", {"all": backend}, "10s", trust) as fields,
        haproxy(scratch, "front", haproxy_in_front(scratch, ports, lubdub.address)),
        nginx(scratch, "front", nginx_in_front(ports, fields.address)),
    ):
        with tally.guard("nginx, then HAProxy with PROXY v2: backend, admin, log and limit know the client"):
            with client(ports["nginx"], CLIENT) as told:
                expect(told["fields"]["x-forwarded-for"], f"{CLIENT}, {NGINX}", "X-Forwarded-For at the backend")
                pair = only_pair(lubdub)
                expect(pair["client"]["address"], CLIENT, "the client in the admin")
                expect(pair["client"]["peer"].split(":")[0], HAPROXY, "the peer in the admin")
                expect(pair["request_id"], told["fields"]["x-request-id"], "the request's id in the admin")
                expect(status(ports["nginx"], CLIENT), 503, "the status of one pair more of the same client")
                with client(ports["nginx"], ANOTHER):
                    pass
            ended = logged(lubdub, "pair ended", client=CLIENT)
            expect(ended["peer"].split(":")[0], HAPROXY, "the peer in the log")
            expect(ended["request_id"], told["fields"]["x-request-id"], "the request's id in the log")
            refused = logged(lubdub, "not served", outcome="limited")
            expect(refused["client"], CLIENT, "who was refused, in the log")
        pairs(lubdub, 0)
        with tally.guard("the same, and the client says that it is somebody else: no effect"):
            forged = {"X-Forwarded-For": "6.6.6.6", "Forwarded": "for=6.6.6.6", "X-Request-Id": "forged id"}
            with client(ports["nginx"], CLIENT, forged) as told:
                expect(only_pair(lubdub)["client"]["address"], CLIENT, "the client in the admin")
                expect("forwarded" in told["fields"], False, "a Forwarded at the backend")
                expect(told["fields"]["x-request-id"] == "forged id", False, "the forged id at the backend")
        for name, kind in (("haproxy", "PROXY v2"), ("v1", "PROXY v1")):
            pairs(lubdub, 0)
            with tally.guard(f"HAProxy with {kind}: the client has its address and its port"):
                with client(ports[name], CLIENT, {"X-Forwarded-For": "6.6.6.6"}) as told:
                    expect(told["fields"]["x-forwarded-for"], CLIENT, "X-Forwarded-For at the backend")
                    expect(only_pair(lubdub)["client"]["address"], told["from"], "the client in the admin")
        pairs(lubdub, 0)
        with tally.guard("HAProxy with TLS: scheme, version and name are known"):
            with client(ports["tls"], CLIENT, tls=scratch / "cert.pem") as told:
                expect(told["fields"]["x-forwarded-proto"], "https", "X-Forwarded-Proto at the backend")
                peer = told["from"]
            header = logged(lubdub, "pair ended", client=peer)["proxy_header"]
            said = dict(part.split("=", 1) for part in header.split(" "))
            expect(said["authority"], "lubdub.example", "the name that the client asked for")
            expect(said["tls"], "TLSv1.3", "the version of TLS")
            expect("unique_id" in said, True, "a unique id")
        with tally.guard("nginx with X-Forwarded-For alone: the client is known"):
            with client(ports["fields"], CLIENT, {"X-Forwarded-For": "6.6.6.6"}) as told:
                expect(told["fields"]["x-forwarded-for"], f"6.6.6.6, {CLIENT}, {NGINX}", "X-Forwarded-For at the backend")
                expect(only_pair(fields)["client"]["address"], CLIENT, "the client in the admin")
        with tally.guard("a stranger without a balancer can be nobody else"):
            port = int(fields.address.rsplit(":", 1)[1])
            with client(port, CLIENT, {"X-Forwarded-For": "6.6.6.6"}) as told:
                expect(told["fields"]["x-forwarded-for"], CLIENT, "X-Forwarded-For at the backend")
                expect(only_pair(fields)["client"]["address"], told["from"], "the client in the admin")
            port = int(lubdub.address.rsplit(":", 1)[1])
            forged = f"PROXY TCP4 {NGINX} {NGINX} 1 2\r\n".encode()
            expect(answer(port, CLIENT, forged), b"", "the answer to a forged PROXY header")
            logged(lubdub, "not served", outcome="bad_request")
        with tally.guard("HAProxy's health checks leave no line"):
            time.sleep(1)
            lines = [line for line in log(lubdub) if line.get("level") in ("warn", "error")]
            expect(lines, [], "warnings")
            amiss = [line for line in log(lubdub) if line.get("msg") == "not served" and line["client"].startswith(HAPROXY)]
            expect(amiss, [], "health checks that were not served")


def haproxy_in_front(scratch, ports, lubdub):
    def front(name, bind, server):
        return f"listen {name}\n  bind 127.0.0.1:{ports[name]}{bind}\n  server lubdub {lubdub} source {HAPROXY} {server}\n"

    tls = "send-proxy-v2-ssl-cn proxy-v2-options authority,unique-id"
    return (
        front("haproxy", "", "send-proxy-v2 check check-send-proxy inter 100ms")
        + front("v1", "", "send-proxy check inter 100ms")
        + front("tls", f" ssl crt {scratch}/both.pem", tls)
        + "  unique-id-format %{+X}o%ci_%cp\n"
    )


def nginx_in_front(ports, fields):
    def front(listen, to):
        return f"""
        server {{
            listen 127.0.0.1:{listen};
            location / {{
                proxy_pass http://{to};
                proxy_bind {NGINX};
                proxy_http_version 1.1;
                proxy_set_header Host $host;
                proxy_set_header Upgrade $http_upgrade;
                proxy_set_header Connection upgrade;
                proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            }}
        }}"""

    return "http {" + front(ports["nginx"], f"127.0.0.1:{ports['haproxy']}") + front(ports["fields"], fields) + "}"


# --- behind


def behind(tally, scratch, backend, ports):
    haproxys = (
        f"listen behind\n  mode http\n  bind 127.0.0.1:{ports['haproxy']} accept-proxy\n"
        "  http-request set-header X-Seen %[src]:%[src_port]\n"
        f"  server backend 127.0.0.1:{backend}\n"
    )
    nginxs = f"""http {{
        server {{
            listen 127.0.0.1:{ports['nginx']} proxy_protocol;
            location / {{
                proxy_pass http://127.0.0.1:{backend};
                proxy_http_version 1.1;
                proxy_set_header Upgrade $http_upgrade;
                proxy_set_header Connection upgrade;
                proxy_set_header X-Seen $proxy_protocol_addr:$proxy_protocol_port;
            }}
        }}
    }}"""
    with haproxy(scratch, "behind", haproxys), nginx(scratch, "behind", nginxs):
        for name in ports:
            for version in ("v1", "v2"):
                told_on(tally, name, ports[name], version)
    with tally.guard("a backend that reads bytes sees the line of PROXY v1"):
        with Lubdub("balancers-bytes", {"all": backend}, "10s", upstream='proxy_protocol = "v1"') as lubdub:
            host, port = lubdub.address.split(":")
            with client(int(port), CLIENT) as told:
                ip, from_port = told["from"].split(":")
                expect(told["proxy"], f"PROXY TCP4 {ip} {host} {from_port} {port}", "the line")


def told_on(tally, name, port, version):
    with tally.guard(f"{name} behind reads the client from lubdub's PROXY {version}"):
        upstream = f'proxy_protocol = "{version}"'
        with Lubdub(f"balancers-to-{name}-{version}", {"all": port}, "10s", upstream=upstream) as lubdub:
            with client(int(lubdub.address.rsplit(":", 1)[1]), CLIENT) as told:
                expect(told["fields"]["x-seen"], told["from"], f"whom {name} has seen")


# --- a client


class client:
    """A WebSocket from an address of loopback; gives what the backend was told, and where it came `from`."""

    def __init__(self, port, source, fields=None, tls=None):
        self.socket = socket.create_connection(("127.0.0.1", port), LIMIT, (source, 0))
        self.told = {"from": "{}:{}".format(*self.socket.getsockname())}
        if tls:
            context = ssl.create_default_context(cafile=tls)
            self.socket = context.wrap_socket(self.socket, server_hostname="lubdub.example")
        self.socket.sendall(upgrade(fields))
        self.bytes = b""

    def __enter__(self):
        try:
            head = self.until(lambda: self.bytes.partition(b"\r\n\r\n")[1] and len(self.bytes.partition(b"\r\n\r\n")[0]) + 4)
            expect(head[:12], b"HTTP/1.1 101", "the answer")
            # A PING of lubdub's may come first.
            while True:
                self.until(lambda: len(self.bytes) >= 4 and 2)
                opcode, length = self.head[0], self.head[1]
                if length == 126:
                    length = int.from_bytes(self.until(lambda: len(self.bytes) >= 2 and 2), "big")
                payload = self.until(lambda length=length: len(self.bytes) >= length and length, length == 0)
                if opcode == 0x81:
                    return {**self.told, **json.loads(payload)}
        except BaseException:
            self.socket.close()
            raise

    def until(self, whole, nothing=False):
        """Bytes from the front, as soon as `whole` says how many."""
        if nothing:
            return b""
        while not (length := whole()):
            if not (more := self.socket.recv(4096)):
                raise RuntimeError(f"the connection ended after {self.bytes!r}")
            self.bytes += more
        self.head, self.bytes = self.bytes[:length], self.bytes[length:]
        return self.head

    def __exit__(self, *_):
        # Close 1000, masked with zeros.
        self.socket.sendall(b"\x88\x82\0\0\0\0\x03\xe8")
        self.socket.close()


def upgrade(fields=None):
    lines = {
        "Host": "lubdub.example",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        **(fields or {}),
    }
    return ("GET / HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items()) + "\r\n").encode()


def answer(port, source, before=b""):
    """All that comes back, up to the end of the connection."""
    with socket.create_connection(("127.0.0.1", port), LIMIT, (source, 0)) as connection:
        came = b""
        try:
            connection.sendall(before + upgrade())
            while more := connection.recv(4096):
                came += more
        except ConnectionError:
            pass
        return came


def status(port, source):
    with socket.create_connection(("127.0.0.1", port), LIMIT, (source, 0)) as connection:
        connection.sendall(upgrade())
        return int(connection.recv(4096).split(b" ")[1])


# --- what lubdub tells


def pairs(lubdub, count):
    """All pairs, as soon as there are so many: those before may not have ended yet."""
    deadline = time.monotonic() + LIMIT
    while True:
        with urllib.request.urlopen(f"http://{lubdub.admin}/api/v1/pairs", timeout=LIMIT) as told:
            found = json.load(told)["pairs"]
        if len(found) == count:
            return found
        if time.monotonic() > deadline:
            raise TimeoutError(f"{len(found)} pairs and not {count} after {LIMIT} s")
        time.sleep(0.02)


def only_pair(lubdub):
    return pairs(lubdub, 1)[0]


def log(lubdub):
    return [json.loads(line) for line in lubdub.log.read_text().splitlines() if line.startswith("{")]


def logged(lubdub, message, **fields):
    """The last line of this kind with these fields, as soon as there is one."""
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        for line in reversed(log(lubdub)):
            if line.get("msg") == message and all(line.get(name) == value for name, value in fields.items()):
                return line
        time.sleep(0.02)
    raise TimeoutError(f"no line {message!r} with {fields}, see {lubdub.log.name}")


# --- balancers


def haproxy(scratch, name, frontends):
    path = scratch / f"haproxy-{name}.cfg"
    path.write_text(
        "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n  timeout tunnel 60s\n" + frontends
    )
    return started(f"balancers-haproxy-{name}", ["haproxy", "-db", "-f", str(path)], frontends)


def nginx(scratch, name, http):
    path = scratch / f"nginx-{name}.conf"
    path.write_text(
        f"daemon off;\nmaster_process off;\npid {scratch}/nginx-{name}.pid;\nerror_log stderr;\nevents {{}}\n"
        + http.replace("http {", f"http {{\n        access_log off;\n        client_body_temp_path {scratch}/body;\n"
                       f"        proxy_temp_path {scratch}/proxy;\n        fastcgi_temp_path {scratch}/fastcgi;\n"
                       f"        uwsgi_temp_path {scratch}/uwsgi;\n        scgi_temp_path {scratch}/scgi;", 1)
    )
    return started(f"balancers-nginx-{name}", ["nginx", "-p", str(scratch), "-c", str(path)], http)


def started(name, command, config):
    """A process that listens at every port that its configuration names so."""
    words = config.replace(";", " ").split()
    ports = [word.rsplit(":", 1)[1] for before, word in zip(words, words[1:]) if before in ("bind", "listen") and ":" in word]
    process = Process(name, command)
    try:
        for port in ports:
            wait_for_port(process, int(port))
    except BaseException:
        process.stop()
        raise
    return process


def wait_for_port(process, port):
    deadline = time.monotonic() + LIMIT
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if not process.alive() or time.monotonic() > deadline:
                raise RuntimeError(f"{process.name} does not listen, see {process.log.name}") from None
            time.sleep(0.05)


@contextlib.contextmanager
def free_ports(*names):
    """A port for each. The kernel gives them to nobody else meanwhile; HAProxy and nginx can listen there."""
    with contextlib.ExitStack() as held:
        ports = {}
        for name in names:
            port = held.enter_context(socket.socket())
            port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            port.bind(("127.0.0.1", 0))
            ports[name] = port.getsockname()[1]
        yield ports


def certificate(scratch):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=lubdub.example"]
        + ["-addext", "subjectAltName=DNS:lubdub.example", "-keyout", f"{scratch}/key.pem", "-out", f"{scratch}/cert.pem"],
        check=True,
        capture_output=True,
        timeout=60,
    )
    both = (scratch / "cert.pem").read_text() + (scratch / "key.pem").read_text()
    (scratch / "both.pem").write_text(both)
