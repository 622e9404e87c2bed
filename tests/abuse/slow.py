"""What is in front of lubdub and behind it while it is besieged: slowhttptest.sh starts both.

    slow.py backend               echoes WebSocket messages and answers all other requests; prints its port
    slow.py client PORT SECONDS   connects and converses for so long; prints its cells of the table, and exits
                                  with 1 if anything fails

The client is the package websockets, as applications use it. The backend is none: it answers plain requests
with slow bodies on the same port, which that package refuses.
"""

import asyncio
import contextlib
import sys
import time

import frames
import websockets
from websockets.asyncio.client import connect

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


def dial(port):
    """A connection of a client, with its defaults; a proxy of the environment's is for other hosts."""
    return connect(f"ws://{HOST}:{port}/", proxy=None)


async def exchange(connection, message):
    """Says something and wants it back."""
    await connection.send(message)
    answer = await connection.recv()
    if answer != message:
        raise ValueError(f"{answer!r} came back for {message!r}")


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
        except (OSError, ValueError, TimeoutError, websockets.WebSocketException) as error:
            self.failures.append(f"{what}: {error!r}")
        self.took.append(time.monotonic() - began)

    def __str__(self):
        """Cells of a table: how many, how many of them failed, the slowest."""
        return f"{len(self.took)} | {len(self.failures)} | {max(self.took, default=0) * 1000:.0f} ms"


async def visits(port, until):
    """One connection after the other."""
    record = Record()
    while time.monotonic() < until:
        async with record.timed("a visit"), dial(port) as visitor:
            for n in range(5):
                await exchange(visitor, f"visit {n}")
            await visitor.close()
            if visitor.close_code != 1000:
                raise ValueError(f"it was closed with {visitor.close_code}")
        await asyncio.sleep(0.05)
    return record


async def stay(resident, until):
    """One connection that was there before."""
    record = Record()
    while time.monotonic() < until and not record.failures:
        async with record.timed("an exchange"):
            await exchange(resident, bytes(1000))
        await asyncio.sleep(0.05)
    return record


async def client(port, seconds):
    until = time.monotonic() + seconds
    async with dial(port) as resident:
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
