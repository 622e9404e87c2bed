"""Clients that say something every second, and come back when their connection ends.

    client.py URL [--count N] [--freeze-after SECONDS --frozen-for SECONDS]

With --freeze-after they live in a process of their own, which is stopped (SIGSTOP) after that time and
killed after another, over and over: frozen, they neither speak nor answer, and their kernel says nothing
of it. They send no pings.
"""

import argparse
import asyncio
import signal
import subprocess
import sys
import time

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, WebSocketException


async def talk(url):
    """One client, for ever."""
    while True:
        try:
            async with connect(url, ping_interval=None) as websocket:
                while True:
                    await websocket.send("lub")
                    await websocket.recv()
                    await asyncio.sleep(1)
        except ConnectionClosed as closed:
            code = closed.rcvd.code if closed.rcvd else "none"
            print(f"connection ended, close code {code}; coming back", flush=True)
        except (OSError, WebSocketException) as error:
            print(f"no connection: {error}", flush=True)
        await asyncio.sleep(1)


async def crowd(url, count):
    await asyncio.gather(*(talk(url) for _ in range(count)))


def freeze(arguments):
    """Clients in another process, which this one freezes and at last replaces."""
    command = [sys.executable, __file__, arguments.url, "--count", str(arguments.count)]
    while True:
        clients = subprocess.Popen(command)
        try:
            time.sleep(arguments.freeze_after)
            print(f"{arguments.count} clients freeze", flush=True)
            clients.send_signal(signal.SIGSTOP)
            time.sleep(arguments.frozen_for)
        finally:
            clients.kill()
            clients.wait()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--freeze-after", type=float)
    parser.add_argument("--frozen-for", type=float, default=40)
    arguments = parser.parse_args()
    # An end like Ctrl-C, so that a frozen process does not stay behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if arguments.freeze_after is None:
            asyncio.run(crowd(arguments.url, arguments.count))
        else:
            freeze(arguments)
    except KeyboardInterrupt:
        pass


main()
