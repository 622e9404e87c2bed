"""The client cases, for every client that speaks Python. What they ask of the backend is in
backends/README.md; clients/cases.mjs is the same for JavaScript.

`dial(path, ...)` opens a connection and returns a Peer.
"""

import abc
import asyncio
import json
import struct
import sys
import uuid

LARGE = 64 << 20
HOLD = 3
LIMIT = 60
# Instead of a reason: the library does not tell it.
UNTOLD = object()


class Peer(abc.ABC):
    """A connection, whatever its library. `pongs` are the payloads of all pongs that the library showed."""

    def __init__(self):
        self.inbox = asyncio.Queue()
        self.answered = asyncio.Queue()
        self.ended = asyncio.get_running_loop().create_future()
        self.pongs = []

    def on_pong(self, payload):
        self.pongs.append(bytes(payload).decode())
        self.answered.put_nowait(payload)

    def on_end(self, code, reason):
        if not self.ended.done():
            self.ended.set_result([code, reason])

    async def next(self):
        return await self.inbox.get()

    async def ask(self, **command):
        await self.send("!" + json.dumps(command))
        return json.loads(await self.next())

    async def ping_and_wait(self, payload):
        await self.ping(payload)
        await self.answered.get()

    async def end(self):
        await self.close(1000, "")
        equal((await self.ended)[0], 1000, "code of the last close")

    @abc.abstractmethod
    async def send(self, message): ...

    @abc.abstractmethod
    async def fragments(self, parts): ...

    @abc.abstractmethod
    async def ping(self, payload): ...

    @abc.abstractmethod
    async def pong(self, payload): ...

    @abc.abstractmethod
    async def close(self, code, reason): ...

    @property
    @abc.abstractmethod
    def protocol(self): ...

    @property
    @abc.abstractmethod
    def compressed(self): ...


def equal(seen, wanted, what):
    if seen != wanted:
        raise AssertionError(f"{what} was {seen!r:.200}, not {wanted!r:.200}")


