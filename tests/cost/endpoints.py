"""Both ends of pairs, in one process and one thread: they take turns, so that lubdub is woken as often, and
finds as much to read, in every run.

No WebSocket library: at the other end is lubdub, and whatever else it may do is for other tests to find out.
"""

import base64
import hashlib
import socket

# RFC 6455 section 1.3.
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
KEY = base64.b64encode(b"always this one!")
# Keys protect the neighbours of browsers (section 10.3), and there are none here.
MASK = b"\x37\xfa\x21\x3d"
TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
# How long anything is waited for, in seconds: lubdub is some fifty times slower than usual.
PATIENCE = 60


class Fault(Exception):
    """lubdub did not do what it must."""


class Pair:
    """A client, and the upstream that lubdub has connected it with."""

    def __init__(self, address, listener):
        self.client = open_end(socket.create_connection(address, PATIENCE))
        self.client.sendall(
            b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + KEY + b"\r\n\r\n"
        )
        self.upstream = open_end(listener.accept()[0])
        hear_head(self.upstream)
        accept = base64.b64encode(hashlib.sha1(KEY + GUID).digest())
        self.upstream.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        status = hear_head(self.client).split(b" ", 2)[1]
        if status != b"101":
            raise Fault(f"the upgrade was answered {status.decode()}")

    def close(self):
        """The closing handshake, begun by the client (section 7.1)."""
        said, answered = frame(CLOSE, b"\x03\xe8", MASK), frame(CLOSE, b"\x03\xe8")
        self.client.sendall(said)
        expect(self.upstream, said)
        self.upstream.sendall(answered)
        expect(self.client, answered)
        self.upstream.close()
        self.client.close()


def listen():
    """Where upstreams are."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    listener.settimeout(PATIENCE)
    return listener


def frame(opcode, payload, mask=None):
    """One whole frame (section 5.2)."""
    masked = 0x80 if mask else 0
    length = len(payload)
    if length < 126:
        header = bytes([0x80 | opcode, masked | length])
    elif length < 1 << 16:
        header = bytes([0x80 | opcode, masked | 126]) + length.to_bytes(2, "big")
    else:
        header = bytes([0x80 | opcode, masked | 127]) + length.to_bytes(8, "big")
    if mask:
        header += mask
        payload = exclusive_or(payload, mask)
    return header + payload


def exclusive_or(payload, mask):
    keys = (mask * (len(payload) // 4 + 1))[: len(payload)]
    mixed = int.from_bytes(payload, "big") ^ int.from_bytes(keys, "big")
    return mixed.to_bytes(len(payload), "big")


def open_end(end):
    end.settimeout(PATIENCE)
    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return end


def expect(end, said):
    """What the other end has said comes out at this one."""
    if hear(end, len(said)) != said:
        raise Fault("what was relayed is not what was said")


def answer_ping(end, mask):
    """Waits for a ping of lubdub's and answers it."""
    first, second = hear(end, 2)
    if first != 0x80 | PING:
        raise Fault(f"a frame that begins with {first:#x} came instead of a ping")
    key = hear(end, 4) if second & 0x80 else None
    payload = hear(end, second & 0x7F)
    end.sendall(frame(PONG, exclusive_or(payload, key) if key else payload, mask))


def hear(end, size):
    """The next so many bytes."""
    heard = bytearray(size)
    rest = memoryview(heard)
    while rest:
        came = end.recv_into(rest)
        if came == 0:
            raise Fault("a connection ended too early")
        rest = rest[came:]
    return bytes(heard)


def hear_head(end):
    """What comes up to the empty line, and not a byte of what is behind it."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += hear(end, 1)
    return head
