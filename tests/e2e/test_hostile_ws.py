"""What nobody polite says on a WebSocket: the themes of the Autobahn suite (framing, pings, reserved bits, opcodes, fragments, UTF-8, closing, limits) byte by byte,
to a broadcaster itself and through the web server; heads that ask for an upgrade in other ways; sockets that are half open, and thousands that are idle.
After each the next client is served."""
import base64
import json
import os
import re
import resource
import socket
import struct
import uuid

import pytest
import requests

from raw_socket import RawSocket
from stack import SLOW, until
from tokens import bearer, token

V1 = "Sec-WebSocket-Protocol: synckairos.v1\r\n"
PING = b'{"type":"PING"}'
PONG = (1, "PONG")
ERROR = (1, "ERROR")


def frame(first, payload=b"", mask=b"\1\2\3\4", form=None, length=None):
    """`form`: in how many bytes the length is written, however short it is; `mask` None: without."""
    n = len(payload) if length is None else length
    form = form if form is not None else 0 if n < 126 else 2 if n < 65536 else 8
    second, more = {0: (n, b""), 2: (126, struct.pack(">H", n & 0xFFFF)), 8: (127, struct.pack(">Q", n))}[form]
    if mask is None:
        return bytes([first, second]) + more + payload
    return bytes([first, 0x80 | second]) + more + mask + bytes(byte ^ mask[k % 4] for k, byte in enumerate(payload))


def close(code, reason=b"", **how):
    return frame(0x88, struct.pack(">H", code) + reason, **how)


@pytest.fixture(params=["broadcaster", "nginx"])
def port(request, stack):
    return stack.ws_port if request.param == "broadcaster" else stack.port


# What a broadcaster may grow by in all these tests together, in KB: a few hundred sockets at once, and what malloc keeps of them.
GROWTH = 32 * 1024


@pytest.fixture(scope="module")
def crew(stack):
    """The broadcasters before and after all of this: the same ones, and hardly larger."""
    with RawSocket(stack.port, headers=V1):
        before = {stack.pid(name): rss(stack.pid(name)) for name in stack.broadcasters()}
    yield
    assert {stack.pid(name) for name in stack.broadcasters()} == set(before), "a broadcaster has ended"
    grown = {pid: rss(pid) - kb for pid, kb in before.items()}
    assert "SAN" in os.environ or SLOW > 1 or max(grown.values()) < GROWTH, grown


@pytest.fixture(autouse=True)
def served(stack, crew):
    yield
    with RawSocket(stack.port, headers=V1) as raw:
        assert raw.status == 101 and b"CONNECTED" in raw.frame()[1]
        raw.sock.sendall(frame(0x81, PING))
        assert b"PONG" in raw.frame()[1]


def short(opcode, payload):
    """What a test needs of a frame."""
    if opcode == 1:
        return (1, json.loads(payload)["type"])
    return (8, struct.unpack(">H", payload[:2])[0] if payload else 0) if opcode == 8 else (opcode, payload)


def bye(raw):
    """Our answer to a Close, where it is still wanted."""
    try:
        raw.sock.sendall(close(1000))
    except ConnectionError:
        pass


def say(port, data, pieces=0):
    """A socket that has been greeted and has said `data`."""
    raw = RawSocket(port, headers=V1)
    raw.frame()
    try:
        for at in range(0, len(data), pieces or len(data)):
            raw.sock.sendall(data[at:at + (pieces or len(data))])
    except ConnectionError:
        pass
    return raw


def listen(raw, count):
    heard = []
    with raw:
        while len(heard) < count:
            try:
                opcode, payload = raw.frame()
            except (EOFError, ConnectionError):
                return heard + ["end"]
            if (opcode, payload) != (9, b""):
                heard.append(short(opcode, payload))
            if opcode == 8:
                bye(raw)
    return heard


def hear(port, data, count, pieces=0):
    """The first `count` frames that answer `data`, beside the heartbeat; "end" where the connection ends before."""
    return listen(say(port, data, pieces), count)


