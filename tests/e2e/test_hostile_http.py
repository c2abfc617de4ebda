"""What nobody polite sends: through the web server byte by byte, and to the workers' own socket. Each gets its status in the envelope, or its connection ended;
after each the next client is served, by the same workers, which have not grown."""
import json
import os
import re
import socket
import struct
import uuid

import pytest
import requests

from fcgi_client import BEGIN, PARAMS, STDIN, Request, get, pairs, record
from stack import SLOW, children, until
from tokens import bearer

START = b"/v1/sessions/0e6c81f0-58b2-4f6f-9d39-6f4f4a6d2f01/start"  # of a session that does not exist
JSON = b"Content-Type: application/json\r\n"
CHUNKED = JSON + b"Transfer-Encoding: chunked\r\n"
# What workers may grow by in all these tests together; one body is 256 KB, what is made of it a few MB.
GROWTH = 48 * 1024


def rss(pid):
    """In KB."""
    with open(f"/proc/{pid}/status") as status:
        return int(re.search(r"VmRSS:\s+(\d+)", status.read())[1])


@pytest.fixture(scope="module")
def crew(stack):
    """The workers before and after all of this: the same ones, and hardly larger."""
    requests.get(stack.base_url + "/v1/time", timeout=10)
    before = {pid: rss(pid) for pid in stack.workers()}
    yield before
    assert set(stack.workers()) == set(before), "a worker has ended"
    sanitized = "SAN" in os.environ or SLOW > 1
    grown = {pid: rss(pid) - kb for pid, kb in before.items()}
    assert sanitized or max(grown.values()) < GROWTH, grown


@pytest.fixture(autouse=True)
def served(stack, crew):
    yield
    answer = requests.get(stack.base_url + "/v1/time", timeout=10 * SLOW)
    assert answer.status_code == 200 and answer.json()["server_version"] == "2.0.0"


def exchange(sock, data, ends):
    out = b""
    with sock:
        try:
            sock.sendall(data)
            if ends:
                sock.shutdown(socket.SHUT_WR)
            while piece := sock.recv(65536):
                out += piece
        except ConnectionError:
            pass
    return out


def talk(stack, data, ends=False):
    """All that comes back for `data`; `ends`: our side is closed behind it."""
    return exchange(socket.create_connection(("127.0.0.1", stack.port), timeout=20 * SLOW), data, ends)


def request(target=START, headers=b"", body=b"", method=b"POST"):
    return method + b" " + target + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + headers + b"\r\n" + body


def answers(out):
    """[(status, body)] of the answers in `out`, interim ones left out."""
    found = []
    while out:
        head, _, out = out.partition(b"\r\n\r\n")
        status = int(re.match(rb"HTTP/1\.1 (\d\d\d)", head)[1])
        if status < 200:
            continue
        length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
        assert length or b"chunked" in head.lower() or not out
        if length:
            body, out = out[:int(length[1])], out[int(length[1]):]
        else:
            body, out = out, b""
        found.append((status, body))
    return found


def one(stack, data, status, code):
    """Exactly one answer, which is a failure in the envelope."""
    found = answers(talk(stack, data))
    assert [s for s, _ in found] == [status], found
    fault = json.loads(found[0][1])
    assert set(fault) == {"error"} and fault["error"]["code"] == code and fault["error"]["message"], fault


# --- addresses ---


@pytest.mark.parametrize("target", [
    b"/v1%2Ftime", b"/v1/sessions%2f1", b"/v1/time%00", b"/v1/sessions/%00", b"/v1/sessions/%c0%af", b"/v1/sessions/%e0%80%af", b"/v1/sessions/%ed%a0%80",
    b"/v1/sessions/%f4%90%80%80", b"/v1/sessions/%zz", b"/v1/sessions/%", b"/v1/sessions/%4", b"/v1/sessions/%ff", b"/v1/sessions/\xff\xfe",
    b"/v1/sessions/%u0041", b"/v1/time%0d%0aX:%20y", b"/v1/time%7f", b"/v1/time\x01", b"/v1/sess ions", b"v1/time", b"*", b"", b"/v1/../../etc/passwd"],
    ids=repr)
