"""The same faults for gRPC: they meet calls, not the frames by which HTTP/2 keeps its connections."""

import time
from collections.abc import Iterator
from contextlib import suppress

import grpc
import pytest

from tests.stack.counting import METHOD, Counter, counting_grpc
from tests.stack.fault_proxy import FaultProxy, fault_proxy

TRIALS = 20
PAUSE_SECONDS = 0.005
DEADLINE_SECONDS = 10
RECONNECT_MILLISECONDS = 10
OPTIONS = [("grpc.enable_retries", 0), ("grpc.initial_reconnect_backoff_ms", RECONNECT_MILLISECONDS)]


class Client:
    """Calls the counter through the proxy, without retries."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._count = channel.unary_unary(METHOD)

    def call(self, timeout: float = DEADLINE_SECONDS) -> bytes:
        """Wait for a connection, call once, and return the answer."""
        answer: bytes = self._count(b"", timeout=timeout, wait_for_ready=True)
        return answer

    def call_again(self) -> bytes:
        """Call until the channel has noticed that its connection was reset and has another; a call before that is not sent."""
        until = time.monotonic() + DEADLINE_SECONDS
        while time.monotonic() < until:
            with suppress(grpc.RpcError):
                return self.call()
            time.sleep(PAUSE_SECONDS)
        return self.call()

    def failure(self, timeout: float = DEADLINE_SECONDS) -> grpc.StatusCode:
        """Call once, and return the code of the error."""
        with pytest.raises(grpc.RpcError) as failed:
            self.call(timeout)
        return failed.value.code()


@pytest.fixture
def counter() -> Iterator[Counter]:
    with counting_grpc() as counter:
        yield counter


@pytest.fixture
def proxy(counter: Counter) -> Iterator[FaultProxy]:
    with fault_proxy(counter.address) as proxy:
        yield proxy


@pytest.fixture
def client(proxy: FaultProxy) -> Iterator[Client]:
    with grpc.insecure_channel(proxy.address, OPTIONS) as channel:
        yield Client(channel)


def test_calls_share_one_connection(client: Client, proxy: FaultProxy, counter: Counter):
    assert [client.call() for _ in range(TRIALS)] == [counter.body] * TRIALS
    assert (counter.calls, proxy.accepted) == (TRIALS, 1)


def test_every_dropped_response_is_one_of_a_call_that_was_made(client: Client, proxy: FaultProxy, counter: Counter):
    for trial in range(TRIALS):
        client.call_again()
        proxy.drop_response(once=1)
        assert client.failure() is grpc.StatusCode.UNAVAILABLE
        assert (counter.calls, proxy.events) == (2 * trial + 2, 1)


def test_every_request_that_is_reset_never_reached_the_server(client: Client, proxy: FaultProxy, counter: Counter):
    for trial in range(TRIALS):
        client.call_again()
        proxy.reset(once=1)
        assert client.failure() is grpc.StatusCode.UNAVAILABLE
        assert (counter.calls, proxy.events) == (trial + 1, 1)


def test_a_call_into_a_black_hole_ends_at_its_deadline(client: Client, proxy: FaultProxy, counter: Counter):
    client.call()
    proxy.black_hole()
    assert client.failure(timeout=0.2) is grpc.StatusCode.DEADLINE_EXCEEDED
    proxy.clear()
    assert client.call_again() == counter.body
    assert counter.calls == 2


def test_large_messages_pass_unchanged(client: Client, counter: Counter):
    counter.body = bytes(range(256)) * 4000
    assert client.call() == counter.body


def test_a_server_that_was_down_is_found_again(client: Client, proxy: FaultProxy, counter: Counter):
    client.call()
    proxy.refuse()
    assert client.failure(timeout=0.2) in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
    proxy.clear()
    assert client.call_again() == counter.body