# Behind each the connection goes on: it is followed by a ping of its own.
GOES_ON = {
    "1.1.1 empty text": (frame(0x81), [ERROR]), "1.1.2 text of 125": (frame(0x81, PING.ljust(125)), [PONG]), "1.1.3 text of 126": (frame(0x81, PING.ljust(126)), [PONG]),
    "1.1.6 text of 10,240": (frame(0x81, PING.ljust(10_240)), [PONG]), "1.2.1 empty binary": (frame(0x82), [ERROR]), "1.2.2 binary": (frame(0x82, PING), [ERROR]),
    "a mask of zeroes": (frame(0x81, PING, mask=b"\0\0\0\0"), [PONG]), "2.1 empty ping": (frame(0x89), [(10, b"")]), "2.3 binary ping": (frame(0x89, b"\0\xff\xfe"), [(10, b"\0\xff\xfe")]),
    "2.4 ping of 125": (frame(0x89, b"p" * 125), [(10, b"p" * 125)]), "2.7 unasked pong": (frame(0x8A), []), "2.8 unasked pong with payload": (frame(0x8A, b"x" * 125), []),
    "2.9 unasked pong, ping": (frame(0x8A, b"x") + frame(0x89, b"y"), [(10, b"y")]), "5.3 fragments": (frame(0x01, PING[:5]) + frame(0x80, PING[5:]), [PONG]),
    "5.19 many fragments": (frame(0x01) + b"".join(frame(0x00, PING[k:k + 1]) for k in range(len(PING))) + frame(0x80), [PONG]),
    "6.2 UTF-8 over fragments": (frame(0x01, b'{"type":"PING","x":"\xe2\x82') + frame(0x80, b'\xac"}'), [PONG]),
    "6.5 last code point": (frame(0x81, b'{"type":"PING","x":"\xf4\x8f\xbf\xbf"}'), [PONG]), "6.22 noncharacter": (frame(0x81, b'{"type":"PING","x":"\xef\xbf\xbf"}'), [PONG]),
    "U+0000": (frame(0x81, b'{"type":"PING"}\0'), [ERROR]), "byte order mark": (frame(0x81, b"\xef\xbb\xbf{}"), [ERROR]),
    "1,000 empty fragments": (frame(0x01) + frame(0x00) * 1000 + frame(0x80, PING), [PONG])}


@pytest.mark.parametrize("case", GOES_ON)
@pytest.mark.parametrize("pieces", [0, 1], ids=["at once", "byte by byte"])
def test_frames_that_are_good_are_answered(stack, port, case, pieces):
    data, expected = GOES_ON[case]
    if pieces and len(data) > 300:
        pieces = 97
    heard = hear(port, data + frame(0x81, b'{"type":"NOTHING"}'), len(expected) + 1, pieces)
    assert sorted(heard, key=str) == sorted(expected + [ERROR], key=str)


BREAKS_OFF = {
    **{f"3 reserved bits {bits:03b}": frame(0x81 | bits << 4, PING) for bits in range(1, 8)}, "3 reserved bit in a ping": frame(0xC9, b"x"), "3 reserved bit in a close": frame(0xC8, b"\3\xe8"),
    **{f"4 opcode {code}": frame(0x80 | code, b"x") for code in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)}, "4 opcode 3 behind text": frame(0x01, b"{") + frame(0x83, b"x"),
    "5.1 ping in fragments": frame(0x09, b"x"), "5.2 pong in fragments": frame(0x0A, b"x"), "close in fragments": frame(0x08, b"\3\xe8"), "5.9 rest of nothing": frame(0x80, b"x"),
    "5.11 rest of nothing goes on": frame(0x00, b"x"), "5.15 rest behind the end": frame(0x01, b"{") + frame(0x80, b"}") + frame(0x80, b"x"), "5.18 text within text": frame(0x01, b"{") + frame(0x81, PING),
    "binary within text": frame(0x01, b"{") + frame(0x82, PING), "HTTP": b"GET /ws HTTP/1.1\r\nHost: x\r\n\r\n", "zeroes": b"\0" * 64, "ones": b"\xff" * 64,
    "unmasked text": frame(0x81, PING, mask=None), "unmasked empty text": frame(0x81, mask=None), "unmasked ping": frame(0x89, b"x", mask=None), "unmasked close": close(1000, mask=None),
    "unmasked rest": frame(0x01, b"{") + frame(0x80, b"}", mask=None), "15 bytes in 16 bits": frame(0x81, PING, form=2), "15 bytes in 64 bits": frame(0x81, PING, form=8),
    "200 bytes in 64 bits": frame(0x81, b" " * 200, form=8), "a length with the first bit": frame(0x81, b"x" * 100, length=1 << 63, form=8), "ping with a long length": frame(0x89, b"p", form=2),
    "2.5 ping of 126": frame(0x89, b"p" * 126), "pong of 126": frame(0x8A, b"p" * 126), "7.3.6 close of 126": close(1000, b"r" * 124), "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"}


