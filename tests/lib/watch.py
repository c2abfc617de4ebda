"""A WebSocket client for tests: it connects in a thread of its own, keeps every message in order, and lets the test wait for one.
What is said is held to /asyncapi.json."""
import asyncio
import json
import threading
import time
import uuid

import websockets

import frames
from stack import SLOW


# What was not as described, of all sockets since the last look (tests/conftest.py).
strange = []


class Watcher:
    """One connection. `messages` grows while the socket is open; `subprotocol` is the one agreed on; `close_code` and `close_reason` are set at its end."""

    def __init__(self, url, subprotocols=None, headers=None):
        self.messages = []
        self.close_code = None
        self.close_reason = None
        self.handshake_status = None
        self.subprotocol = None
        self._frames = frames.of(url)
        self._changed = threading.Condition()
        self._loop = None
        self._socket = None
        self._thread = threading.Thread(target=self._run, args=(url, subprotocols, headers), daemon=True)
        self._thread.start()

    def _run(self, url, subprotocols, headers):
        asyncio.run(self._session(url, subprotocols, headers))

    async def _session(self, url, subprotocols, headers):
        self._loop = asyncio.get_running_loop()
        try:
            async with websockets.connect(url, subprotocols=subprotocols, extra_headers=headers, max_size=None,
                                          ping_interval=None, open_timeout=10) as socket:
                self._socket = socket
                self.subprotocol = socket.subprotocol
                async for text in socket:
                    message = json.loads(text)
                    if self._frames is not None:
                        strange.extend(self._frames.faults("server", message))
                    message["_received"] = time.monotonic()
                    with self._changed:
                        self.messages.append(message)
                        self._changed.notify_all()
        except websockets.InvalidStatusCode as refused:
            self.handshake_status = refused.status_code
        except (websockets.ConnectionClosed, OSError, EOFError, asyncio.TimeoutError):
            pass
        finally:
            with self._changed:
                if self._socket is not None:
                    self.close_code = self._socket.close_code
                    self.close_reason = self._socket.close_reason
                if self.close_code is None:
                    self.close_code = 1006
                self._changed.notify_all()

    def wait_for(self, wanted, timeout=5, start=0):
        """The first message from place `start` on that `wanted` (a type name or a predicate) accepts; AssertionError after `timeout` s."""
        accepts = wanted if callable(wanted) else (lambda message: message["type"] == wanted)
        deadline = time.monotonic() + timeout * SLOW
        seen = start
        with self._changed:
            while True:
                while seen < len(self.messages):
                    if accepts(self.messages[seen]):
                        return self.messages[seen]
                    seen += 1
                left = deadline - time.monotonic()
                if left <= 0 or self.close_code is not None:
                    raise AssertionError(f"no {wanted} within {timeout} s (close {self.close_code}); got "
                                         f"{[(m['type'], m.get('version')) for m in self.messages]}")
                self._changed.wait(left)

    def wait_closed(self, timeout=5):
        deadline = time.monotonic() + timeout * SLOW
        with self._changed:
            while self.close_code is None:
                left = deadline - time.monotonic()
                assert left > 0, f"not closed within {timeout} s; got {[m['type'] for m in self.messages]}"
                self._changed.wait(left)
        return self.close_code, self.close_reason

    def send(self, message):
        """Send a text frame: a string as it is, anything else as JSON, and that has to be as described."""
        if not isinstance(message, str) and self._frames is not None:
            assert self._frames.faults("client", message) == []
        text = message if isinstance(message, str) else json.dumps(message)
        asyncio.run_coroutine_threadsafe(self._socket.send(text), self._loop).result(5)

    def close(self):
        if self._socket is not None and self.close_code is None:
            asyncio.run_coroutine_threadsafe(self._socket.close(), self._loop).result(5)
        self._thread.join(5)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def watch(stack, session_id, **options):
    """A Watcher of one session that has been greeted."""
    watcher = Watcher(f"{stack.ws_url}?sessionId={session_id}", **options)
    watcher.wait_for("CONNECTED")
    return watcher


def body(participants=2, bank=60_000, **more):
    """A create body in the shape that clients of SyncKairos 2.0 send."""
    return {"session_id": str(uuid.uuid4()), "sync_mode": "per_participant", "total_time_ms": min(bank * participants, 86_400_000),
            "participants": [{"participant_id": str(uuid.uuid4()), "participant_index": k, "total_time_ms": bank}
                             for k in range(participants)], **more}
