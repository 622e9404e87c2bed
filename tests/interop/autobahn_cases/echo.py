"""What Autobahn tests, directly and through lubdub: an echo that speaks permessage-deflate.

echo.py server                 echo whatever comes, print the port
echo.py client URL COUNT       go through so many cases of the fuzzing server at URL, echoing

It is websockets without its I/O, so that the outcome of a case does not depend on how TCP happens to
cut the bytes: websockets' own connection takes in all that one read brings before the application
sees the first message, and so echoes or does not echo a message that stands before a violation. A
proxy moves bytes, not segments; here small reads are taken in one byte at a time.
"""

import asyncio
import sys

from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory, ServerPerMessageDeflateFactory
from websockets.frames import Opcode
from websockets.http11 import Request
from websockets.protocol import CONNECTING, OPEN
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

# Reads up to this size are taken in one byte at a time; every violation of the suite is smaller.
SMALL = 512
# The suite itself gives no case more than 480 s; what takes longer hangs.
CASE_LIMIT = 540
# Level of zlib: most of the run of sections 12 and 13 is spent compressing, and any level is permessage-deflate.
COMPRESSION = {"level": 1}
# How long the client waits for the server to end the connection, RFC 6455 7.1.1.
CLOSE_LIMIT = 5


class Echo(asyncio.Protocol):
    def __init__(self, protocol):
        self.protocol = protocol
        self.ended = asyncio.get_running_loop().create_future()
        self.text = False
        self.parts = []

    def connection_made(self, transport):
        self.transport = transport
        if isinstance(self.protocol, ClientProtocol):
            self.protocol.send_request(self.protocol.connect())
            self.flush()

    def data_received(self, data):
        step = 1 if len(data) <= SMALL else len(data)
        for at in range(0, len(data), step):
            self.protocol.receive_data(data[at : at + step])
            self.react()

    def eof_received(self):
        self.protocol.receive_eof()
        self.react()

    def connection_lost(self, _):
        if not self.ended.done():
            self.ended.set_result(None)

    def react(self):
        for event in self.protocol.events_received():
            if isinstance(event, Request):
                self.protocol.send_response(self.protocol.accept(event))
            elif getattr(event, "opcode", None) in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                self.on_frame(event)
        self.flush()

    def on_frame(self, frame):
        if frame.opcode is not Opcode.CONT:
            self.text = frame.opcode is Opcode.TEXT
        self.parts.append(frame.data)
        if not frame.fin:
            return
        message = b"".join(self.parts)
        self.parts.clear()
        if self.protocol.state is not OPEN:
            return
        if not self.text:
            self.protocol.send_binary(message)
        elif is_utf8(message):
            self.protocol.send_text(message)
        else:
            self.protocol.fail(1007, "invalid UTF-8")

    def flush(self):
        for data in self.protocol.data_to_send():
            if data:
                self.transport.write(data)
            elif self.transport.can_write_eof():
                self.transport.write_eof()
        if self.protocol.state is not CONNECTING and self.protocol.close_expected():
            asyncio.get_running_loop().call_later(CLOSE_LIMIT, self.transport.abort)


def is_utf8(message):
    try:
        message.decode()
    except UnicodeDecodeError:
        return False
    return True


async def server():
    extensions = [ServerPerMessageDeflateFactory(compress_settings=COMPRESSION)]
    listener = await asyncio.get_running_loop().create_server(
        lambda: Echo(ServerProtocol(extensions=extensions, max_size=None)), "127.0.0.1", 0
    )
    print("listening", listener.sockets[0].getsockname()[1], flush=True)
    await listener.serve_forever()


async def visit(url):
    """One connection from its handshake to its end."""
    uri = parse_uri(url)
    extensions = [ClientPerMessageDeflateFactory(compress_settings=COMPRESSION)]
    protocol = ClientProtocol(uri, extensions=extensions, max_size=None)
    transport, echo = await asyncio.get_running_loop().create_connection(lambda: Echo(protocol), uri.host, uri.port)
    try:
        await asyncio.wait_for(echo.ended, CASE_LIMIT)
    finally:
        transport.abort()
    if protocol.handshake_exc:
        raise protocol.handshake_exc


async def client(url, count):
    for case in range(1, count + 1):
        try:
            await visit(f"{url}/runCase?case={case}&agent=peer")
        except Exception as error:
            print(f"case number {case}: {error!r}", flush=True)
    await visit(f"{url}/updateReports?agent=peer")


asyncio.run(server() if sys.argv[1] == "server" else client(sys.argv[2], int(sys.argv[3])))