@pytest.mark.parametrize("pieces", [0, 1], ids=["at once", "byte by byte"])
@pytest.mark.parametrize("case", BREAKS_OFF)
def test_a_frame_that_rfc_6455_forbids_closes_1002_and_what_follows_is_not_heard(port, case, pieces):
    heard = hear(port, BREAKS_OFF[case] + frame(0x81, PING) * 3, 9, pieces)
    assert [one for one in heard if one != ERROR] == [(8, 1002), "end"]  # an ERROR comes of what was good before


BAD_UTF8 = {"cut": b"\xe2\x82", "continuation alone": b"\x80", "overlong": b"\xc0\xaf", "overlong NUL": b"\xc0\x80", "overlong in three": b"\xe0\x80\xaf", "surrogate": b"\xed\xa0\x80",
            "beyond the end": b"\xf4\x90\x80\x80", "five bytes": b"\xf8\x88\x80\x80\x80", "FE": b"\xfe", "FF": b"\xff", "good, then bad": "κόσμε".encode() + b"\xed\xa0\x80edited"}


@pytest.mark.parametrize("case", BAD_UTF8)
@pytest.mark.parametrize("cut", [False, True], ids=["whole", "in fragments"])
def test_text_that_is_no_utf8_closes_1007(stack, port, case, cut):
    text = b'{"type":"PING","x":"' + BAD_UTF8[case] + b'"}'
    at = text.index(BAD_UTF8[case]) + 1
    data = frame(0x01, text[:at]) + frame(0x80, text[at:]) if cut else frame(0x81, text)
    assert hear(port, data + frame(0x81, PING), 1) == [(8, 1007)]


# --- closing ---

ALLOWED = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999]
FORBIDDEN = [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535]


@pytest.mark.parametrize("code", ALLOWED)
def test_a_close_is_answered_with_its_own_code(stack, port, code):
    assert hear(port, close(code), 2) == [(8, code), "end"]


@pytest.mark.parametrize("code", FORBIDDEN)
def test_a_close_code_that_nobody_may_send_is_answered_with_1002(stack, port, code):
    assert hear(port, close(code), 2) == [(8, 1002), "end"]


@pytest.mark.parametrize("data,code", [(frame(0x88), 0), (frame(0x88, b"\3"), 1002), (close(1000, b"bye"), 1000), (close(1000, b"b" * 123), 1000), (close(1000, b"\xc3("), 1007),
                                       (close(1000, b"\xed\xa0\x80"), 1007), (close(1000, b"\xe2\x82"), 1007), (close(1000) + close(1000), 1000), (close(1000) + frame(0x89, b"x"), 1000),
                                       (close(1000) + frame(0x81, PING), 1000), (frame(0x01, b"{") + close(1000), 1000), (close(1000) + b"\xff" * 40, 1000)],
                         ids=["empty", "one byte", "reason", "reason of 123", "reason no UTF-8", "reason with a surrogate", "reason cut", "twice", "then ping", "then text", "in a message", "then rubbish"])
def test_a_close_ends_it_and_what_follows_is_not_heard(stack, port, data, code):
    assert hear(port, data, 9) == [(8, code), "end"]


def test_a_close_behind_other_frames_waits_for_their_answers(stack, port):
    assert hear(port, frame(0x81, PING) + close(1000), 3) == [PONG, (8, 1000), "end"]


# --- lengths ---


