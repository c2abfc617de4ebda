"""Between a stack and its Redis: cuts connections, often just when an answer was on its way, or holds everything back."""

import asyncio
import os
import threading


class Cutter:
    """From now until close() everybody reaches Redis through here. `cuts` counts what was cut."""

    def __init__(self, stack, random):
        self.random, self.cuts, self.stalled = random, 0, False
        self.path = stack.redis_socket
        self.real = self.path + ".real"
        self.redis = stack.redis()
        self.redis.ping()
        os.rename(self.path, self.real)
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),), daemon=True)
        self._thread.start()
        self._ready.wait(10)
        for kind in ("normal", "pubsub"):
            self.redis.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")

    def stall(self):
        """From now on nothing gets through, either way."""
        self.stalled = True

    def close(self):
        """Everybody reaches Redis directly again."""
        os.rename(self.real, self.path)
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(10)

    async def _serve(self):
        self._end = asyncio.Event()
        server = await asyncio.start_unix_server(self._on_client, self.path)
        self._ready.set()
        await self._end.wait()
        server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _on_client(self, reader, writer):
        try:
            from_redis, to_redis = await asyncio.open_unix_connection(self.real)
        except OSError:
            writer.close()
            return
        ways = [self._pass_on(reader, to_redis, 0.01), self._pass_on(from_redis, writer, 0.04)]
        tasks = [asyncio.ensure_future(way) for way in ways]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            writer.close()
            to_redis.close()

    async def _pass_on(self, reader, writer, chance):
        while True:
            data = await reader.read(1 << 16)
            if self.stalled:
                await self._end.wait()
            if not data:
                return
            if self.random.random() < chance:
                self.cuts += 1
                return
            writer.write(data)
            await writer.drain()
