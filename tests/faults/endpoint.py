"""A process full of WebSocket endpoints: `endpoint.py client HOST PORT` or `endpoint.py backend HOST PORT`.

It does as it is told by lines of JSON on standard input and reports what it sees as lines of JSON on
standard output, each with the time of CLOCK_MONOTONIC, which all network namespaces of a machine
share. Every endpoint answers pings and Closes. A backend echoes text. A pair is known by its number,
which the client names in the path, so that both ends speak of the same one.
"""

import asyncio
import json
import os
import resource
import sys
import time

import frames

# A binary message of this size is what `stream` sends.
MESSAGE = bytes(4 * 1024)


class Endpoint:
    """One end of one pair."""

    def __init__(self, pair, reader, writer, masked):
        self.pair = pair
        self.reader = reader
        self.writer = writer
        self.masked = masked
        self.closed = False
        self.pings = 0
        self.bytes = 0

    def send(self, opcode, payload):
        self.writer.write(frames.encode(opcode, payload, self.masked))

    def close(self, code):
        self.closed = True
        self.send(frames.CLOSE, frames.close_payload(code))

    async def listen(self):
        """Until its connection ends."""
        try:
            while True:
                opcode, payload = await frames.decode(self.reader)
                self.on_frame(opcode, payload)
        except asyncio.IncompleteReadError as error:
            report("eof", self.pair, partial=len(error.partial))
        except ConnectionResetError:
            report("reset", self.pair)
        except OSError as error:
            report("failed", self.pair, error=str(error))
        self.writer.close()

    def on_frame(self, opcode, payload):
        self.bytes += len(payload)
        if opcode == frames.PING:
            self.pings += 1
            self.send(frames.PONG, payload)
        elif opcode == frames.CLOSE:
            report("close", self.pair, code=frames.close_code(payload))
            if not self.closed:
                self.closed = True
                self.send(frames.CLOSE, payload)
            # "the server SHOULD close the connection first" (RFC 6455 7.1.1)
            if not self.masked:
                self.writer.write_eof()
        elif opcode == frames.TEXT:
            report("text", self.pair, text=payload.decode())
            if not self.masked:
                self.send(frames.TEXT, payload)

    async def stream(self, size):
        for _ in range(size // len(MESSAGE)):
            self.send(frames.BINARY, MESSAGE)
            await self.writer.drain()
        report("streamed", self.pair)


class Process:
    """All endpoints of this process."""

    def __init__(self, host, port):
        self.host = host
        self.port = port
        self.endpoints = {}
        self.tasks = set()

    def spawn(self, task):
        task = asyncio.get_running_loop().create_task(task)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def serve(self):
        await asyncio.start_server(self.accept, self.host, self.port, backlog=4096)
        report("listening")

    async def accept(self, reader, writer):
        try:
            path = await frames.answer(reader, writer)
        except (asyncio.IncompleteReadError, OSError):
            writer.close()
            return
        await self.run(Endpoint(int(path.rsplit("/", 1)[1]), reader, writer, masked=False))

    async def connect(self, pair, delay):
        await asyncio.sleep(delay)
        try:
            reader, writer = await asyncio.open_connection(self.host, self.port, limit=frames.HEAD)
            port = writer.get_extra_info("sockname")[1]
            report("connected", pair, port=port)
            await frames.ask(reader, writer, self.host, f"/pair/{pair}")
        except frames.Refused as refused:
            report("refused", pair, status=refused.status)
            return
        except (asyncio.IncompleteReadError, OSError) as error:
            report("refused", pair, status=type(error).__name__)
            return
        await self.run(Endpoint(pair, reader, writer, masked=True), port=port)

    async def run(self, endpoint, **facts):
        self.endpoints[endpoint.pair] = endpoint
        report("open", endpoint.pair, **facts)
        await endpoint.listen()

    def obey(self, order):
        match order["do"]:
            case "connect":
                for n, pair in enumerate(order["pairs"]):
                    self.spawn(self.connect(pair, order["over"] * n / len(order["pairs"])))
            case "close":
                for pair in order["pairs"]:
                    self.endpoints[pair].close(order["code"])
            case "say":
                for pair in order["pairs"]:
                    self.endpoints[pair].send(frames.TEXT, order["text"].encode())
            case "stream":
                for pair in order["pairs"]:
                    self.spawn(self.endpoints[pair].stream(order["size"]))
            case "tally":
                tally = {pair: (e.pings, e.bytes) for pair, e in self.endpoints.items()}
                report("tally", of=tally)


def report(event, pair=None, **facts):
    line = {"t": time.monotonic(), "event": event, "pair": pair, **facts}
    # One write, so that a line is whole; it is short, and its reader is quick.
    os.write(1, (json.dumps(line) + "\n").encode())


async def main(role, host, port):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    process = Process(host, int(port))
    if role == "backend":
        await process.serve()
    orders = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(orders), sys.stdin
    )
    while line := await orders.readline():
        process.obey(json.loads(line))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
