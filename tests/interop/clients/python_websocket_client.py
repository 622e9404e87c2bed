"""python_websocket_client.py URL LACKING: the client cases with websocket-client, which is blocking:
one thread reads. It knows no compression."""

import asyncio
import struct
import threading

import cases
import websocket
from websocket import ABNF


class Peer(cases.Peer):
    def __init__(self, socket):
        super().__init__()
        self.socket = socket
        self.loop = asyncio.get_running_loop()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        while True:
            try:
                opcode, frame = self.socket.recv_data_frame(control_frame=True)
            except (websocket.WebSocketException, OSError):
                self.tell(self.on_end, 1006, "")
                return
            match opcode:
                case ABNF.OPCODE_TEXT:
                    self.tell(self.inbox.put_nowait, frame.data.decode())
                case ABNF.OPCODE_BINARY:
                    self.tell(self.inbox.put_nowait, bytes(frame.data))
                case ABNF.OPCODE_PONG:
                    self.tell(self.on_pong, frame.data)
                case ABNF.OPCODE_CLOSE:
                    self.tell(self.on_end, struct.unpack("!H", frame.data[:2])[0], frame.data[2:].decode())
                    self.socket.shutdown()
                    return

    def tell(self, what, *arguments):
        self.loop.call_soon_threadsafe(what, *arguments)

    async def send(self, message):
        opcode = ABNF.OPCODE_TEXT if isinstance(message, str) else ABNF.OPCODE_BINARY
        await asyncio.to_thread(self.socket.send, message, opcode)

    async def fragments(self, parts):
        for at, part in enumerate(parts):
            opcode = ABNF.OPCODE_CONT if at else ABNF.OPCODE_TEXT
            self.socket.send_frame(ABNF.create_frame(part, opcode, int(at == len(parts) - 1)))

    async def ping(self, payload):
        self.socket.ping(payload)

    async def pong(self, payload):
        self.socket.pong(payload)

    async def close(self, code, reason):
        self.socket.send_close(code, reason.encode())

    @property
    def protocol(self):
        return self.socket.getsubprotocol()

    @property
    def compressed(self):
        return False


async def dial(url, protocols=None, cookie=None):
    return Peer(await asyncio.to_thread(websocket.create_connection, url, 30, subprotocols=protocols, cookie=cookie))


asyncio.run(cases.run(dial))
