"""RFC 6455 as far as the endpoints here need it: the handshake, whole frames, Close codes."""

import base64
import hashlib
import os
import struct

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
# Section 1.3.
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
# The largest head of a request or an answer.
HEAD = 16 * 1024


class Refused(Exception):
    """The answer to the handshake was something else than 101."""

    def __init__(self, status):
        super().__init__(f"answered {status}")
        self.status = status


async def ask(reader, writer, host, path):
    """The client's part of the handshake (section 4.1)."""
    key = base64.b64encode(os.urandom(16))
    writer.write(
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key.decode()}\r\n\r\n".encode()
    )
    head = await reader.readuntil(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1])
    if status != 101:
        raise Refused(status)
    if _accept(key) not in head:
        raise Refused("101 with a wrong Sec-WebSocket-Accept")


async def answer(reader, writer):
    """The server's part (section 4.2). Returns the path that was asked for."""
    return switch(await reader.readuntil(b"\r\n\r\n"), writer)


def switch(head, writer):
    """Answers the upgrade whose head this is. Returns the path that was asked for."""
    request, *fields = head.decode("latin-1").split("\r\n")
    named = dict(field.split(":", 1) for field in fields if ":" in field)
    key = next(value.strip() for name, value in named.items() if name.lower() == "sec-websocket-key")
    writer.write(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Accept: " + _accept(key.encode()) + b"\r\n\r\n"
    )
    return request.split(" ")[1]


def encode(opcode, payload, masked):
    """One whole frame (section 5.2)."""
    length = len(payload)
    mask_bit = 0x80 if masked else 0
    head = bytes([0x80 | opcode])
    if length < 126:
        head += bytes([mask_bit | length])
    elif length < 65536:
        head += bytes([mask_bit | 126]) + struct.pack("!H", length)
    else:
        head += bytes([mask_bit | 127]) + struct.pack("!Q", length)
    if not masked:
        return head + payload
    key = os.urandom(4)
    return head + key + _mask(payload, key)


async def decode(reader):
    """The next whole frame: its opcode and its payload, unmasked."""
    first, second = await reader.readexactly(2)
    length = second & 0x7F
    if length == 126:
        (length,) = struct.unpack("!H", await reader.readexactly(2))
    elif length == 127:
        (length,) = struct.unpack("!Q", await reader.readexactly(8))
    key = await reader.readexactly(4) if second & 0x80 else None
    payload = await reader.readexactly(length)
    return first & 0x0F, _mask(payload, key) if key else payload


def close_code(payload):
    """The code of a Close, if it carries one (section 5.5.1)."""
    return struct.unpack("!H", payload[:2])[0] if len(payload) >= 2 else None


def close_payload(code):
    return struct.pack("!H", code)


def _mask(payload, key):
    # One big exclusive or is far faster than a loop over bytes.
    length = len(payload)
    keys = (key * (length // 4 + 1))[:length]
    mixed = int.from_bytes(payload, "big") ^ int.from_bytes(keys, "big")
    return mixed.to_bytes(length, "big")


def _accept(key):
    return base64.b64encode(hashlib.sha1(key + GUID).digest())
