"""What each fault of the proxy does, seen by an HTTP client on one side and by the server that counts on the other."""

import gc
import http.client
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import pytest

from tests.server import HOST
from tests.stack.counting import Counter, counting_http
from tests.stack.fault_proxy import FaultProxy, fault_proxy

CUT_AFTER = 1000
BODY = b"x" * 100_000


@pytest.fixture
def counter() -> Iterator[Counter]:
    with counting_http() as counter:
        yield counter


@pytest.fixture
def proxy(counter: Counter) -> Iterator[FaultProxy]:
    with fault_proxy(counter.address) as proxy:
        yield proxy


@contextmanager
def connected(proxy: FaultProxy, timeout: float = 10) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection(HOST, proxy.port, timeout=timeout)
    try:
        yield connection
    finally:
        connection.close()


def call(connection: http.client.HTTPConnection, body: bytes = b"{}") -> bytes:
    connection.request("POST", "/", body)
    return connection.getresponse().read()


def call_once(proxy: FaultProxy) -> bytes:
    with connected(proxy) as connection:
        return call(connection)


def test_without_a_fault_everything_passes_unchanged(proxy: FaultProxy, counter: Counter):
    counter.body = bytes(range(256)) * 1000
    with connected(proxy) as connection:
        assert [call(connection, b"y" * 300_000) for _ in range(5)] == [counter.body] * 5
    assert (counter.calls, proxy.accepted, proxy.events) == (5, 1, 0)


def test_a_dropped_response_was_asked_for_and_given(proxy: FaultProxy, counter: Counter):
    proxy.drop_response(once=1)
    with pytest.raises(ConnectionResetError):
        call_once(proxy)
    assert (counter.calls, proxy.events) == (1, 1)
    assert call_once(proxy) == counter.body
    assert (counter.calls, proxy.events) == (2, 1)


def test_a_response_is_dropped_on_a_connection_that_was_open_before(proxy: FaultProxy, counter: Counter):
    with connected(proxy) as connection:
        call(connection)
        proxy.drop_response(once=1)
        with pytest.raises(ConnectionResetError):
            call(connection)
    assert counter.calls == 2


def test_the_first_responses_may_pass(proxy: FaultProxy, counter: Counter):
    proxy.drop_response(once=1, skip=2)
    assert [call_once(proxy), call_once(proxy)] == [counter.body] * 2
    with pytest.raises(ConnectionResetError):
        call_once(proxy)
    assert (counter.calls, proxy.events) == (3, 1)


def test_an_interim_answer_is_no_response():
    with socket.create_server((HOST, 0)) as listener, fault_proxy(f"{HOST}:{listener.getsockname()[1]}") as proxy:
        proxy.drop_response(once=1)
        with socket.create_connection((HOST, proxy.port)) as client:
            client.sendall(b"PUT / HTTP/1.1\r\nExpect: 100-continue\r\n\r\n")
            server, _ = listener.accept()
            with server:
                server.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
                server.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                with pytest.raises(ConnectionResetError):
                    client.recv(100)


def test_a_request_that_is_reset_never_reached_the_server(proxy: FaultProxy, counter: Counter):
    with connected(proxy) as connection:
        call(connection)
        proxy.reset(once=1)
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            call(connection)
    assert (counter.calls, proxy.events) == (1, 1)
    assert call_once(proxy) == counter.body


def test_a_proxy_that_refuses_is_down_until_it_is_cleared(proxy: FaultProxy, counter: Counter):
    with connected(proxy) as connection:
        call(connection)
        proxy.refuse()
        with pytest.raises((ConnectionResetError, http.client.RemoteDisconnected)):
            call(connection)
        with pytest.raises(ConnectionRefusedError):
            call_once(proxy)
        assert counter.calls == 1
        proxy.clear()
        assert call_once(proxy) == counter.body


def test_a_black_hole_takes_requests_and_gives_nothing(proxy: FaultProxy, counter: Counter):
    with connected(proxy) as before, connected(proxy, timeout=0.2) as after:
        call(before)
        before.sock.settimeout(0.2)
        proxy.black_hole()
        for connection in (before, after):
            with pytest.raises(TimeoutError):
                call(connection)
        proxy.wait_for_events(2)
    assert counter.calls == 1


