"""Plain HTTP through lubdub, by curl: to Python's http.server and to a Node server."""

import hashlib
import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from harness import NODE, NPM, Lubdub, Process, expect, expect_at_least

LIMIT = 120
LARGE = 256 << 20
# What a client that is slow on purpose takes at least, half of what it could, before it goes away.
SLOW = 32 << 20
# What lubdub may grow by, at its highest, while 256 MiB pass.
GROWTH = 16 << 20


def run(tally, _options):
    with (
        tempfile.TemporaryDirectory(prefix="interop-") as scratch,
        Process("http-python", [sys.executable, "-u", "-m", "http.server", "--bind", "127.0.0.1", "0"], cwd=scratch) as files,
        Process("http-node", [NODE, str(NPM / "plain_http" / "server.mjs")]) as node,
    ):
        scratch = Path(scratch)
        (scratch / "body").write_bytes(os.urandom(1 << 20))
        port = files.wait_for(lambda line: "Serving HTTP" in line and int(line.split(" port ")[1].split()[0]))
        with Lubdub("http-python-lubdub", {"all": port}, "200ms") as lubdub:
            python_cases(tally, lubdub, scratch)
        with Lubdub("http-node-lubdub", {"all": node.port()}, "200ms") as lubdub:
            node_cases(tally, lubdub, scratch)


def python_cases(tally, lubdub, scratch):
    url = f"http://{lubdub.address}"
    body = (scratch / "body").read_bytes()
    with tally.guard("curl to http.server: GET"):
        expect(curl(f"{url}/body").stdout == body, True, "equality of the file")
    with tally.guard("curl to http.server: HEAD"):
        head = curl("--head", f"{url}/body").stdout.decode().lower()
        expect(head.startswith("http/1.1 200 "), True, f"200 in {head!r}")
        expect(f"content-length: {len(body)}\r\n" in head, True, f"length in {head!r}")
    with tally.guard("curl to http.server: 404 with its body"):
        answer = curl("--write-out", "%{http_code}", f"{url}/none").stdout
        expect(answer[-3:], b"404", "status")
        expect(b"File not found" in answer, True, "body")


