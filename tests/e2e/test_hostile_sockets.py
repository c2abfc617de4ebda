"""Peers that take nothing, while a broadcaster has much to tell them: whether they go on talking, say goodbye or vanish, they cost the others nothing."""
import os
import socket
import struct
import threading
import time

import pytest
import requests

from raw_socket import RawSocket, client_frame
from sessions import Sessions, somebody
from stack import SLOW, until

PING = client_frame(1, b'{"type":"PING"}')


@pytest.fixture(params=["broadcaster", "nginx"])
def port(request, stack):
    return stack.ws_port if request.param == "broadcaster" else stack.port


def used(pids):
    """Processor seconds so far."""
    ticks = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat") as stat:
            ticks += sum(map(int, stat.read().rsplit(")", 1)[1].split()[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def used_in(pids, seconds):
    before = used(pids)
    time.sleep(seconds)
    return used(pids) - before


def stuffed(stack, port, states=30, rcvbuf=2048):
    """A socket that was sent more large states than all buffers on the way hold, and has read none."""
    sessions = Sessions(stack)
    path, _ = sessions.create("running", [somebody(participant_index=k) for k in range(1000)], total_time_ms=600_000)
    raw = RawSocket(port, f"/ws?sessionId={path.rpartition('/')[2]}", rcvbuf=rcvbuf)
    for _ in range(states):
        sessions.ask("POST", path + "/switch", headers={"Prefer": "return=minimal"}).raise_for_status()
    return raw, sessions, path


def end_of(raw):
    """What the connection ends with once everything is read: the payload of the Close frame, and whether a reset followed."""
    raw.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    bye = None
    while True:
        try:
            opcode, payload = raw.frame()
        except EOFError:
            return bye, False
        except ConnectionResetError:
            return bye, True
        assert bye is None
        if opcode == 8:
            bye = payload


def connections(stack):
    return requests.get(f"http://127.0.0.1:{stack.ws_port}/health", timeout=10 * SLOW).json()["connections"]


def test_a_peer_that_talks_and_does_not_listen_costs_no_time(stack, port):
    pids = [stack.pid(name) for name in stack.broadcasters()]
    raw, sessions, path = stuffed(stack, port)
    with raw:
        quiet = used_in(pids, 1)
        raw.sock.sendall(client_frame(9, b"x" * 100) * 20 + PING)
        assert used_in(pids, 2) < 3 * quiet + 0.1 * SLOW
        last, newest = sessions.call("GET", path)["version"], 0
        while newest < last:  # once it listens it is told how things are now
            newest = max(newest, raw.message()[1] or 0)
        raw.sock.sendall(PING)
        while raw.message()[0] != "PONG":
            pass


def test_a_peer_that_listens_slowly_is_heard_however_much_there_is_to_tell_it(make_stack):
    """It answers pings, and has some of its own; so it stays, for longer than one that is silent would."""
    stack = make_stack(BROADCASTERS=1, WS_CONNECTION_TIMEOUT=int(4000 * SLOW), WS_HEARTBEAT_INTERVAL=500)
    raw, sessions, path = stuffed(stack, stack.ws_port, 1, 32_768)
    enough = threading.Event()

    def play():
        while not enough.is_set():
            sessions.ask("POST", path + "/switch", headers={"Prefer": "return=minimal"})

    player = threading.Thread(target=play)
    player.start()
    try:
        with raw:
            for _ in range(int(120 * SLOW)):
                raw.sock.recv(30_000)
                raw.send(10, b"")
                time.sleep(0.08)
            assert connections(stack) == 1
    finally:
        enough.set()
        player.join()


def test_a_peer_that_talks_and_never_listens_is_dropped_like_one_that_is_silent(make_stack):
    """Else it could keep what waits for it as long as it likes."""
    stack = make_stack(BROADCASTERS=1, WS_CONNECTION_TIMEOUT=3000, WS_HEARTBEAT_INTERVAL=500)
    raw, _, _ = stuffed(stack, stack.ws_port, 6)

    def is_dropped():
        try:
            raw.send(9, b"x")
        except ConnectionError:
            return connections(stack) == 0
        return False

    with raw:
        until(is_dropped, 20, 0.3)


def test_a_close_behind_much_that_waits_is_answered_behind_it_and_ends_our_side(make_stack):
    stack = make_stack(BROADCASTERS=1)
    raw, _, _ = stuffed(stack, stack.ws_port, 8)
    with raw:
        raw.send(8, struct.pack(">H", 1000))
        assert end_of(raw) == (struct.pack(">H", 1000), False)
        assert connections(stack) == 1  # it was not cut: the peer may take its time to end its own


@pytest.mark.parametrize("how", ["FIN", "RST"])
def test_a_peer_that_ends_without_having_listened_leaves_its_room(make_stack, how):
    stack = make_stack(BROADCASTERS=1, WS_CONNECTION_TIMEOUT=int(8000 * SLOW), WS_HEARTBEAT_INTERVAL=500)
    pids = [stack.pid("broadcaster-0")]
    raw, _, _ = stuffed(stack, stack.ws_port)
    with raw:
        if how == "FIN":
            raw.sock.sendall(PING)
            raw.sock.shutdown(socket.SHUT_WR)
        else:
            raw.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raw.close()
        assert used_in(pids, 1) < 0.3 * SLOW
        until(lambda: connections(stack) == 0, 20)