@pytest.mark.parametrize("data", [frame(0x81, PING.ljust(10_241)), frame(0x81, b" " * 65_536), frame(0x82, b" " * 1_000_000), frame(0x01, b" " * 6000) + frame(0x80, b" " * 6000),
                                  frame(0x81, b" " * 20_000, length=1 << 30, form=8), frame(0x81, b" " * 20_000, length=1 << 62, form=8), frame(0x01, b" ") + frame(0x00, b" ") * 10_241],
                         ids=["10,241", "65,536", "1 MB", "in fragments", "1 GB said", "2^62 said", "10,241 fragments"])
def test_a_message_of_more_than_10_kb_closes_1009(stack, port, data):
    assert hear(port, data, 1) == [(8, 1009)]


def test_a_service_gets_past_no_size(stack):
    """It is exempt from how often, not from how much."""
    authorization = f"Authorization: Bearer {token('svc', role='service')}\r\n"
    with RawSocket(stack.ws_port, headers=V1 + authorization) as raw:
        raw.frame()
        raw.sock.sendall(frame(0x81, PING.ljust(10_241)))
        assert short(*raw.frame()) == (8, 1009)
    large = requests.post(stack.base_url + "/v1/sessions", data=b" " * 262_145, headers=bearer("svc", role="service"), timeout=10 * SLOW)
    assert large.status_code == 413


@pytest.mark.parametrize("pings", [2, 10, 100, 1000])
def test_pings_that_come_at_once_are_all_answered(stack, port, pings):
    heard = hear(port, b"".join(frame(0x89, b"%d" % k) for k in range(pings)) + frame(0x81, PING), pings + 1)
    assert heard == [(10, b"%d" % k) for k in range(pings)] + [PONG]


# --- heads ---

HEAD = {"Host": "x", "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Protocol": "synckairos.v1"}


def knock(port, target="/ws", more="", method="GET", **headers):
    """(status, the rest) of an answer to a head; a header that is None is left out."""
    lines = {**HEAD, **{name.replace("_", "-"): value for name, value in headers.items()}}
    text = f"{method} {target} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value is not None) + more + "\r\n"
    out = b""
    with socket.create_connection(("127.0.0.1", port), timeout=10 * SLOW) as sock:
        sock.sendall(text.encode("latin-1"))
        try:
            while b"\r\n\r\n" not in out or (b" 101 " not in out[:20] and b"}}" not in out):
                piece = sock.recv(65536)
                if not piece:
                    break
                out += piece
        except ConnectionError:
            pass
    match = re.match(rb"HTTP/1\.1 (\d\d\d)", out)
    return int(match[1]) if match else 0, out.partition(b"\r\n\r\n")


@pytest.mark.parametrize("headers,status", [
    ({"Host": None}, 400), ({"Sec-WebSocket-Key": None}, 400), ({"Sec-WebSocket-Key": "abc"}, 400), ({"Sec-WebSocket-Key": "A" * 500}, 400), ({"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZ!=="}, 400),
    ({"Upgrade": "h2c"}, 400), ({"Upgrade": "foo, websocket"}, 400), ({"Upgrade": "websocket/13"}, 400), ({"Upgrade": "WebSocket"}, 101), ({"Sec-WebSocket-Version": "8"}, 426),
    ({"Sec-WebSocket-Version": "0013"}, 426), ({"Sec-WebSocket-Version": None}, 426), ({"Sec-WebSocket-Protocol": "foo"}, 400), ({"Sec-WebSocket-Protocol": "SYNCKAIROS.V1"}, 400),
    ({"Sec-WebSocket-Protocol": "synckairos.v1x"}, 400), ({"Sec-WebSocket-Protocol": "foo, synckairos.v1"}, 101), ({"Sec-WebSocket-Protocol": ",,,"}, 400),
    ({"Sec-WebSocket-Protocol": "a" * 3000}, 400), ({"Sec-WebSocket-Protocol": ", ".join(["p"] * 500) + ", synckairos.v1"}, 101),
    ({"Sec-WebSocket-Protocol": "synckairos.v1, " + "bearer.x, " * 300}, 101), ({"Sec-WebSocket-Protocol": "synckairos.v1, bearer." + "a" * 5000}, 101)], ids=repr)
def test_a_head_that_asks_in_another_way_has_its_status(stack, port, headers, status):
    found, (head, _, rest) = knock(port, **headers)
    assert found == status, head
    if status == 101:
        assert head.lower().count(b"sec-websocket-protocol: synckairos.v1") == 1
    else:
        assert json.loads(rest)["error"]["code"] == "BAD_REQUEST"


