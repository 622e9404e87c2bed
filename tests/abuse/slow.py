"""What is in front of lubdub and behind it while it is besieged: slowhttptest.sh starts both.

    slow.py backend               echoes WebSocket messages and answers all other requests; prints its port
    slow.py client PORT SECONDS   connects and converses for so long; prints its cells of the table, and exits
                                  with 1 if anything fails
"""

import asyncio
import contextlib
import socket
import sys
import time

import frames

# What a slow reader is given to read.
PAGE = b"x" * 256 * 1024
# The longest that a conversation may take, from connecting to its end. lubdub gives the place of a silent
# client to another after 1 s.
PATIENCE = 3
HOST = "127.0.0.1"


async def backend():
    server = await asyncio.start_server(serve, HOST, 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def serve(reader, writer):
    # Whoever besieges goes when it likes.
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            fields = head.lower()
            if b"sec-websocket-key:" in fields:
                await echo(head, reader, writer)
                break
            if b"content-length:" in fields:
                await reader.readexactly(int(fields.split(b"content-length:")[1].split(b"\r\n")[0]))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(PAGE))
            writer.write(PAGE)
            await writer.drain()
    writer.close()


async def echo(head, reader, writer):
    handshake = asyncio.StreamReader()
    handshake.feed_data(head)
    await frames.answer(handshake, writer)
    while True:
        opcode, payload = await frames.decode(reader)
        if opcode == frames.PING:
            opcode = frames.PONG
        if opcode != frames.PONG:
            writer.write(frames.encode(opcode, payload, masked=False))
        if opcode == frames.CLOSE:
            return


class Conversation:
    """One connection of a client that says things and wants them back."""

    async def open(self, port):
        self.reader, self.writer = await asyncio.open_connection(HOST, port)
        self.writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await frames.ask(self.reader, self.writer, "lubdub.example", "/")

    async def exchange(self, opcode, payload):
        self.writer.write(frames.encode(opcode, payload, masked=True))
        while True:
            came, answer = await frames.decode(self.reader)
            if came == frames.PING:
                self.writer.write(frames.encode(frames.PONG, answer, masked=True))
                continue
            if (came, answer) != (opcode, payload):
                raise ValueError(f"{answer!r} came back for {payload!r}")
            return

    def abandon(self):
        self.writer.close()


class Record:
    def __init__(self):
        self.took = []
        self.failures = []

    @contextlib.asynccontextmanager
    async def timed(self, what):
        began = time.monotonic()
        try:
            async with asyncio.timeout(PATIENCE):
                yield
        except (OSError, EOFError, ValueError, TimeoutError, frames.Refused) as error:
            self.failures.append(f"{what}: {error!r}")
        self.took.append(time.monotonic() - began)

    def __str__(self):
        """Cells of a table: how many, how many of them failed, the slowest."""
        return f"{len(self.took)} | {len(self.failures)} | {max(self.took, default=0) * 1000:.0f} ms"


async def visits(port, until):
    """One connection after the other."""
    record = Record()
    while time.monotonic() < until:
        visitor = Conversation()
        async with record.timed("a visit"):
            await visitor.open(port)
            for n in range(5):
                await visitor.exchange(frames.TEXT, b"visit %d" % n)
            await visitor.exchange(frames.CLOSE, frames.close_payload(1000))
        if hasattr(visitor, "writer"):
            visitor.abandon()
        await asyncio.sleep(0.05)
    return record


async def stay(resident, until):
    """One connection that was there before."""
    record = Record()
    while time.monotonic() < until and not record.failures:
        async with record.timed("an exchange"):
            await resident.exchange(frames.BINARY, bytes(1000))
        await asyncio.sleep(0.05)
    resident.abandon()
    return record


async def client(port, seconds):
    until = time.monotonic() + seconds
    resident = Conversation()
    await resident.open(port)
    visited, stayed = await asyncio.gather(visits(port, until), stay(resident, until))
    print(f"{visited} | {stayed}")
    failures = visited.failures + stayed.failures
    for failure in failures[:10]:
        print(failure, file=sys.stderr)
    return 1 if failures or not visited.took or not stayed.took else 0


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["backend"]:
            asyncio.run(backend())
        case ["client", port, seconds]:
            sys.exit(asyncio.run(client(int(port), float(seconds))))
        case _:
            sys.exit(__doc__)