def test_addresses_that_are_none_are_400(stack, target):
    one(stack, request(target, method=b"GET"), 400, "BAD_REQUEST")


@pytest.mark.parametrize("target", [
    b"//v1//time", b"/v1/../v1/time", b"/v1/%2e%2e/v1/time", b"/v1/time;x=1", b"/v1/time#x", b"/.synckairos/500", b"/%2esynckairos/500", b"/v1\\time",
    b"/v1/%252ftime", b"/v1/sessions/%2e", b"/demo/%2e%2e/v1/time", b"/.git/config", b"/demo/..%5c..%5cetc", b"/node_modules/x"], ids=repr)
def test_other_spellings_of_an_address_are_other_addresses(stack, target):
    found = answers(talk(stack, request(target, method=b"GET")))
    status, body = found[0]
    assert len(found) == 1 and (status, json.loads(body)["error"]["code"]) in ((404, "NOT_FOUND"), (400, "VALIDATION_ERROR"))


def test_a_letter_may_be_percent_encoded(stack):
    assert answers(talk(stack, request(b"/%76%31/tim%65", method=b"GET")))[0][0] == 200
    assert answers(talk(stack, request(b"http://elsewhere.example/v1/time", method=b"GET")))[0][0] == 200


@pytest.mark.parametrize("letter", ["é", "日", "😀"])
def test_an_answer_repeats_an_address_without_cutting_a_letter(stack, letter):
    for before in range(4):
        answer = requests.get(f"{stack.base_url}/v1/{'x' * before}{letter * 100}", timeout=10 * SLOW)
        said = json.loads(answer.content.decode())["error"]["message"]
        assert answer.status_code == 404 and re.fullmatch(f"Cannot GET /v1/x*{letter}+", said)


@pytest.mark.parametrize("length", [2100, 7000, 9000, 200_000])
def test_an_address_that_is_too_long_is_414(stack, length):
    one(stack, request(b"/v1/" + b"a" * length, method=b"GET"), 414, "URI_TOO_LONG")


@pytest.mark.parametrize("query,status", [
    ("limit=%zz", 400), ("limit=%00", 400), ("limit=%ff", 400), ("limit=1&limit=2", 400), ("limit=99999999999999999999", 400), ("limit=-1", 400), ("limit=1e1", 400),
    ("limit=0x1", 400), ("limit=", 400), ("limit", 400), ("limit=1.0", 400), ("status=running%20", 400), ("cursor=" + "A" * 4000, 400), ("cursor=%f0%9f%98%80", 400),
    ("&&&=&=&limit=1&", 200), ("LIMIT=0", 200), ("limit=1&" + "&".join(f"x{k}=y" for k in range(900)), 200)])
def test_a_query_is_checked_to_the_letter(stack, query, status):
    answer = requests.get(f"{stack.base_url}/v1/sessions?{query}", headers=bearer(), timeout=10 * SLOW)
    assert answer.status_code == status, answer.text
    if status == 400:
        assert answer.json()["error"]["code"] in ("BAD_REQUEST", "VALIDATION_ERROR")


# --- heads ---


@pytest.mark.parametrize("length", [b"-1", b"+2", b"0x2", b"2,2", b"2 2", b"1e1", b"", b"99999999999999999999999", b"2\r\nContent-Length: 2", b"2\r\nContent-Length: 3"],
                         ids=repr)
def test_a_content_length_that_is_none_is_400(stack, length):
    one(stack, request(headers=JSON + b"Content-Length: " + length + b"\r\n", body=b"{}"), 400, "BAD_REQUEST")


# What two parsers in a row might read differently: never two answers, never a second request.
BEHIND = b"POST /v1/sessions HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize("headers,status,code", [
    (b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", 400, "BAD_REQUEST"), (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400, "BAD_REQUEST"),
    (b"Transfer-Encoding: xchunked\r\n", 501, "NOT_IMPLEMENTED"), (b"Transfer-Encoding: chunked, identity\r\n", 501, "NOT_IMPLEMENTED"),
    (b"Transfer-Encoding: \x0bchunked\r\n", 501, "NOT_IMPLEMENTED"), (b"Transfer-Encoding:\tchunked\r\n", 501, "NOT_IMPLEMENTED"),
    (b"Transfer-Encoding : chunked\r\n", 400, "BAD_REQUEST"), (b"Transfer-Encoding:\r\n chunked\r\n", 400, "BAD_REQUEST"), (b"Transfer-Encoding: chunked\0\r\n", 400, "BAD_REQUEST")],
    ids=repr)
