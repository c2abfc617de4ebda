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
import threading


class DelayProxy:
    """Listens on 127.0.0.1:port (0: a free one) in a thread of its own. Delays are in seconds."""

    def __init__(self, host, target_port, up=0.0, down=0.0, port=0):
        self.target, self.up, self.down = (host, target_port), up, down
        self.connections = 0  # so far, for tests that want to know that it was used
        self._cut = False
        self._tasks = set()
        self._loop = asyncio.new_event_loop()
        self._server = self._loop.run_until_complete(
            asyncio.start_server(self._accept, "127.0.0.1", port)
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
        self._call(self._break(True))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._server.close()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _call(self, coroutine):
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(5)

    async def _break(self, cut):
        self._cut = cut
        tasks = list(self._tasks) if cut else []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, reader, writer):
        self.connections += 1
        task = asyncio.current_task()
        self._tasks.add(task)
        try:
            if not self._cut:
                await self._join(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass  # either side may go at any time
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _join(self, reader, writer):
        server_reader, server_writer = await asyncio.open_connection(*self.target)
        ways = [
            asyncio.ensure_future(_carry(reader, server_writer, self.up)),
            asyncio.ensure_future(_carry(server_reader, writer, self.down)),
        ]
        try:
            await asyncio.gather(*ways)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            server_writer.transport.abort()


async def _carry(reader, writer, delay):
    """Pass on what arrives, each piece `delay` after its arrival, and the end likewise."""
    loop = asyncio.get_running_loop()
    pieces = asyncio.Queue()

    async def receive():
        while True:
            piece = await reader.read(65536)
            pieces.put_nowait((loop.time() + delay, piece))
            if not piece:
                return

    receiving = asyncio.ensure_future(receive())
    try:
        while True:
            # A connection that breaks while nothing is queued must not be waited for in vain.
            getting = asyncio.ensure_future(pieces.get())
            await asyncio.wait({getting, receiving}, return_when=asyncio.FIRST_COMPLETED)
            if not getting.done() and pieces.empty():
                getting.cancel()
                await receiving
                return
            due, piece = await getting
            await asyncio.sleep(max(0, due - loop.time()))
            if not piece:
                if writer.can_write_eof():
                    writer.write_eof()
                return
            writer.write(piece)
            await writer.drain()
    finally:
        receiving.cancel()


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
