"""Notices between the processes of a deployment, over Redis: hints that something is new, never the news itself.

Nothing depends on them: whoever misses one finds out by polling. So nobody waits for Redis, and nothing fails without it.
"""

import atexit
import hashlib
import hmac
import json
import logging
import os
import random
import threading
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings

if TYPE_CHECKING:
    from redis import Redis

logger = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS: Final = 0.1
LONGEST_PAUSE_SECONDS: Final = 10.0
ANSWER_SECONDS: Final = 2.0
"""For Redis to answer a call, after which it counts as away."""
LISTEN_SECONDS: Final = 0.5
"""How long the listener waits at a time; it notices that it is to stop in between."""
MOST_WAITING: Final = 10_000
"""Notices that wait to be sent; more are dropped, as hints may be."""
LAST_WORDS_SECONDS: Final = 1.0
"""What a process that ends gives its last notices: a command ends right after its change."""

Handler = Callable[[str], None]


class Notices:
    """This process's notices: `send` hands one to a thread, `listen` begins to hear those of the other processes."""

    def __init__(self, url: str, channel: str) -> None:
        self._url = url
        self._channel = channel
        self._handlers: dict[str, Handler] = {}
        self._on_connect: list[Callable[[], None]] = []
        self._begin()
        os.register_at_fork(after_in_child=self._begin)
        atexit.register(self._finish)

    def _begin(self) -> None:
        """Threads do not survive a fork, nor should what the parent has to say be said twice."""
        self._me = os.urandom(8).hex()
        self._waiting: dict[tuple[str, str], None] = {}
        self._lock = threading.Lock()
        self._some = threading.Event()
        self._idle = threading.Event()
        self._idle.set()
        self._sender: threading.Thread | None = None
        self._listener: threading.Thread | None = None
        self._stopping = threading.Event()
        self.connected = False

    def on(self, topic: str, handler: Handler, *, on_connect: Callable[[], None] | None = None) -> None:
        """Call the handler with each text that another process sends on the topic, in the listener's thread.

        `on_connect` is called after each time that the listener had to connect: what was sent before is missed.
        """
        self._handlers[topic] = handler
        if on_connect:
            self._on_connect.append(on_connect)

    def send(self, topic: str, text: str) -> None:
        """Tell the other processes, soon. Returns at once; the same notice that still waits is sent once."""
        with self._lock:
            if len(self._waiting) < MOST_WAITING:
                self._waiting[topic, text] = None
            if self._sender is None:
                self._sender = threading.Thread(target=self._send_on, name="notices-sender", daemon=True)
                self._sender.start()
            self._idle.clear()
        self._some.set()

    def listen(self) -> None:
        """Begin to listen, if this process does not yet."""
        with self._lock:
            if self._listener is None:
                self._listener = threading.Thread(target=self._listen_on, name="notices-listener", daemon=True)
                self._listener.start()

    def stop(self) -> None:
        """End both threads; what waits is sent if Redis is there."""
        self._finish()
        self._stopping.set()
        self._some.set()
        for thread in (self._sender, self._listener):
            if thread is not None:
                thread.join(LISTEN_SECONDS + ANSWER_SECONDS)

    def _finish(self) -> None:
        if self._sender is not None:
            self._idle.wait(LAST_WORDS_SECONDS)

    def _send_on(self) -> None:
        from redis import RedisError  # noqa: PLC0415

        client, outage = _client(self._url), _Outage("Notices cannot be sent")
        while not self._stopping.is_set():
            self._some.wait()
            self._some.clear()
            with self._lock:
                waiting, self._waiting = self._waiting, {}
            try:
                self._publish(client, waiting)
                outage.over()
            except (RedisError, OSError) as error:
                self._stopping.wait(outage.pause(error))  # what was to be sent is lost: others poll
            with self._lock:
                if not self._waiting:
                    self._idle.set()
        client.close()

    def _publish(self, client: "Redis", waiting: dict[tuple[str, str], None]) -> None:
        pipeline = client.pipeline(transaction=False)
        for topic, text in waiting:
            pipeline.publish(self._channel, json.dumps([self._me, topic, text]))
        pipeline.execute()

    def _listen_on(self) -> None:
        from redis import RedisError  # noqa: PLC0415

        client, outage = _client(self._url), _Outage("Notices cannot be heard")
        while not self._stopping.is_set():
            try:
                with client.pubsub() as hearing:  # type: ignore[no-untyped-call]  # the library has no types here
                    hearing.subscribe(self._channel)
                    while not self._stopping.is_set():
                        self._hear(hearing.get_message(timeout=LISTEN_SECONDS), outage)
            except (RedisError, OSError) as error:
                self.connected = False
                self._stopping.wait(outage.pause(error))
        client.close()

    def _hear(self, message: dict[str, Any] | None, outage: "_Outage") -> None:
        if message is None:
            return
        if message["type"] == "subscribe":
            self.connected = True
            outage.over()
            for call in self._on_connect:
                call()
        elif message["type"] == "message":
            sender, topic, text = _parsed(message["data"])
            if sender != self._me and topic in self._handlers:
                self._handlers[topic](text)


def _parsed(data: bytes) -> tuple[str, str, str]:
    """Sender, topic and text; of what nobody of ours has sent, empty ones."""
    try:
        sender, topic, text = json.loads(data)
    except (ValueError, TypeError):  # no JSON, no UTF-8, or of another form
        return "", "", ""
    return str(sender), str(topic), str(text)


def _client(url: str) -> "Redis":
    from redis import Redis  # noqa: PLC0415 - only a deployment with Redis has it

    return Redis.from_url(
        url, socket_timeout=ANSWER_SECONDS, socket_connect_timeout=ANSWER_SECONDS, health_check_interval=15
    )


def redis_failure() -> str | None:
    """Ask the configured Redis whether it is there, and return the name of its error if it is not."""
    from redis import RedisError  # noqa: PLC0415

    try:
        with _client(settings.REDIS_URL) as client:
            client.ping()
    except (RedisError, OSError) as error:
        return type(error).__name__
    return None


class _Outage:
    """Growing pauses while Redis is away, and one line in the log for its beginning and one for its end."""

    def __init__(self, complaint: str) -> None:
        self._complaint = complaint
        self._failures = 0
        self._since = 0.0

    def pause(self, error: Exception) -> float:
        if not self._failures:
            self._since = monotonic()
            logger.warning(
                "%s: Redis is away (%s). Processes find out by polling.", self._complaint, type(error).__name__
            )
        self._failures += 1
        longest = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** min(self._failures, 10))
        return random.uniform(longest / 2, longest)  # noqa: S311 - jitter, not a secret

    def over(self) -> None:
        if self._failures:
            logger.info("Redis answers again after %.0f seconds.", monotonic() - self._since)
        self._failures = 0


def _deployment_channel() -> str:
    """A name that only this deployment knows: several may share one Redis."""
    return "northstar:" + hmac.new(settings.SECRET_KEY.encode(), b"notices", hashlib.sha256).hexdigest()[:24]


_notices: Notices | None = None


def notices() -> Notices | None:
    """Return this process's notices, or None where no REDIS_URL is set."""
    global _notices  # noqa: PLW0603 - made once, when the settings are known
    if _notices is None and settings.REDIS_URL:
        _notices = Notices(settings.REDIS_URL, _deployment_channel())
    return _notices
