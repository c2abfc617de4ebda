"""A WebSocket by hand, for tests to which a library would be too polite."""
import os
import re
import socket
import struct
import time

from stack import SLOW


def client_frame(opcode, payload, fin=True):
    mask = os.urandom(4)
    n = len(payload)
    length = bytes([0x80 | n]) if n < 126 else b"\xfe" + struct.pack(">H", n)
    masked = bytes(b ^ mask[i % 4] for i, b in enumerate(payload))
    return bytes([(0x80 if fin else 0) | opcode]) + length + mask + masked


class RawSocket:
    """A WebSocket by hand: reads only when told, answers nothing by itself."""

    def __init__(self, port, path="/ws", headers="", rcvbuf=None, version=13, pieces=1, follow=b""):
        """`version` None leaves that header out; `pieces`: the head is sent in so many, a moment apart; `follow` at once behind it."""
        self.sock = socket.socket()
        if rcvbuf:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.sock.settimeout(10 * SLOW)
        self.sock.connect(("127.0.0.1", port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        announced = "" if version is None else f"Sec-WebSocket-Version: {version}\r\n"
        head = (f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{announced}{headers}\r\n").encode()
        for k in range(pieces):
            if k:
                time.sleep(0.01)
            self.sock.sendall(head[len(head) * k // pieces:len(head) * (k + 1) // pieces] + (follow if k == pieces - 1 else b""))
        self.rest = b""
        while b"\r\n\r\n" not in self.rest:
            self.rest += self._receive()
        head, self.rest = self.rest.split(b"\r\n\r\n", 1)
        self.head = head.decode()
        self.status = int(self.head.split()[1])

    def _receive(self):
        data = self.sock.recv(1 << 20)
        if not data:
            raise EOFError
        return data

    def frame(self):
        """(opcode, payload) of the next frame, checked to the bit; EOFError at the end."""
        while True:
            if len(self.rest) >= 2:
                first, second = self.rest[0], self.rest[1]
                assert first & 0x70 == 0 and first & 0x80 and not second & 0x80, self.rest[:20]
                length, at = second, 2
                if length == 126:
                    length, at = (struct.unpack(">H", self.rest[2:4])[0], 4) if len(self.rest) >= 4 else (1 << 60, 4)
                    assert length >= 126
                elif length == 127:
                    length, at = (struct.unpack(">Q", self.rest[2:10])[0], 10) if len(self.rest) >= 10 else (1 << 60, 10)
                    assert length > 65535
                if len(self.rest) >= at + length:
                    payload, self.rest = self.rest[at:at + length], self.rest[at + length:]
                    return first & 15, payload
            self.rest += self._receive()

    def message(self):
        """The next message as (type, version)."""
        while True:
            opcode, payload = self.frame()
            if opcode == 8:
                raise EOFError(payload)
            if opcode == 1:
                head = payload[:400].decode()
                version = re.search(r'"version":(\d+)', head)
                return re.search(r'"type":"(\w+)"', head)[1], int(version[1]) if version else None

    def send(self, opcode, payload, fin=True):
        self.sock.sendall(client_frame(opcode, payload, fin))

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
