"""An echo that knows nothing of lubdub and sends no pings: server.py PORT"""

import asyncio
import sys

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed


async def echo(websocket):
    try:
        async for message in websocket:
            await websocket.send(message)
    except ConnectionClosed:
        pass
    print(f"connection ended, close code {websocket.close_code}", flush=True)


async def main():
    async with serve(echo, None, int(sys.argv[1]), ping_interval=None) as server:
        await server.serve_forever()


asyncio.run(main())