def test_what_smuggles_a_second_request_is_refused_as_a_whole(stack, headers, status, code):
    one(stack, request(headers=JSON + headers, body=b"2\r\n{}\r\n0\r\n\r\n" + BEHIND).replace(b"Connection: close\r\n", b""), status, code)


@pytest.mark.parametrize("chunks,status,code", [
    (b"2\r\n{}\r\n0\r\n\r\n", 404, "SESSION_NOT_FOUND"), (b"2;a=b\r\n{}\r\n0\r\nX: y\r\n\r\n", 404, "SESSION_NOT_FOUND"), (b"zz\r\n{}\r\n0\r\n\r\n", 400, "BAD_REQUEST"),
    (b"-2\r\n{}\r\n0\r\n\r\n", 400, "BAD_REQUEST"), (b"ffffffffffffffff1\r\n{}\r\n0\r\n\r\n", 400, "BAD_REQUEST"), (b"2\r\n{}x\r\n0\r\n\r\n", 400, "BAD_REQUEST"),
    (b"493e0\r\n" + b" " * 300_000 + b"\r\n0\r\n\r\n", 413, "PAYLOAD_TOO_LARGE"), (b"1\r\n \r\n" * 300_000 + b"0\r\n\r\n", 413, "PAYLOAD_TOO_LARGE")],
    ids=lambda value: repr(value)[:40])
def test_chunks(stack, chunks, status, code):
    one(stack, request(headers=CHUNKED, body=chunks), status, code)


