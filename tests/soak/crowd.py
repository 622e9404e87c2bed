"""The clients of the pairs, in a process of their own: they come, talk, freeze and go, each again and again.

    crowd.py PORT PAIRS PATIENCE        lubdub's port, how many there are at a time, and how many seconds
                                        lubdub may take to find who is frozen

Each line on standard input begins a round or ends one; at its end it says in a line of JSON what was seen.
"""

import asyncio
import collections
import contextlib
import json
import os
import random
import sys

from backends import FREEZE, GONE
from frames import CLOSE, PING, PONG, TEXT, Refused, ask, close_code, close_payload, decode, encode

# Of each hundred clients.
ON_WELL, ON_FLAPS = 45, 20
# How long an upgrade to the healthy upstream may take: far more than it does, so that it is no question of how
# busy this machine is.
ANSWER = 20
# How pairs end, of each hundred; in the last two it is lubdub that ends them.
END_OF = {"close": 45, "fin": 15, "reset": 15, "freeze": 15, "freeze_upstream": 10}


def life():
    """How long a pair lives, in seconds."""
    return min(2 + random.expovariate(1 / 18), 60)


async def speak(writer, until, last_word):
    loop = asyncio.get_running_loop()
    while (pause := random.uniform(2, 8)) < until - loop.time():
        await asyncio.sleep(pause)
        writer.write(encode(TEXT, os.urandom(random.choice((8, 60, 1000))).hex().encode(), masked=True))
    await asyncio.sleep(until - loop.time())
    if last_word:
        writer.write(encode(TEXT, last_word, masked=True))


class Crowd:
    def __init__(self, port, pairs, patience):
        self.port = port
        self.pairs = pairs
        self.patience = patience
        self.seen = collections.Counter()
        self.wrongs = collections.Counter()
        self.tasks = []

    def begin(self):
        self.seen.clear()
        self.wrongs.clear()
        for number in range(self.pairs):
            share = number % 100
            visit = self.well if share < ON_WELL else self.flaps if share < ON_WELL + ON_FLAPS else self.hangs
            self.tasks.append(asyncio.ensure_future(self.again(visit)))

    async def end(self):
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.tasks = []
        return {"seen": dict(self.seen), "wrongs": dict(self.wrongs)}

    async def again(self, visit):
        """One who comes and goes."""
        # Not all at once; and who was turned away comes back a little later.
        await asyncio.sleep(random.uniform(0, 8))
        while True:
            writer = None
            try:
                async with asyncio.timeout(ANSWER):
                    reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                await visit(reader, writer)
            except (Refused, *GONE) as error:
                self.seen[f"{visit.__name__}: {type(error).__name__}"] += 1
                if writer is None:
                    self.wrongs[f"a client was not let in: {error!r}"] += 1
            finally:
                if writer is not None:
                    writer.transport.abort()
            await asyncio.sleep(random.uniform(0.2, 2))

    async def well(self, reader, writer):
        """A pair that nobody may end but its endpoints."""
        try:
            async with asyncio.timeout(ANSWER):
                await ask(reader, writer, "localhost", "/well")
        except (Refused, *GONE) as error:
            self.wrongs[f"an upgrade on the healthy route: {error!r}"] += 1
            raise
        self.seen["well: pairs"] += 1
        how = random.choices(list(END_OF), END_OF.values())[0]
        await self.talk(reader, writer, FREEZE if how == "freeze_upstream" else None)
        self.seen[f"well: {how}"] += 1
        await getattr(self, how)(reader, writer)

    async def flaps(self, reader, writer):
        """A pair whose upstream resets it sooner or later."""
        async with asyncio.timeout(ANSWER):
            await ask(reader, writer, "localhost", "/flaps")
        self.seen["flaps: pairs"] += 1
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(life()):
                await self.listen(reader, writer)
        await self.close(reader, writer)

    async def hangs(self, reader, writer):
        """Nobody answers; some wait for lubdub to say so, some leave before."""
        try:
            async with asyncio.timeout(random.uniform(1, 30)):
                if random.random() < 0.2:
                    writer.write(b"GET /hangs HTTP/1.1\r\nHost: localhost\r\n\r\n")
                    status = (await reader.readuntil(b"\r\n\r\n")).split(b" ", 2)[1].decode()
                    raise Refused(status)
                await ask(reader, writer, "localhost", "/hangs")
                self.wrongs["a pair with an upstream that never answers"] += 1
        except Refused as refused:
            self.seen[f"hangs: {refused.status}"] += 1
        except TimeoutError:
            self.seen["hangs: left"] += 1

    # --- what a pair does

    async def talk(self, reader, writer, last_word):
        """Says something now and then, and answers pings. Behind the last word lubdub has to end it."""
        loop = asyncio.get_running_loop()
        until = loop.time() + life()
        speaking = asyncio.ensure_future(speak(writer, until, last_word))
        try:
            async with asyncio.timeout_at(until + (self.patience if last_word else 0)):
                await self.listen(reader, writer)
        except TimeoutError:
            if last_word:
                self.wrongs["an upstream that was frozen was not found"] += 1
        except GONE as error:
            if loop.time() < until:
                self.wrongs[f"a pair that was well was ended: {error!r}"] += 1
                raise
        finally:
            speaking.cancel()

    async def listen(self, reader, writer):
        """Answers pings until the end."""
        while True:
            opcode, payload = await decode(reader)
            if opcode == PING:
                writer.write(encode(PONG, payload, masked=True))
            elif opcode == CLOSE:
                writer.write(encode(CLOSE, payload, masked=True))
                raise ConnectionResetError(f"a Close with {close_code(payload)}")

    # --- how a pair ends

    async def close(self, reader, writer):
        writer.write(encode(CLOSE, close_payload(1000), masked=True))
        await self.until_the_end(reader)

    async def fin(self, reader, writer):
        writer.write_eof()
        await self.until_the_end(reader)

    async def reset(self, _reader, writer):
        writer.transport.abort()

    async def freeze(self, reader, writer):
        """The program stands still; its kernel does not."""
        await asyncio.sleep(self.patience)
        await self.must_have_ended(reader, "a client that was frozen was not found")

    async def freeze_upstream(self, reader, _writer):
        """It was told to, and lubdub has ended the pair."""
        await self.must_have_ended(reader, "a client whose upstream was frozen was not told")

    async def must_have_ended(self, reader, otherwise):
        try:
            async with asyncio.timeout(1):
                await self.until_the_end(reader)
        except TimeoutError:
            self.wrongs[otherwise] += 1

    async def until_the_end(self, reader):
        with contextlib.suppress(ConnectionError):
            while await reader.read(65536):
                pass


async def main(port, pairs, patience):
    crowd = Crowd(port, pairs, patience)
    commands = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    while await commands.readline():
        crowd.begin()
        await commands.readline()
        print(json.dumps(await crowd.end()), flush=True)


if __name__ == "__main__":
    # lubdub and who measures it are not to wait for a core because of the crowd.
    os.nice(5)
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
