"""A FastCGI client that can stop anywhere: for tests of the master and its workers without a web server."""

import re
import socket
import struct

from stack import SLOW

BEGIN, END, PARAMS, STDIN, STDOUT = 1, 3, 4, 5, 6
RECORD_MAX = 65535  # bytes in one record


def record(kind, content=b""):
    return struct.pack(">BBHHBx", 1, kind, 1, len(content), 0) + content


def pairs(variables):
    out = b""
    for name, value in variables.items():
        name, value = name.encode(), str(value).encode()
        for text in (name, value):
            out += struct.pack(">B", len(text)) if len(text) < 128 else struct.pack(">I", len(text) | 1 << 31)
        out += name + value
    return out


class Request:
    """One request on its own connection. `body` is what is announced; `send_body` sends it."""

    def __init__(self, address, path="/health", method="GET", body=b"", timeout=10, **variables):
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self.body = body
        self.sock = socket.socket(family)
        self.sock.settimeout(timeout * SLOW)
        self.sock.connect(address)
        variables = {"REQUEST_METHOD": method, "REQUEST_URI": path, "REMOTE_ADDR": "192.0.2.1", **variables}
        if body:
            variables.update(CONTENT_LENGTH=len(body), CONTENT_TYPE="application/json")
        head = record(BEGIN, struct.pack(">HB5x", 1, 0)) + record(PARAMS, pairs(variables)) + record(PARAMS)
        self.sock.sendall(head if body else head + record(STDIN))

    def send_body(self):
        parts = (self.body[at:at + RECORD_MAX] for at in range(0, len(self.body), RECORD_MAX))
        self.sock.sendall(b"".join(record(STDIN, part) for part in parts) + record(STDIN))
        return self

    def answer(self):
        """(status, text) of the complete answer; ConnectionError when it is cut off."""
        data, out = b"", b""
        with self.sock:
            while True:
                while len(data) >= 8:
                    _, kind, _, length, padding = struct.unpack(">BBHHB", data[:7])
                    if len(data) < 8 + length + padding:
                        break
                    content, data = data[8 : 8 + length], data[8 + length + padding :]
                    if kind == STDOUT:
                        out += content
                    elif kind == END:
                        return int(re.match(rb"Status: (\d+)", out)[1]), out.decode()
                piece = self.sock.recv(65536)
                if not piece:
                    raise ConnectionError(f"cut off after {len(out)} bytes")
                data += piece


def get(address, path="/health", **variables):
    return Request(address, path, **variables).answer()
