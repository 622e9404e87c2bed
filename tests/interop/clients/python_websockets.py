"""python_websockets.py URL LACKING: the client cases with websockets."""

import asyncio
import os
import ssl
from urllib.parse import urlsplit

import cases
import websockets
from websockets.asyncio.client import ClientConnection, connect
from websockets.frames import Frame, Opcode


class Connection(ClientConnection):
    """Hands every pong to `on_pong`, which websockets itself keeps to those that were asked for."""

    on_pong = None

    def process_event(self, event):
        if isinstance(event, Frame) and event.opcode is Opcode.PONG and self.on_pong:
            self.on_pong(event.data)
        super().process_event(event)


class Peer(cases.Peer):
    def __init__(self, connection):
        super().__init__()
        self.connection = connection
        connection.on_pong = self.on_pong
        self.reader = asyncio.create_task(self.read())

    async def read(self):
        try:
            async for message in self.connection:
                self.inbox.put_nowait(message)
        except websockets.ConnectionClosedError:
            pass
        self.on_end(self.connection.close_code, self.connection.close_reason)

    async def send(self, message):
        await self.connection.send(message)

    async def fragments(self, parts):
        await self.connection.send(parts)

    async def ping(self, payload):
        await self.connection.ping(payload)

    async def pong(self, payload):
        await self.connection.pong(payload)

    async def close(self, code, reason):
        await self.connection.close(code, reason)

    @property
    def protocol(self):
        return self.connection.subprotocol

    @property
    def compressed(self):
        return bool(self.connection.protocol.extensions)


async def dial(url, protocols=None, cookie=None):
    headers = {"Cookie": cookie} if cookie else {}
    options = {"ping_interval": None, "max_size": None, "create_connection": Connection}
    if url.startswith("wss:"):
        # The name is asked for (SNI) and verified, and stands for loopback.
        tls = ssl.create_default_context(cafile=os.environ["INTEROP_CA"])
        if "INTEROP_CERT" in os.environ:
            tls.load_cert_chain(os.environ["INTEROP_CERT"], os.environ["INTEROP_KEY"])
        options |= {"ssl": tls, "host": "127.0.0.1", "port": urlsplit(url).port}
    return Peer(await connect(url, subprotocols=protocols, additional_headers=headers, **options))


asyncio.run(cases.run(dial))
