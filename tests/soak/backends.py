"""The three upstreams, in a process of their own: one that is well, one that accepts and never answers, and one
that listens and stops listening.

    backends.py WELL HANGS FLAPS        their ports on 127.0.0.1

It says `ready` and lives until its standard input ends.
"""

import asyncio
import contextlib
import random
import socket
import sys

from frames import CLOSE, PING, PONG, TEXT, decode, encode, switch

# An endpoint that is told this does nothing any more, for longer than lubdub's patience.
FREEZE = b"freeze"
FROZEN = 30
# For how long the flapping one listens, and then does not.
UP, DOWN = (4, 10), (1, 4)
GONE = (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError)
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nok\n"


async def serve(reader, writer):
    """Answers what is asked on one connection."""
    with contextlib.suppress(*GONE):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            if b"\r\nupgrade:" in head.lower():
                switch(head, writer)
                await converse(reader, writer)
                break
            writer.write(PLAIN)
    writer.transport.abort() if writer.is_closing() else writer.close()


async def converse(reader, writer):
    """Says back what it is told."""
    while True:
        opcode, payload = await decode(reader)
        if opcode == PING:
            writer.write(encode(PONG, payload, masked=False))
        elif opcode == TEXT and payload == FREEZE:
            await asyncio.sleep(FROZEN)
            writer.transport.abort()
            return
        elif opcode == TEXT:
            writer.write(encode(TEXT, payload, masked=False))
        elif opcode == CLOSE:
            writer.write(encode(CLOSE, payload, masked=False))
            return


async def hang(reader, writer):
    """Accepts, reads, and never answers."""
    with contextlib.suppress(*GONE):
        while await reader.read(4096):
            pass
    writer.close()


async def flap(port):
    """Listens and stops listening; who is connected then is reset."""
    open_ones = set()

    async def welcome(reader, writer):
        open_ones.add(writer)
        await serve(reader, writer)
        open_ones.discard(writer)

    while True:
        server = await asyncio.start_server(welcome, "127.0.0.1", port, backlog=512)
        await asyncio.sleep(random.uniform(*UP))
        server.close()
        for writer in list(open_ones):
            reset(writer)
        open_ones.clear()
        await asyncio.sleep(random.uniform(*DOWN))


def reset(writer):
    end = writer.get_extra_info("socket")
    if end is not None:
        with contextlib.suppress(OSError):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    writer.transport.abort()


async def main(well, hangs, flaps):
    await asyncio.start_server(serve, "127.0.0.1", well, backlog=4096)
    await asyncio.start_server(hang, "127.0.0.1", hangs, backlog=4096)
    flapping = asyncio.ensure_future(flap(flaps))
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    flapping.cancel()


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:])))
