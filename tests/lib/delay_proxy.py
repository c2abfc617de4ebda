"""A TCP proxy that delays each direction by its own time: a bad line on one machine.

    with DelayProxy("127.0.0.1", 3000, up=0.030, down=0.150) as proxy:
        ... proxy.base_url, proxy.ws_url ...

Every byte is passed on `up` (client to server) or `down` seconds after it arrived, in order, so
the line is long but not narrow. It knows no protocol: REST, WebSocket, anything. `cut()` drops all
connections and refuses new ones until `mend()`. By hand:

    python3 tests/lib/delay_proxy.py --target 127.0.0.1:3000 --port 3999 --up 30 --down 150
"""

import argparse
import asyncio
import collections
import threading


class Way(asyncio.Protocol):
    """What arrives on one connection goes to its peer `delay` seconds later, its end too."""

    def __init__(self, delay, on_made=lambda way: None):
        self.delay, self.on_made = delay, on_made
        self.peer = self.transport = None
        self.pieces = collections.deque()  # timers say when, the queue says in which order

    def connection_made(self, transport):
        self.transport = transport
        self.on_made(self)

    def data_received(self, data):
        self.later(data)

    def eof_received(self):
        self.later(b"")
        return True  # the other direction lives on

    def connection_lost(self, _error):
        self.later(None)

    def later(self, piece):
        self.pieces.append(piece)
        asyncio.get_running_loop().call_later(self.delay, self.pass_on)

    def pass_on(self):
        if self.peer is None or self.peer.transport is None:  # still connecting
            asyncio.get_running_loop().call_later(0.005, self.pass_on)
            return
        piece = self.pieces.popleft()
        out = self.peer.transport
        if out.is_closing():
            return
        if piece:
            out.write(piece)
        elif piece is None:
            out.close()
        elif out.can_write_eof():
            out.write_eof()


class DelayProxy:
    """Listens on 127.0.0.1:port (0: a free one) in a thread of its own. Delays are in seconds."""

    def __init__(self, host, target_port, up=0.0, down=0.0, port=0):
        self.target, self.up, self.down = (host, target_port), up, down
        self.connections = 0  # so far, for tests that want to know that it was used
        self._cut = False
        self._ways = []
        self._loop = asyncio.new_event_loop()
        self._server = self._loop.run_until_complete(
            self._loop.create_server(lambda: Way(up, self._accept), "127.0.0.1", port)
        )
        self.port = self._server.sockets[0].getsockname()[1]
        self.base_url = f"http://127.0.0.1:{self.port}"
        self.ws_url = f"ws://127.0.0.1:{self.port}/ws"
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def cut(self):
        """The line is down: connections break, new ones are closed at once."""
        self._call(self._break(True))

    def mend(self):
        self._call(self._break(False))

    def close(self):
        self._call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _call(self, coroutine):
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(5)

    async def _break(self, cut):
        self._cut = cut
        ways, self._ways = self._ways, []
        if cut:
            for way in ways:
                way.transport.abort()
        await asyncio.sleep(0)

    async def _end(self):
        self._server.close()
        await self._break(True)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others, return_exceptions=True)

    def _accept(self, client):
        self.connections += 1
        if self._cut:
            client.transport.abort()
            return
        self._ways.append(client)
        self._loop.create_task(self._join(client))

    async def _join(self, client):
        server = Way(self.down)
        client.peer, server.peer = server, client
        try:
            await self._loop.create_connection(lambda: server, *self.target)
            self._ways.append(server)
        except OSError:
            client.transport.abort()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--target", required=True, metavar="HOST:PORT")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--up", type=float, default=0, metavar="MS")
    parser.add_argument("--down", type=float, default=0, metavar="MS")
    args = parser.parse_args()
    host, port = args.target.rsplit(":", 1)
    with DelayProxy(host, int(port), args.up / 1000, args.down / 1000, args.port) as proxy:
        print(proxy.base_url, flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