@pytest.mark.parametrize("target,more,status", [
    ("/ws?sessionId=0e6c81f0-58b2-4f6f-9d39-6f4f4a6d2f01%00", "", 400), ("/ws?" + "&".join(f"a{k}=b" for k in range(500)), "", 101), ("/ws?token=%zz", "", 400), ("/ws?delta=%2", "", 400), ("/ws/", "", 404), ("/wss", "", 404),
    ("/ws", "".join(f"X{k}: y\r\n" for k in range(200)), 431), ("/ws?x=" + "a" * 7000, "", 101), ("/ws?sessionId=" + "a" * 3000, "", 101), ("/ws", "X: " + "a" * 7000 + "\r\nY: " + "a" * 7000 + "\r\n", 431)],
    ids=lambda value: repr(value)[:50])
def test_an_address_or_head_that_is_too_much_has_its_status(stack, port, target, more, status):
    found, (_, _, rest) = knock(port, target, more)
    assert found == status
    assert status == 101 or json.loads(rest)["error"]["code"] == {400: "BAD_REQUEST", 404: "NOT_FOUND", 431: "REQUEST_HEADER_FIELDS_TOO_LARGE"}[status]


@pytest.mark.parametrize("more", ["Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n", "X: a\0b\r\n", "X: a\rY: b\r\n", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
                                  "Upgrade: websocket\r\n"], ids=repr)
def test_a_head_that_two_parsers_may_read_differently_is_400(stack, more):
    found, (_, _, rest) = knock(stack.ws_port, more=more)
    assert found == 400 and json.loads(rest)["error"]["code"] == "BAD_REQUEST"


@pytest.mark.parametrize("connection", [None, "close", "keep-alive", "x" * 400])
def test_an_upgrade_without_Connection_upgrade_is_400(stack, connection):
    assert knock(stack.ws_port, Connection=connection)[0] == 400


@pytest.mark.parametrize("connection", ["upgrade", "keep-alive, Upgrade", "Upgrade,close"])
def test_Connection_may_name_more_than_the_upgrade(stack, connection):
    assert knock(stack.ws_port, Connection=connection)[0] == 101


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "BREW"])
def test_an_upgrade_by_another_method_is_no_socket(stack, method):
    found, _ = knock(stack.ws_port, method=method)
    assert found != 101


# --- many, and half open ones ---


def rss(pid):
    """In KB."""
    with open(f"/proc/{pid}/status") as status:
        return int(re.search(r"VmRSS:\s+(\d+)", status.read())[1])


def test_half_open_sockets_are_dropped_and_leave_their_room(make_stack):
    """Peers that said goodbye to their own side, or vanished behind a network that drops everything."""
    stack = make_stack(BROADCASTERS=1, WS_CONNECTION_TIMEOUT=1500, WS_HEARTBEAT_INTERVAL=300)
    raws = [RawSocket(stack.ws_port, headers=V1) for _ in range(40)]
    for k, raw in enumerate(raws):
        if k % 2:
            raw.sock.shutdown(socket.SHUT_WR)  # the others never answer a ping
    until(lambda: requests.get(f"http://127.0.0.1:{stack.ws_port}/health", timeout=5).json()["connections"] == 0, 20)
    for raw in raws:
        raw.close()


def test_heads_that_do_not_come_keep_nobody_out(make_stack):
    """More of them than are let wait at once: the oldest are answered, later the others; whoever has something to say gets in at any time."""
    stack = make_stack(BROADCASTERS=1)
    v1_and_token = f"Sec-WebSocket-Protocol: synckairos.v1, bearer.{token(x='x' * 300)}\r\n"
    slow = []

    def get_in():
        with RawSocket(stack.ws_port, headers=v1_and_token) as raw:
            assert raw.status == 101 and b"CONNECTED" in raw.frame()[1]

    def until_refused(sock):
        sock.settimeout(30 * SLOW)
        out = b""
        while piece := sock.recv(65536):
            out += piece
        assert out.startswith(b"HTTP/1.1 408 ") and json.loads(out.partition(b"\r\n\r\n")[2])["error"]["code"] == "REQUEST_TIMEOUT"

    try:
        for k in range(1024 + 300):
            slow.append(socket.create_connection(("127.0.0.1", stack.ws_port), timeout=10 * SLOW))
            slow[-1].sendall(b"GET /ws HTTP/1.1\r\nHost:" if k % 2 else b"G")
        get_in()
        for sock in slow[:300]:
            until_refused(sock)
        slow[-1].setblocking(False)
        with pytest.raises(BlockingIOError):
            slow[-1].recv(1)
        until_refused(slow[300])
        get_in()
        for sock in slow[301:]:
            until_refused(sock)
    finally:
        for sock in slow:
            sock.close()


