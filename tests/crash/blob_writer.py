"""A process that stores, replaces and deletes objects until it is killed, telling each step before and after it.

Usage: blob_writer.py FOLDER SEED. Its output are lines `try KEY VERSION SIZE` (version 0 is a delete), each followed by `ok`.
"""

import random
import sys

from django.conf import settings

from northstar import logs
from northstar.modes import LAB
from storage.backends.filesystem_config import FilesystemConfig
from storage.backends.local_files import LocalBlobs
from storage.blob_guard import GuardedBlobs
from storage.guard import ServedBy
from storage.keys import Scope

KEYS = ("a", "a/b", "a/b/c", "plain", "long-" + "x" * 300)
LARGEST = 300_000


def opened(root: str) -> GuardedBlobs:
    """Open the objects below `root`, as every process of the test does."""
    driver = LocalBlobs(FilesystemConfig(base_dir=root), mode=LAB, epoch=1)
    return GuardedBlobs(driver, scope=Scope("acme", "dev"), served_by=ServedBy(1, 1, "filesystem"))


def content(key: str, version: int, size: int) -> bytes:
    """The bytes of one version: any mixture of two is recognised."""
    piece = f"{key[:5]}.{version};".encode()
    return (piece * (size // len(piece) + 1))[:size]


def say(line: str) -> None:
    """One write per line: a kill leaves whole lines or none."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def work(blobs: GuardedBlobs, seed: int, largest: int = LARGEST) -> None:
    """Change objects of up to so many bytes for ever."""
    chance = random.Random(seed)
    version = seed * 1_000_000
    while True:
        key = chance.choice(KEYS)
        if chance.random() < 0.25:
            say(f"try {key} 0 0")
            blobs.delete(key)
        else:
            version += 1
            size = chance.choice((0, 1, 1024, chance.randrange(largest)))
            say(f"try {key} {version} {size}")
            data = content(key, version, size)
            pieces = (data[at : at + 50_000] for at in range(0, size, 50_000))
            blobs.put(key, pieces, content_type="text/plain", metadata={"version": str(version)})
        say("ok")


def configured(root: str) -> None:
    """Make this process one that may keep files below `root`, and that logs elsewhere than on its output."""
    logs.configure(readable=True)
    settings.configure(NORTHSTAR_HOME=root, NORTHSTAR_ALLOWED_ROOTS=[root])


if __name__ == "__main__":
    configured(sys.argv[1])
    work(opened(sys.argv[1]), int(sys.argv[2]))
