"""`python -m tests.bench.broadcast PORT`: what a bare websockets broadcast costs.

Every socket gets a greeting. What a socket says that began with `{"tell":` goes to all others.
"""

import sys

from websockets.asyncio.server import ServerConnection, broadcast, serve

from tests.bench.limits import raise_limits

TELL = '{"tell":'


async def main(port: int) -> None:
    sockets: set[ServerConnection] = set()

    async def one(socket: ServerConnection) -> None:
        first = str(await socket.recv())
        await socket.send("hello")
        if not first.startswith(TELL):
            sockets.add(socket)
        async for text in socket:
            if str(text).startswith(TELL):
                broadcast(sockets, str(text)[len(TELL) : -1])
        sockets.discard(socket)

    async with serve(one, "127.0.0.1", port, compression=None, ping_interval=None) as server:
        await server.serve_forever()


if __name__ == "__main__":
    raise_limits()
    import uvloop

    uvloop.run(main(int(sys.argv[1])))