def pattern(size):
    """The same every time, and such that a lost, doubled or swapped block shows."""
    return b"".join(struct.pack("<I", at * 2654435761 & 0xFFFFFFFF) for at in range(size // 4))


def same_bytes(seen, wanted, what):
    if not isinstance(seen, bytes):
        raise AssertionError(f"{what} was not binary")
    equal(len(seen), len(wanted), f"{what}: length")
    if seen != wanted:
        at = next(at for at, (left, right) in enumerate(zip(seen, wanted)) if left != right)
        raise AssertionError(f"{what} differs at byte {at}")


async def text(dial):
    peer = await dial("/text")
    for message in ["", "lub", "dub \u2665 \U0001fac0 \0", "x" * 70000]:
        await peer.send(message)
        equal(await peer.next(), message, "echo")
    await peer.end()


async def binary(dial):
    peer = await dial("/binary")
    for size in [0, 4, 124, 128, 65532, 65536, 1 << 20]:
        await peer.send(pattern(size))
        same_bytes(await peer.next(), pattern(size), f"echo of {size} bytes")
    await peer.end()


async def fragments_received(dial):
    peer = await dial("/fragments")
    await peer.send('!{"do":"fragments","parts":["lub","","-","dub"]}')
    equal(await peer.next(), "lub-dub", "message")
    await peer.end()


async def fragments_sent(dial):
    peer = await dial("/fragments")
    await peer.fragments(["lub", "", "-", "dub"])
    equal(await peer.next(), "lub-dub", "echo")
    await peer.end()


async def compressed(dial):
    peer = await dial("/compressed")
    equal((await peer.ask(do="about"))["compressed"], True, "compression of the upstream")
    equal(peer.compressed, True, "compression of the client")
    for message in ["lub-dub " * 131072, "a", "a", "lub-dub " * 131072]:
        await peer.send(message)
        equal(await peer.next(), message, "echo")
    await peer.end()


async def large(dial):
    peer = await dial("/large?plain")
    equal((await peer.ask(do="about"))["compressed"], False, "compression")
    sent = pattern(1 << 20) * (LARGE >> 20)
    await peer.send(sent)
    same_bytes(await peer.next(), sent, "echo")
    await peer.end()


async def subprotocol(dial):
    peer = await dial("/subprotocol", protocols=["interop.v1", "interop.v2"])
    equal(peer.protocol, "interop.v2", "subprotocol")
    await peer.end()


async def cookies_and_query(dial):
    peer = await dial("/query/%7Ea%20b?x=1&y=%26%3D&x=2&z=", cookie="heart=beats")
    about = await peer.ask(do="about")
    equal(about["url"].endswith("/query/%7Ea%20b?x=1&y=%26%3D&x=2&z="), True, f"end of {about['url']}")
    equal(about["cookie"], "heart=beats", "cookie")
    await peer.end()


async def close_by_client(dial):
    name = str(uuid.uuid4())
    peer = await dial(f"/close?id={name}")
    await peer.close(4001, "tsch\u00fc\u00df upstream")
    code, reason = await peer.ended
    equal(code, 4001, "code of the client's close")
    if reason is not UNTOLD:
        equal(reason, "tsch\u00fc\u00df upstream", "reason of the client's close")
    other = await dial("/close")
    equal(await other.ask(do="ended", id=name), [4001, "tsch\u00fc\u00df upstream"], "the upstream's close")
    await other.end()


async def close_by_upstream(dial):
    name = str(uuid.uuid4())
    peer = await dial(f"/close?id={name}")
    await peer.send('!{"do":"close","code":4002,"reason":"tsch\\u00fc\\u00df client"}')
    equal(await peer.ended, [4002, "tsch\u00fc\u00df client"], "the client's close")
    other = await dial("/close")
    # Some libraries answer a Close with the code that they were sent, some with 1000: RFC 6455 5.5.1
    # calls the former typical.
    code, _ = await other.ask(do="ended", id=name)
    equal(code in (4002, 1000), True, f"4002 or 1000 as the upstream's code {code}")
    await other.end()


async def ping_by_client(dial):
    peer = await dial("/ping")
    for payload in ["", "lub", "p" * 125]:
        await peer.ping_and_wait(payload)
    equal(peer.pongs, ["", "lub", "p" * 125], "pongs that the client saw")
    equal(await peer.ask(do="pongs"), [], "pongs that the upstream saw")
    await peer.end()


async def ping_by_upstream(dial):
    peer = await dial("/ping")
    payloads = ["lub", "p" * 125]
    for payload in payloads:
        equal(await peer.ask(do="ping", payload=payload), {"pong": payload}, "answer")
    equal(await peer.ask(do="pongs"), payloads, "pongs that the upstream saw")
    equal(peer.pongs, [], "pongs that the client saw")
    await peer.end()


async def pong_by_client(dial):
    peer = await dial("/pong")
    await peer.pong("unasked")
    await peer.pong("")
    equal(await peer.ask(do="pongs"), ["unasked", ""], "pongs that the upstream saw")
    await peer.end()


async def pong_by_upstream(dial):
    peer = await dial("/pong")
    await peer.send('!{"do":"pong","payload":"unasked"}')
    equal(await peer.next(), "ponged", "answer")
    equal(peer.pongs, ["unasked"], "pongs that the client saw")
    await peer.end()


async def held(dial):
    peer = await dial("/held")
    await asyncio.sleep(HOLD)
    await peer.send("still there?")
    equal(await peer.next(), "still there?", "echo")
    equal(await peer.ask(do="pongs"), [], "pongs that the upstream saw")
    equal(peer.pongs, [], "pongs that the client saw")
    await peer.end()


CASES = [
    text,
    binary,
    fragments_received,
    fragments_sent,
    compressed,
    large,
    subprotocol,
    cookies_and_query,
    close_by_client,
    close_by_upstream,
    ping_by_client,
    ping_by_upstream,
    pong_by_client,
    pong_by_upstream,
    held,
]


async def run(dial):
    """Runs what is not lacking, a line of JSON for each. Arguments: URL, LACKING."""
    base, lacking = sys.argv[1:3]
    for case in CASES:
        if case.__name__ in lacking.split(","):
            continue
        problem = None
        try:
            await asyncio.wait_for(case(lambda path, **options: dial(base + path, **options)), LIMIT)
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
        print(json.dumps({"case": case.__name__, "problem": problem}), flush=True)