def test_heads_that_do_not_come_where_metrics_are_read_keep_nobody_out_either(make_stack):
    stack = make_stack(BROADCASTERS=1)
    slow = []
    try:
        for k in range(600):
            slow.append(socket.create_connection(("127.0.0.1", stack.metrics_port), timeout=10 * SLOW))
            slow[-1].sendall(b"GET /metrics HTTP/1.1\r\nHost:" if k % 2 else b"G")
        with RawSocket(stack.ws_port, headers=V1) as raw:
            assert raw.status == 101 and b"CONNECTED" in raw.frame()[1]
        assert "synckairos_websocket_connections" in requests.get(f"http://127.0.0.1:{stack.metrics_port}/metrics", timeout=10 * SLOW).text
    finally:
        for sock in slow:
            sock.close()


def test_an_answer_is_the_last_of_its_connection(stack):
    """What comes behind it, an upgrade that no web server in front has seen among it, is not heard."""
    whole = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
    with socket.create_connection(("127.0.0.1", stack.ws_port), timeout=10 * SLOW) as sock:
        sock.sendall(whole + b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                     b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: synckairos.v1\r\n\r\n")
        out = b""
        while piece := sock.recv(65536):
            out += piece
    assert out.count(b"HTTP/1.1 ") == 1 and b"HTTP/1.1 200 " in out and b"\r\nConnection: close\r\n" in out


def test_5000_idle_sockets_cost_a_bounded_amount(make_stack):
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    wanted = 5000 if SLOW <= 1 else 1000
    stack = make_stack(BROADCASTERS=1)
    pid, idle = stack.pid("broadcaster-0"), []
    with RawSocket(stack.ws_port, headers=V1) as first:
        first.frame()
        before = rss(pid)
        try:
            for _ in range(wanted):
                idle.append(RawSocket(stack.ws_port, headers=V1))
                assert idle[-1].status == 101
            cost = (rss(pid) - before) / wanted
            assert SLOW > 1 or cost < 8, f"{cost} KB each"
            first.sock.sendall(frame(0x81, PING))
            while short(*first.frame()) != PONG:
                pass
            # and as many that have not said a word
            mute = [socket.create_connection(("127.0.0.1", stack.ws_port)) for _ in range(200)]
            with RawSocket(stack.ws_port, headers=V1) as other:
                assert other.status == 101
            for sock in mute:
                sock.close()
        finally:
            for raw in idle:
                raw.close()
    until(lambda: requests.get(f"http://127.0.0.1:{stack.ws_port}/health", timeout=5).json()["connections"] == 0, 20)


def test_unfinished_messages_cost_at_most_10_kb_each(make_stack):
    stack = make_stack(BROADCASTERS=1)
    pid, half = stack.pid("broadcaster-0"), []
    before = rss(pid)
    for _ in range(200):
        half.append(RawSocket(stack.ws_port, headers=V1))
        half[-1].sock.sendall(frame(0x01, b" " * 10_000))
    with RawSocket(stack.ws_port, f"/ws?sessionId={uuid.uuid4()}") as other:
        assert b"CONNECTED" in other.frame()[1]
    assert SLOW > 1 or (rss(pid) - before) / 200 < 32
    for raw in half:
        raw.close()


def test_the_answer_to_a_key_is_that_of_rfc_6455(stack, port):
    import hashlib
    key = base64.b64encode(uuid.uuid4().bytes).decode()
    accept = base64.b64encode(hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    assert b"sec-websocket-accept: " + accept.lower() in knock(port, **{"Sec-WebSocket-Key": key})[1][0].lower()
