"""A link with delay and jitter for kernels without netem: two TUN devices, joined by this process.

`relay.py NAMESPACE DEVICE NAMESPACE DEVICE DELAY_MS JITTER_MS SEED` makes the two devices, says "ready"
and holds each packet back for DELAY_MS, give or take up to JITTER_MS, as SEED has it. Packets that drew
different delays may overtake each other, as under netem. It ends with its standard input, and the
devices with it.
"""

import ctypes
import fcntl
import heapq
import os
import random
import selectors
import struct
import sys
import threading
import time

# linux/if_tun.h
TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
CLONE_NEWNET = 0x40000000


def tun(namespace, device):
    """A TUN device in a namespace: it is made in that of the thread that asks for it."""
    made = []

    def make():
        libc = ctypes.CDLL(None, use_errno=True)
        with open(f"/var/run/netns/{namespace}") as handle:
            if libc.setns(handle.fileno(), CLONE_NEWNET) != 0:
                return
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", device.encode(), IFF_TUN | IFF_NO_PI))
        made.append(fd)

    maker = threading.Thread(target=make)
    maker.start()
    maker.join()
    if not made:
        sys.exit(f"cannot make {device} in {namespace}")
    return made[0]


def relay(ends, delay, jitter, chance):
    others = {ends[0]: ends[1], ends[1]: ends[0]}
    held = []
    count = 0
    ears = selectors.DefaultSelector()
    for end in (*ends, 0):
        ears.register(end, selectors.EVENT_READ)
    while True:
        now = time.monotonic()
        while held and held[0][0] <= now:
            _, _, to, packet = heapq.heappop(held)
            try:
                os.write(to, packet)
            except OSError:
                pass  # the device is down: the packet is lost, as on any link
        for key, _ in ears.select(max(0, held[0][0] - now) if held else None):
            if key.fd == 0:
                return
            while True:
                try:
                    packet = os.read(key.fd, 65536)
                except BlockingIOError:
                    break
                count += 1
                due = time.monotonic() + delay + chance.uniform(-jitter, jitter)
                heapq.heappush(held, (due, count, others[key.fd], packet))


def main(near, near_device, far, far_device, delay_ms, jitter_ms, seed):
    ends = (tun(near, near_device), tun(far, far_device))
    print("ready", flush=True)
    relay(ends, int(delay_ms) / 1000, int(jitter_ms) / 1000, random.Random(seed))


if __name__ == "__main__":
    main(*sys.argv[1:])