def test_a_connection_from_a_black_hole_is_reset_when_the_network_is_back(proxy: FaultProxy, counter: Counter):
    proxy.black_hole(once=1)
    with connected(proxy) as connection:
        connection.request("POST", "/", b"{}")
        proxy.wait_for_events(1)
        assert call_once(proxy) == counter.body
        proxy.clear()
        with pytest.raises((ConnectionResetError, http.client.RemoteDisconnected)):
            connection.getresponse()
    assert counter.calls == 1


def test_latency_holds_a_response_back_until_it_is_cleared(proxy: FaultProxy, counter: Counter):
    proxy.latency(600)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(call_once, proxy)
        proxy.wait_for_events(1)
        assert counter.calls == 1
        assert not waiting.done()
        proxy.clear()
        assert waiting.result(10) == counter.body


def test_latency_of_one_response_is_over_with_it(proxy: FaultProxy, counter: Counter):
    proxy.latency(0.001, once=1)
    assert [call_once(proxy), call_once(proxy)] == [counter.body] * 2
    assert proxy.events == 1


def test_a_cut_response_ends_after_exactly_so_many_bytes(proxy: FaultProxy, counter: Counter):
    counter.body = BODY
    proxy.cut(after=CUT_AFTER, once=1)
    with socket.create_connection((HOST, proxy.port)) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        assert len(b"".join(iter(lambda: client.recv(4096), b""))) == CUT_AFTER
    assert call_once(proxy) == BODY


def test_a_client_that_knows_the_length_notices_the_cut(proxy: FaultProxy, counter: Counter):
    counter.body = BODY
    proxy.cut(after=CUT_AFTER)
    with pytest.raises(http.client.IncompleteRead):
        call_once(proxy)


def test_a_stalled_response_stops_after_exactly_so_many_bytes_until_the_connection_is_reset(
    proxy: FaultProxy, counter: Counter
):
    counter.body = BODY
    proxy.stall(after=CUT_AFTER, once=1)
    with socket.create_connection((HOST, proxy.port)) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        assert sum(len(client.recv(1)) for _ in range(CUT_AFTER)) == CUT_AFTER
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.recv(1)
        proxy.clear()
        client.settimeout(None)
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    assert call_once(proxy) == BODY


def test_a_response_that_trickles_is_whole(proxy: FaultProxy, counter: Counter):
    counter.body = BODY
    proxy.bandwidth(len(BODY) * 10)
    assert call_once(proxy) == BODY
    assert proxy.events == 1


def test_lost_responses_are_drawn_from_the_seed(proxy: FaultProxy, counter: Counter):
    def losses() -> list[bool]:
        proxy.lose_responses(0.2, seed=7)
        return [lost(proxy) for _ in range(60)]

    def lost(proxy: FaultProxy) -> bool:
        try:
            call_once(proxy)
        except ConnectionResetError:
            return True
        return False

    first = losses()
    assert 4 <= sum(first) <= 20
    assert losses() == first
    assert counter.calls == 120


def test_a_server_that_is_down_is_down_through_the_proxy(counter: Counter):
    with socket.create_server((HOST, 0)) as unused:
        address = f"{HOST}:{unused.getsockname()[1]}"
    with fault_proxy(address) as proxy, pytest.raises((ConnectionResetError, http.client.RemoteDisconnected)):
        call_once(proxy)


def test_the_end_of_the_proxy_resets_what_is_open(counter: Counter):
    with fault_proxy(counter.address) as proxy, connected(proxy) as connection:
        call(connection)
        sock = connection.sock
        proxy.run(proxy.close())
        with pytest.raises(ConnectionResetError):
            sock.recv(1)


def test_the_end_of_the_proxy_closes_what_was_just_being_accepted(counter: Counter):
    knocked: list[socket.socket] = []
    for _ in range(5):
        with ThreadPoolExecutor(1) as client:
            with fault_proxy(counter.address) as proxy:
                knocking = client.submit(knock_until_refused, proxy.port, knocked)
                while not proxy.accepted and not knocking.done():
                    pass  # it is closed in the midst of it
            knocking.result()
    for connection in knocked:
        connection.close()
    gc.collect()  # what was left open would say so here


def knock_until_refused(port: int, knocked: list[socket.socket]) -> None:
    with suppress(OSError):
        while True:
            knocked.append(socket.create_connection((HOST, port)))