@pytest.mark.parametrize("head,status", [
    (b"GET /v1/time HTTP/1.1\r\n\r\n", 400), (b"GET /v1/time HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400), (b"GET /v1/time HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
    (b"GET /v1/time HTTP/1.1\r\nHost: x\r\nX: a\rY: b\r\n\r\n", 400), (b"GET /v1/time HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n", 400),
    (b"GET /v1/time HTTP/2.0\r\nHost: x\r\n\r\n", 505), (b"GET /v1/time HTTP/9.9\r\nHost: x\r\n\r\n", 505), (b"GET /v1/time HTTP/x\r\nHost: x\r\n\r\n", 400),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400), (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400), (b"\0" * 100, 400), (b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    (request(b"/v1/time", method=b"G\x01T"), 400), (request(b"/v1/time", method=b"get"), 400), (request(b"/v1/time", method=b"TRACE"), 405),
    (request(b"/v1/time", method=b"A" * 200), 405), (request(b"/v1/time", method=b"PROPFIND"), 405),
    (request(b"/v1/time", b"Authorization: Bearer x\r\nAuthorization: Bearer y\r\n", method=b"GET"), 400),
    (request(START, b'If-Match: "a"\r\nIf-Match: "b"\r\n'), 400),
    (request(b"/v1/time", b"X: " + b"a" * 9000 + b"\r\n", method=b"GET"), 431),
    (request(b"/v1/time", b"".join(b"X-%d: %s\r\n" % (k, b"a" * 7000) for k in range(8)), method=b"GET"), 431),
    (request(b"/v1/time", b"".join(b"X-%d: y\r\n" % k for k in range(4000)), method=b"GET"), 431)], ids=lambda value: repr(value)[:60])
def test_a_head_that_is_none_has_its_status(stack, head, status):
    codes = {400: "BAD_REQUEST", 405: "METHOD_NOT_ALLOWED", 431: "REQUEST_HEADER_FIELDS_TOO_LARGE", 505: "HTTP_VERSION_NOT_SUPPORTED"}
    one(stack, head, status, codes[status])


@pytest.mark.parametrize("header", ["Proxy: http://192.0.2.66", "Request-Uri: /v1/nothing", "Script-Name: /v1", "Path-Info: /x", "Query-String: a=b", "Content_Length: 99",
                                    "Request-Method: DELETE", "Remote-Addr: 192.0.2.66", "X-Original-Url: /v1/nothing", "X-Http-Method-Override: DELETE", "Https: on",
                                    "Range: bytes=0-1", "Expect: x", "Upgrade: h2c", "Te: trailers", "Redirect-Status: 500", "Http-X: 1"])
def test_a_header_does_not_become_a_variable_of_the_request(stack, header):
    found = answers(talk(stack, request(b"/v1/time", header.encode() + b"\r\n", method=b"GET")))
    assert [status for status, _ in found] == [200] and json.loads(found[0][1])["server_version"] == "2.0.0"


def test_of_repeated_lines_of_X_Forwarded_For_the_last_hop_counts(make_stack):
    """A proxy may add its line below the client's: the first one alone would be the client's word."""
    stack = make_stack(TRUSTED_PROXIES="127.0.0.0/8", LOG_LEVEL="info")
    talk(stack, request(b"/v1/nothing", b"X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-For: 198.51.100.9\r\n", method=b"GET"))
    line = until(lambda: re.search(r'.*"/v1/nothing".*', stack.log("fcgi")), say="the access line")[0]
    assert json.loads(line)["client"] == "198.51.100.9"


@pytest.mark.parametrize("words", ["203.0.113.7", "127.0.0.1", "::1", "unknown", "', DROP", "10.0.0.1, 127.0.0.1"])
def test_X_Forwarded_For_of_nobody_trusted_is_not_believed(stack, words):
    path = f"/v1/{uuid.uuid4()}"
    requests.get(stack.base_url + path, headers={"X-Forwarded-For": words}, timeout=10)
    line = until(lambda: re.search(f'.*"{path}".*', stack.log("fcgi")), say="the access line")[0]
    assert json.loads(line)["client"] == "127.0.0.1"


@pytest.mark.parametrize("sent", ["a\\\"},{", "<script>", "x" * 128])
def test_a_sane_request_id_cannot_forge_a_line_of_the_log(stack, sent):
    mark = f"{uuid.uuid4()}"
    answer = requests.get(f"{stack.base_url}/v1/{mark}", headers={"X-Request-Id": sent}, timeout=10)
    assert answer.headers["X-Request-Id"] == sent
    line = until(lambda: re.search(f".*{mark}.*", stack.log("fcgi")), say="the access line")[0]
    assert json.loads(line)["request_id"] == sent


# --- bodies ---

SHAPES = {
    "200,000 opening brackets": b"[" * 200_000, "50,000 objects in objects": b'{"a":' * 50_000, "33 deep": b'{"metadata":' + b"[" * 32 + b"]" * 32 + b"}",
    "byte order mark": b"\xef\xbb\xbf{}", "UTF-16": '{"a":1}'.encode("utf-16"), "a number of 200,000 digits": b'{"a":' + b"1" * 200_000 + b"}",
    "beyond int64": b'{"a":9223372036854775808}', "below int64": b'{"a":-9223372036854775809}', "beyond double": b'{"a":1e400}', "NaN": b'{"a":NaN}',
    "Infinity": b'{"a":-Infinity}', "leading zero": b'{"a":01}', "plus": b'{"a":+1}', "comment": b'{"a":1/**/}', "single quotes": b"{'a':1}", "trailing comma": b'{"a":1,}',
    "duplicate key": b'{"a":1,"b":2,"a":3}', "duplicate key, escaped": b'{"a":1,"\\u0061":2}', "duplicate key, deep": b'{"metadata":{"b":{"a":1,"a":1}}}',
    "lone high surrogate": b'{"a":"\\ud800"}', "lone low surrogate": b'{"a":"\\udc00"}', "surrogates the wrong way": b'{"a":"\\udc00\\ud800"}', "U+0000": b'{"a":"\\u0000"}',
    "overlong": b'{"a":"\xc0\x80"}', "surrogate in UTF-8": b'{"a":"\xed\xa0\x80"}', "beyond U+10FFFF": b'{"a":"\xf4\x90\x80\x80"}', "cut UTF-8": b'{"a":"\xe2\x82"}',
    "control character": b'{"a":"\x01"}', "NUL behind": b"{}\0", "two values": b"{}{}", "blanks only": b" \n\t ", "bad escape": b'{"a":"\\x41"}', "cut escape": b'{"a":"\\u12',
    "bad key": b"{1:2}", "vertical tab": b"{\x0b}", "form": b"a=1&b=2"}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_body_that_is_no_json_is_MALFORMED_JSON(stack, shape):
    text = SHAPES[shape]
    one(stack, request(b"/v1/sessions", JSON + b"Content-Length: %d\r\n" % len(text), text), 400, "MALFORMED_JSON")


@pytest.mark.parametrize("text", [
    b"{" + b",".join(b'"%d":1' % k for k in range(20_000)) + b"}", b'{"participants":[' + b",".join([b"{}"] * 60_000) + b"]}", b'{"a":0.' + b"1" * 200_000 + b"}",
    b'{"a":1e-99999999999999999999}', b'{"total_time_ms":-0}', b'{"__proto__":{"constructor":1}}', b'{"session_id":"' + b"\\u0041" * 40_000 + b'"}', b"null", b"[]", b'"x"', b"1",
    b'{"metadata":' + b'{"a":' * 30 + b"1" + b"}" * 31],
    ids=["20,000 keys", "60,000 participants", "long fraction", "tiny", "minus zero", "__proto__", "40,000 escapes", "null", "array", "string", "number", "deep metadata"])
def test_a_body_that_is_no_session_is_VALIDATION_ERROR(stack, text):
    found = answers(talk(stack, request(b"/v1/sessions", JSON + b"Content-Length: %d\r\n" % len(text), text)))
    assert len(found) == 1 and found[0][0] == 400
    fault = json.loads(found[0][1])["error"]
    assert fault["code"] == "VALIDATION_ERROR" and 0 < len(fault["details"]) <= 2100


@pytest.mark.parametrize("kind", [b"text/plain", b"application/jsonx", b"application/x-www-form-urlencoded", b"multipart/form-data; boundary=x", b"", b"application/json; charset=\xff", b"application/json; charset=utf-8"])
def test_a_body_of_another_kind_is_415_or_taken_as_what_it_says(stack, kind):
    found = answers(talk(stack, request(START, b"Content-Type: " + kind + b"\r\nContent-Length: 2\r\n", b"{}")))
    assert [status for status, _ in found] == [404 if b"utf-8" in kind else 415]
    assert "error" in json.loads(found[0][1])


def test_a_body_that_ends_early_is_never_acted_on(stack):
    made = requests.post(stack.base_url + "/v1/sessions", json={"sync_mode": "count_up"}, timeout=10).json()["data"]
    path = f"/v1/sessions/{made['session_id']}"
    for headers, body in ((JSON + b"Content-Length: 20\r\n", b"{}"), (CHUNKED, b"2\r\n{}\r\n"), (CHUNKED, b""), (CHUNKED, b"5\r\n{}")):
        assert b"HTTP/1.1 2" not in talk(stack, request(f"{path}/start".encode(), headers, body), ends=True)
    assert requests.get(stack.base_url + path, timeout=10).json()["data"]["status"] == "pending"


def test_slow_clients_hold_no_worker(stack, crew):
    """More of them than there are workers, each with half a head or half a body."""
    slow = []
    try:
        for k in range(4 * len(crew) + 100):
            slow.append(socket.create_connection(("127.0.0.1", stack.port), timeout=10 * SLOW))
            slow[-1].sendall(request(headers=JSON + b"Content-Length: 1000\r\n", body=b"{") if k % 2 else b"GET /v1/time HTTP/1.1\r\nHost:")
        for _ in range(20):
            assert requests.get(stack.base_url + "/v1/time", timeout=10 * SLOW).status_code == 200
    finally:
        for sock in slow:
            sock.close()


def test_clients_that_do_not_read_hold_no_worker(stack, crew):
    deaf = []
    try:
        for _ in range(2 * len(crew) + 20):
            sock = socket.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            sock.connect(("127.0.0.1", stack.port))
            sock.sendall(b"GET /api-docs.json HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
            deaf.append(sock)
        for _ in range(20):
            assert requests.get(stack.base_url + "/v1/time", timeout=10 * SLOW).status_code == 200
    finally:
        for sock in deaf:
            sock.close()


# --- the workers' own socket ---

VARIABLES = {"REQUEST_METHOD": "GET", "REQUEST_URI": "/health", "REMOTE_ADDR": "192.0.2.1"}
OPENING = record(BEGIN, struct.pack(">HB5x", 1, 0))
ENDING = record(PARAMS) + record(STDIN)


@pytest.fixture
def door(stack):
    return str(stack.run_dir / "fcgi.sock") if len(str(stack.run_dir)) < 90 else re.search(r"unix:(\S+fcgi\.sock)", (stack.run_dir / "nginx.conf").read_text())[1]


def push(door, data):
    """Everything that comes back from a worker, after which nothing more is sent."""
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(20 * SLOW)
    sock.connect(door)
    return exchange(sock, data, True)


def broken(kind, request_id=1, version=1, content=b"", length=None):
    return struct.pack(">BBHHBx", version, kind, request_id, len(content) if length is None else length, 0) + content


GOOD = pairs(VARIABLES)
RECORDS = {
    "nothing": b"", "half a record": OPENING[:5], "HTTP": b"GET / HTTP/1.0\r\n\r\n", "zeroes": b"\0" * 4096, "ones": b"\xff" * 4096, "version 2": b"\2" + OPENING[1:],
    "a type that there is not": broken(99, content=b"x"), "a short beginning": record(BEGIN, b"\0\1") + record(PARAMS, GOOD) + ENDING,
    "a role that there is not": record(BEGIN, struct.pack(">HB5x", 9, 0)) + record(PARAMS, GOOD) + ENDING, "request id 0": broken(BEGIN, 0, content=struct.pack(">HB5x", 1, 0)),
    "longer than it is": OPENING + broken(PARAMS, length=65535, content=GOOD), "a name cut off": OPENING + record(PARAMS, GOOD[:7]) + ENDING,
    "a name longer than all": OPENING + record(PARAMS, b"\x20\x20abc") + ENDING, "a name of 2 GB": OPENING + record(PARAMS, b"\xff\xff\xff\xff\1abc") + ENDING,
    "a value of 2 GB": OPENING + record(PARAMS, b"\1\xff\xff\xff\xffabc") + ENDING,
    "name and value that overflow": OPENING + record(PARAMS, b"\xff\xff\xff\xff\xff\xff\xff\xff" + b"A" * 60_000) + record(PARAMS, b"A" * 60_000) * 20,
    "a length in four bytes cut off": OPENING + record(PARAMS, b"\x80") + ENDING, "variables that do not end": OPENING + record(PARAMS, GOOD),
    "variables cut in a record": OPENING + record(PARAMS, GOOD)[:-3], "only a beginning": OPENING, "nothing but variables": record(PARAMS, GOOD) + ENDING}


@pytest.mark.parametrize("shape", RECORDS)
def test_records_that_are_broken_get_no_answer(door, shape):
    """Nor does a request of which a part is missing: what is left of it could be another request."""
    assert b"Status:" not in push(door, RECORDS[shape])
    assert get(door)[0] == 200


@pytest.mark.parametrize("cut", range(1, len(record(PARAMS, GOOD)), 7))
def test_a_command_whose_variables_are_cut_off_is_never_acted_on(door, stack, cut):
    made = requests.post(stack.base_url + "/v1/sessions", json={"sync_mode": "count_up"}, timeout=10).json()["data"]
    path = f"/v1/sessions/{made['session_id']}"
    variables = {"REQUEST_METHOD": "POST", "REQUEST_URI": path + "/start", "REMOTE_ADDR": "192.0.2.1", "HTTP_IF_MATCH": '"never"'}
    push(door, OPENING + record(PARAMS, pairs(variables))[:-cut])
    assert requests.get(stack.base_url + path, timeout=10).json()["data"]["status"] == "pending"


def test_a_body_of_unsaid_length_that_is_cut_off_is_never_acted_on(door, stack):
    made = requests.post(stack.base_url + "/v1/sessions", json={"sync_mode": "count_up"}, timeout=10).json()["data"]
    path = f"/v1/sessions/{made['session_id']}"
    variables = {"REQUEST_METHOD": "POST", "REQUEST_URI": path + "/start", "REMOTE_ADDR": "192.0.2.1", "CONTENT_TYPE": "application/json", "CONTENT_LENGTH": ""}
    opening = OPENING + record(PARAMS, pairs(variables)) + record(PARAMS)
    for part in (b"", record(STDIN, b"{}"), record(STDIN, b"{}")[:9]):
        assert b"Status: 400" in push(door, opening + part)
    assert requests.get(stack.base_url + path, timeout=10).json()["data"]["status"] == "pending"
    assert b"Status: 200" in push(door, opening + record(STDIN, b"{}") + record(STDIN))


@pytest.mark.parametrize("length,status", [("-1", 400), ("+2", 400), (" 2", 400), ("2 ", 400), ("0x2", 400), ("2,2", 400), ("1e3", 400), ("99999999999999999999", 400),
                                           ("9223372036854775807", 413), ("262145", 413), ("3", 400), ("٢", 400), ("1", 400), ("2", 404), ("02", 404)])
def test_the_variable_content_length_is_not_believed(door, length, status):
    variables = {**VARIABLES, "REQUEST_METHOD": "POST", "REQUEST_URI": START.decode(), "CONTENT_TYPE": "application/json", "CONTENT_LENGTH": length}
    out = push(door, OPENING + record(PARAMS, pairs(variables)) + record(PARAMS) + record(STDIN, b"{}") + record(STDIN))
    assert b"Status: %d" % status in out and b'"error"' in out


@pytest.mark.parametrize("more", [{"": "x"}, {"HTTP_PROXY": "http://192.0.2.66"}, {"REQUEST_URI=/v1/nothing&": "x"}, {"REQUEST\0_METHOD": "POST"}, {"SCRIPT_NAME": "/hea"},
                                  {"SCRIPT_NAME": "/health"}, {"PATH_INFO": "/../../etc"}, {"PATH_INFO": "\xff"}, {"QUERY_STRING": "%zz\0"}, {"REMOTE_ADDR": "x" * 5000},
                                  {"HTTP_X_FORWARDED_FOR": "," * 50_000}, {"HTTP_X_FORWARDED_FOR": "[" * 1000}, {"HTTP_X_REQUEST_ID": "a\nb: c"}, {"HTTP_AUTHORIZATION": "Bearer " + "." * 60_000},
                                  {"HTTP_ORIGIN": "x\r\nSet-Cookie: a=b"}, {"HTTP_IF_NONE_MATCH": ',W/"' * 10_000}, {f"HTTP_X{k}": "y" for k in range(5000)}],
                         ids=lambda value: repr(value)[:40])
def test_variables_with_tricks_change_nothing(door, more):
    names = pairs({**VARIABLES, **more})
    out = push(door, OPENING + b"".join(record(PARAMS, names[at:at + 60_000]) for at in range(0, len(names), 60_000)) + ENDING)
    assert b"Status: 200" in out and b'"status":"ok"' in out
    assert b"Set-Cookie" not in out.split(b"\r\n\r\n")[0] and b"\nb: c" not in out


def test_a_variable_of_five_megabytes(door, crew):
    head = struct.pack(">BI", 6, 5_000_000 | 1 << 31) + b"HTTP_X"
    content = head + b"a" * 5_000_000 + GOOD
    for _ in range(10):
        out = push(door, OPENING + b"".join(record(PARAMS, content[at:at + 60_000]) for at in range(0, len(content), 60_000)) + ENDING)
        assert b"Status: 200" in out


def test_a_peer_that_connects_and_says_nothing_is_ended(make_stack):
    stack = make_stack(FCGI_WORKERS=2, FCGI_REQUEST_LIMIT_MS=500)
    workers = set(children(stack.pid("fcgi")))
    door = re.search(r"unix:(\S+fcgi\.sock)", (stack.run_dir / "nginx.conf").read_text())[1]
    silent = []
    for data in (b"", OPENING):
        silent.append(socket.socket(socket.AF_UNIX))
        silent[-1].settimeout(20 * SLOW)
        silent[-1].connect(door)
        silent[-1].sendall(data)
    assert Request(door, timeout=20).answer()[0] == 200
    for sock in silent:
        with sock:
            try:
                assert sock.recv(100) == b""
            except ConnectionError:
                pass
    assert not workers & set(children(stack.pid("fcgi")))
