"""A body sent in blocks, several at a time, in the memory of a few."""

import base64
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Final

from storage.backends.blob_intake import Intake

PART_BYTES: Final = 4 * 1024 * 1024
"""Of a block; a body that is no larger is sent in one request."""
AT_ONCE: Final = 2
"""Blocks under way while the next part is read: a put of any size then needs some 12 MiB (measured; with three, 25)."""
MOST_PARTS: Final = 50_000
"""Blocks of one blob ("Scalability and performance targets for Blob storage", Azure)."""


def send_parts(intake: Intake, first: bytes, send: Callable[[int, bytes], object]) -> int:
    """Call `send(number, part)` for every part, in threads, numbers from 0; return how many there were.

    Raises the first error of `send`, and whatever the caller's own chunks raise; nothing is under way then.
    """
    count, part = 0, first
    under_way: set[Future[object]] = set()
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="azure-blob") as threads:
        try:
            while part:
                under_way.add(threads.submit(send, count, part))
                count, part = count + 1, b""  # its thread alone holds it now
                under_way = _with_room(under_way)
                part = part if intake.ended else intake.part()
            _settled(under_way)
        except BaseException:
            threads.shutdown(cancel_futures=True)
            raise
    return count


def _with_room(under_way: set[Future[object]]) -> set[Future[object]]:
    if len(under_way) < AT_ONCE:
        return under_way
    done, pending = wait(under_way, return_when=FIRST_COMPLETED)
    _settled(done)
    return pending


def _settled(futures: set[Future[object]]) -> None:
    for future in futures:
        future.result()


def block_id(write_id: str, number: int) -> str:
    """Return the name of a block: all of one blob have one length, and no two writes share one."""
    return base64.b64encode(f"{write_id}{number:06}".encode()).decode()


def block_list(write_id: str, count: int) -> bytes:
    """Return what commits the blocks of a write, in order."""
    blocks = "".join(f"<Uncommitted>{block_id(write_id, number)}</Uncommitted>" for number in range(count))
    return f'<?xml version="1.0" encoding="utf-8"?><BlockList>{blocks}</BlockList>'.encode()
