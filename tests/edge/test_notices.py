"""Notices between processes over a real Redis: heard by others, never waited for, taken up again after an outage."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
import redis

from northstar.notices import Notices
from tests.server import PROJECT, free_port
from tests.stack import servers

SOON_SECONDS = 30


class Heard:
    """What a listener heard, in order."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.connections = 0
        self._changed = threading.Condition()

    def take(self, text: str) -> None:
        with self._changed:
            self.texts.append(text)
            self._changed.notify_all()

    def connected(self) -> None:
        with self._changed:
            self.connections += 1
            self._changed.notify_all()

    def wait(self, condition: Callable[[], bool]) -> bool:
        with self._changed:
            return self._changed.wait_for(condition, SOON_SECONDS)


@contextmanager
def process(url: str, channel: str = "ours") -> Iterator[Notices]:
    """As another process of the deployment would be."""
    notices = Notices(url, channel)
    try:
        yield notices
    finally:
        notices.stop()


@contextmanager
def listener(url: str, channel: str = "ours") -> Iterator[tuple[Notices, Heard]]:
    heard = Heard()
    with process(url, channel) as notices:
        notices.on("news", heard.take, on_connect=heard.connected)
        notices.listen()
        yield notices, heard


def test_the_others_hear_a_notice_and_its_sender_does_not(redis_url):
    with listener(redis_url) as (_, first), listener(redis_url) as (sender, own):
        assert first.wait(lambda: first.connections == 1)
        assert own.wait(lambda: own.connections == 1)
        sender.send("news", "one")
        sender.send("other topic", "two")
        sender.send("news", "three")
        assert first.wait(lambda: len(first.texts) == 2)
        assert (first.texts, own.texts) == (["one", "three"], [])


def test_another_deployment_on_the_same_redis_hears_nothing(redis_url):
    with listener(redis_url) as (_, ours), listener(redis_url, "theirs") as (_, theirs), process(redis_url) as sender:
        assert ours.wait(lambda: ours.connections == 1)
        assert theirs.wait(lambda: theirs.connections == 1)
        sender.send("news", "secret")
        assert ours.wait(lambda: ours.texts == ["secret"])
        assert theirs.texts == []


def test_nobody_waits_for_a_redis_that_is_away(caplog):
    with process(f"redis://127.0.0.1:{free_port()}/0") as notices:
        notices.on("news", Heard().take)
        notices.listen()
        for number in range(1000):
            notices.send("news", f"{number}")
        assert not notices.connected
    assert len([line for line in caplog.messages if "Redis is away" in line]) <= 2  # one per outage and direction


def test_after_an_outage_listeners_are_told_to_look_again_and_hear_on():
    with ExitStack() as first, ExitStack() as second:
        server = first.enter_context(servers.valkey())
        url = f"redis://{server.address}/0"
        with listener(url) as (_, heard), process(url) as sender:
            assert heard.wait(lambda: heard.connections == 1)
            first.close()
            sender.send("news", "lost")
            second.enter_context(servers.valkey(server.port))
            assert heard.wait(lambda: heard.connections == 2)
            deadline = time.monotonic() + SOON_SECONDS
            while "again" not in heard.texts and time.monotonic() < deadline:
                sender.send("news", "again")  # its own connection comes back when it next has something to say
                heard.wait(lambda: bool(heard.texts)) if heard.texts else time.sleep(0.05)
            assert "again" in heard.texts


def test_the_last_words_of_a_command_are_heard(redis_url):
    with listener(redis_url) as (_, heard):
        assert heard.wait(lambda: heard.connections == 1)
        program = f"from northstar.notices import Notices; Notices({redis_url!r}, 'ours').send('news', 'last words')"
        subprocess.run([sys.executable, "-c", program], cwd=PROJECT, check=True)
        assert heard.wait(lambda: heard.texts == ["last words"])


@pytest.mark.parametrize("junk", [b"", b"5", b"{}", b"[1]", b"\xff"])
def test_what_is_no_notice_is_passed_over(redis_url, junk):
    with listener(redis_url) as (_, heard), redis.Redis.from_url(redis_url) as client, process(redis_url) as sender:
        assert heard.wait(lambda: heard.connections == 1)
        client.publish("ours", junk)
        sender.send("news", "one")
        assert heard.wait(lambda: heard.texts == ["one"])
