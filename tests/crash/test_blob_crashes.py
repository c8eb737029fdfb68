"""`kill -9` of a writer at any moment: what it was told is stored is stored, and nothing half is ever seen."""

import hashlib
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.crash.blob_writer import KEYS, content, opened

pytestmark = pytest.mark.crash
REPOSITORY = Path(__file__).parent.parent.parent
KILLS = 50
State = tuple[int, int]
"""A version and its size; version 0: not there."""


class Story:
    """What writers said: the last acknowledged state of each key, and the one that was under way when they died."""

    def __init__(self) -> None:
        self.known: dict[str, State] = dict.fromkeys(KEYS, (0, 0))

    def follow(self, module: str, *arguments: str, steps: int, delay: float) -> tuple[str, State] | None:
        """Let a writer take some steps, kill it, and return what it was doing."""
        command = [sys.executable, "-m", module, *arguments]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY) as writer:
            killer = threading.Timer(delay, writer.send_signal, [signal.SIGKILL])
            under_way: tuple[str, State] | None = None
            for line in writer.stdout or ():
                under_way = self._told(line, under_way)
                if line == "ok\n":
                    steps -= 1
                    if steps == 0:
                        killer.start()  # it strikes somewhere inside the next steps
        killer.join()
        assert writer.returncode == -signal.SIGKILL
        return under_way

    def _told(self, line: str, under_way: tuple[str, State] | None) -> tuple[str, State] | None:
        if not line.endswith("\n"):
            return under_way
        if line == "ok\n":
            assert under_way is not None
            key, state = under_way
            self.known[key] = state
            return None
        _, key, version, size = line.split()
        return key, (int(version), int(size))

    def check(self, blobs, under_way: tuple[str, State] | None) -> None:
        """Everything is as it was told, or for what was under way as it was to be; that is known from now on."""
        for key in KEYS:
            state = found(blobs, key)
            allowed = {self.known[key]} | ({under_way[1]} if under_way and under_way[0] == key else set())
            assert state in allowed
            self.known[key] = state
        listed = [info.key for info in blobs.list().blobs]
        assert listed == [key for key in sorted(KEYS) if self.known[key] != (0, 0)]


def found(blobs, key: str) -> State:
    """What is stored, checked byte by byte."""
    blob = blobs.get(key)
    if blob is None:
        assert blobs.head(key) is None
        return 0, 0
    data = b"".join(blob.chunks)
    version = int(blob.info.metadata["version"])
    assert data == content(key, version, blob.info.size)
    assert hashlib.sha256(data).hexdigest() == blob.info.sha256
    return version, len(data)


def test_a_writer_killed_at_50_random_moments_loses_nothing_and_shows_nothing_half(lab):
    chance, story = random.Random(), Story()
    blobs = opened(str(lab))
    for seed in range(1, KILLS + 1):
        steps, delay = chance.randrange(1, 12), chance.uniform(0, 0.01)
        story.check(blobs, story.follow("tests.crash.blob_writer", str(lab), str(seed), steps=steps, delay=delay))
