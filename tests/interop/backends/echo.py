"""The backend of the client cases, with Python's websockets. backends/README.md says what it does.

echo.py [CERTIFICATE KEY CLIENT]: with TLS, and only for who shows the certificate CLIENT or one that it has signed.
"""

import asyncio
import json
import pathlib
import ssl
import sys
from urllib.parse import parse_qs, urlsplit

import websockets
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.frames import Frame, Opcode
from websockets.http11 import Response

CASES = pathlib.Path(__file__).parents[1] / "clients" / "cases.mjs"
FILES = {
    "page": ("text/html", "<!doctype html><title>interop</title>"),
    "cases.mjs": ("text/javascript", CASES.read_text()),
}
ends = {}


def end_of(name):
    """Resolves to the code and reason with which the connection of that name ended."""
    return ends.setdefault(name, asyncio.get_running_loop().create_future())


class Connection(ServerConnection):
    """Remembers every pong that its library saw."""

    def process_event(self, event):
        if isinstance(event, Frame) and event.opcode is Opcode.PONG:
            self.__dict__.setdefault("pongs", []).append(bytes(event.data).decode())
        super().process_event(event)


def on_request(connection, request):
    url = urlsplit(request.path)
    if request.headers.get("Upgrade", "").lower() == "websocket":
        if "plain" in parse_qs(url.query, keep_blank_values=True):
            connection.protocol.available_extensions = []
        return None
    kind, body = FILES[url.path.rsplit("/", 1)[1]]
    headers = Headers({"Content-Type": kind, "Content-Length": str(len(body.encode()))})
    headers["Set-Cookie"] = "heart=beats; Path=/"
    headers["Connection"] = "close"
    return Response(200, "OK", headers, body.encode())


def choose(_, offered):
    return "interop.v2" if "interop.v2" in offered else None


async def on_connection(peer):
    query = parse_qs(urlsplit(peer.request.path).query)
    try:
        async for message in peer:
            if isinstance(message, str) and message.startswith("!"):
                await obey(peer, json.loads(message[1:]))
            else:
                await peer.send(message)
    except websockets.ConnectionClosedError:
        pass
    if "id" in query:
        end_of(query["id"][0]).set_result([peer.close_code, peer.close_reason])


async def obey(peer, command):
    match command:
        case {"do": "about"}:
            about = {
                "url": peer.request.path,
                "cookie": peer.request.headers.get("Cookie"),
                "compressed": bool(peer.protocol.extensions),
            }
            await peer.send(json.dumps(about))
        case {"do": "ping", "payload": payload}:
            await (await peer.ping(payload))
            await peer.send(json.dumps({"pong": payload}))
        case {"do": "pong", "payload": payload}:
            await peer.pong(payload)
            await peer.send("ponged")
        case {"do": "pongs"}:
            await peer.send(json.dumps(getattr(peer, "pongs", [])))
        case {"do": "fragments", "parts": parts}:
            await peer.send(parts)
        case {"do": "close", "code": code, "reason": reason}:
            await peer.close(code, reason)
        case {"do": "ended", "id": name}:
            await peer.send(json.dumps(await end_of(name)))


async def main():
    options = {"ping_interval": None, "max_size": None, "select_subprotocol": choose}
    if len(sys.argv) > 1:
        certificate, key, client = sys.argv[1:]
        options["ssl"] = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=client)
        options["ssl"].load_cert_chain(certificate, key)
        options["ssl"].verify_mode = ssl.CERT_REQUIRED
    async with serve(
        on_connection, "127.0.0.1", 0, process_request=on_request, create_connection=Connection, **options
    ) as server:
        print("listening", server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()


asyncio.run(main())