def node_cases(tally, lubdub, scratch):
    url = f"http://{lubdub.address}"
    body = scratch / "body"
    digest = hashlib.sha256(body.read_bytes()).hexdigest()
    with tally.guard("curl to node: GET"):
        expect(curl(f"{url}/hello").stdout, b"hello, heart\n", "body")
    with tally.guard("curl to node: HEAD"):
        expect(curl("--head", f"{url}/hello").stdout.startswith(b"HTTP/1.1 200 "), True, "200")
    with tally.guard("curl to node: POST with a length"):
        seen = json.loads(curl("--header", "Expect:", "--data-binary", f"@{body}", f"{url}/upload").stdout)
        wanted = {"method": "POST", "size": 1 << 20, "sha256": digest, "length": str(1 << 20), "coding": None, "expect": None}
        expect(seen, wanted, "what the upstream saw")
    with tally.guard("curl to node: POST in chunks"):
        flags = ("--header", "Expect:", "--header", "Transfer-Encoding: chunked")
        seen = json.loads(curl(*flags, "--data-binary", f"@{body}", f"{url}/upload").stdout)
        wanted = {"method": "POST", "size": 1 << 20, "sha256": digest, "length": None, "coding": "chunked", "expect": None}
        expect(seen, wanted, "what the upstream saw")
    with tally.guard("curl to node: 100-continue"):
        done = curl("--verbose", "--header", "Expect: 100-continue", "--data-binary", f"@{body}", f"{url}/upload")
        expect("< HTTP/1.1 100 Continue" in done.stderr.decode(), True, "100 at the client")
        seen = json.loads(done.stdout)
        expect((seen["size"], seen["sha256"]), (1 << 20, digest), "what the upstream saw")
        expect(seen["expect"], "100-continue", "Expect at the upstream")
    with tally.guard("curl to node: 100-continue, refused"):
        # Neither lubdub nor curl may go on before the upstream says so; curl waits for 20 s here.
        flags = ("--expect100-timeout", "20", "--write-out", "%{http_code} %{size_upload}")
        done = curl(*flags, "--header", "Expect: 100-continue", "--data-binary", f"@{body}", f"{url}/refuse")
        expect(done.stdout, b"not that\n417 0", "answer, status and bytes sent")
    with tally.guard("smallest: no 100 Continue before the upstream said so"):
        no_early_continue()
    with tally.guard("curl to node: server-sent events, one by one"):
        command = ["curl", "--silent", "--no-buffer", "--max-time", "60", f"{url}/events"]
        with Process("http-events", command) as stream:
            for beat in range(1, 6):
                # The next event is sent only after this one was seen: nothing may wait for more.
                curl(f"{url}/emit/{beat}")
                stream.wait_for(lambda line: line == f"data: beat {beat}", 10)
            curl(f"{url}/end")
            expect(stream.wait(10), 0, "exit code of curl")
    with tally.guard("curl to node: 256 MiB down in constant memory"):
        before = peak_anew(lubdub)
        expect(download(url), (0, 200, LARGE), "exit code, status and bytes")
        constant(lubdub, before, "down")
    with tally.guard("curl to node: 4 s at 16 MiB/s of 256 MiB in constant memory"):
        before = peak_anew(lubdub)
        code, status, size = download(url, "--limit-rate", "16M", "--max-time", "4")
        # It was cut off in the middle by its own limit of time, and by nothing else.
        expect((code, status), (28, 200), "exit code and status")
        expect_at_least(size, SLOW, "number of bytes")
        constant(lubdub, before, f"down, {size >> 20} MiB slowly")
    with tally.guard("curl to node: 256 MiB up in constant memory"):
        before = peak_anew(lubdub)
        source = subprocess.Popen(["head", "--bytes", str(LARGE), "/dev/zero"], stdout=subprocess.PIPE)
        with source:
            flags = ("--header", "Expect:", "--header", "Content-Type: application/octet-stream", "--upload-file", "-")
            seen = json.loads(curl(*flags, f"{url}/upload", stdin=source.stdout).stdout)
        expect((seen["method"], seen["size"]), ("PUT", LARGE), "what the upstream saw")
        constant(lubdub, before, "up")
    with tally.guard("curl to node: keep-alive, one connection for five requests"):
        urls = [part for _ in range(5) for part in ("--output", os.devnull, f"{url}/hello")]
        done = curl("--write-out", "%{http_code} %{num_connects}\n", *urls)
        expect(done.stdout.split(b"\n")[:5], [b"200 1"] + [b"200 0"] * 4, "status and new connections")


def no_early_continue():
    """RFC 9110 10.1.1, 15.2: a 100 is the upstream's to say, for it alone knows whether it wants the body."""
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    refusal = b"HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(LIMIT)
        with Lubdub("http-expect-lubdub", {"all": listener.getsockname()[1]}, "200ms") as lubdub:
            host, port = lubdub.address.rsplit(":", 1)
            with socket.create_connection((host, int(port)), LIMIT) as client:
                client.sendall(head)
                upstream, _ = listener.accept()
                with upstream, upstream.makefile("rb") as lines:
                    upstream.settimeout(LIMIT)
                    while lines.readline() != b"\r\n":
                        pass
                    upstream.sendall(refusal)
                    with client.makefile("rb") as answer:
                        expect(answer.readline(), b"HTTP/1.1 417 Expectation Failed\r\n", "first line of the answer")


def curl(*arguments, stdin=subprocess.DEVNULL):
    command = ["curl", "--silent", "--show-error", "--max-time", str(LIMIT), *arguments]
    done = subprocess.run(command, stdin=stdin, capture_output=True, timeout=LIMIT + 10)
    if done.returncode:
        raise RuntimeError(f"curl ended with {done.returncode}: {done.stderr.decode()[-300:]}")
    return done


def download(url, *flags):
    """curl's exit code, the status and how many bytes came."""
    command = ["curl", "--silent", *flags, "--output", os.devnull, "--write-out", "%{http_code} %{size_download}", f"{url}/large"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT)
    status, size = done.stdout.split()
    return done.returncode, int(status), int(size)


def peak_anew(lubdub):
    """Forgets the highest memory use so far; what is in use now."""
    Path(f"/proc/{lubdub.pid}/clear_refs").write_text("5")
    return lubdub.memory("VmRSS")


def constant(lubdub, before, what):
    peak = lubdub.memory("VmHWM")
    print(f"      lubdub's memory, {what}: {before >> 10} KiB before, {peak >> 10} KiB at its highest")
    if peak > before + GROWTH:
        raise AssertionError(f"memory went from {before >> 10} KiB to {peak >> 10} KiB")
