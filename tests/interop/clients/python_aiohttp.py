"""python_aiohttp.py URL LACKING: the client cases with aiohttp. It shows every ping and pong, and is
asked to: so this client answers the pings itself."""

import asyncio

import aiohttp
import cases
from aiohttp import WSMsgType
from yarl import URL


class Peer(cases.Peer):
    def __init__(self, session, socket):
        super().__init__()
        self.session = session
        self.socket = socket
        self.reader = asyncio.create_task(self.read())

    async def read(self):
        while True:
            message = await self.socket.receive()
            match message.type:
                case WSMsgType.TEXT | WSMsgType.BINARY:
                    self.inbox.put_nowait(message.data)
                case WSMsgType.PING:
                    await self.socket.pong(message.data)
                case WSMsgType.PONG:
                    self.on_pong(message.data)
                case WSMsgType.CLOSE:
                    self.on_end(message.data, message.extra)
                    await self.session.close()
                    return
                case _:
                    return

    async def send(self, message):
        if isinstance(message, str):
            await self.socket.send_str(message)
        else:
            await self.socket.send_bytes(message)

    async def fragments(self, parts):
        raise NotImplementedError

    async def ping(self, payload):
        await self.socket.ping(payload.encode())

    async def pong(self, payload):
        await self.socket.pong(payload.encode())

    async def close(self, code, reason):
        await self.socket.close(code=code, message=reason.encode())
        # The code is that of the upstream's answer; its reason is thrown away.
        self.on_end(self.socket.close_code, cases.UNTOLD)
        await self.session.close()

    @property
    def protocol(self):
        return self.socket.protocol

    @property
    def compressed(self):
        return bool(self.socket.compress)


async def dial(url, protocols=(), cookie=None):
    session = aiohttp.ClientSession()
    headers = {"Cookie": cookie} if cookie else {}
    options = {"autoping": False, "max_msg_size": 0, "compress": 15, "headers": headers}
    return Peer(session, await session.ws_connect(URL(url, encoded=True), protocols=protocols, **options))


asyncio.run(cases.run(dial))
