"""Durable event appends: 32 writers that share fsyncs, and one writer alone, against one fsync per event."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from threading import Barrier, Lock
from typing import Any, Final

import orjson

from bench.harness import Plan, Result, Side, Size, at_least, at_most, compare, timed, timed_calls
from bench.home import CONTEXT, Home
from storage.kinds.events import NewEvent
from storage.opening import open_store

WRITERS: Final = 32
TYPE: Final = "order.placed"
SHARED: Final = {
    Size.SMOKE: Plan(2, WRITERS * 2, 1),
    Size.QUICK: Plan(30, WRITERS * 12),
    Size.FULL: Plan(60, WRITERS * 100),
}
ALONE: Final = {Size.SMOKE: Plan(2, 5, 1), Size.QUICK: Plan(30, 20), Size.FULL: Plan(60, 200)}

AIM: Final = 9.0
"""Durable appends of 32 writers: so many times one fsync per event."""
ALONE_AIM: Final = 1.2
"""Latency of a single writer: so many times the bare write and fsync."""


def run(home: Home, size: Size) -> list[Result]:
    data = _payload()
    line = orjson.dumps({"type": TYPE, "data": data}) + b"\n"
    with _log(home.folder / "one-fsync-per-event.jsonl") as write_line, writers() as pool:

        def write() -> None:
            write_line(line)

        def append() -> None:
            open_store("event_stream", CONTEXT).append("orders", [NewEvent(TYPE, data)])

        shared = compare(
            f"append, {WRITERS} writers",
            Side("EventStream.append", lambda calls: together(pool, append, calls)),
            Side("write + fsync under a lock", lambda calls: together(pool, write, calls)),
            SHARED[size],
            faster=True,
        )
        alone = compare(
            "append, 1 writer",
            Side("EventStream.append", timed(append)),
            Side("write + fsync", timed(write)),
            ALONE[size],
        )
    return [replace(shared, bar=at_least(shared, AIM)), replace(alone, bar=at_most(alone, ALONE_AIM))]


def _payload() -> dict[str, Any]:
    """About 256 bytes of JSON, the same in each run."""
    random = Random(2)
    items = [{"sku": f"{random.getrandbits(48):012x}", "quantity": random.randint(1, 9)} for _ in range(4)]
    return {"order": f"{random.getrandbits(64):016x}", "customer": "c-1042", "items": items, "total": 129.5}


@contextmanager
def _log(path: Path) -> Iterator[Callable[[bytes], None]]:
    """The baseline: an append-only file on which every line has an fsync of its own before it is acknowledged."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    lock = Lock()

    def write_line(line: bytes) -> None:
        with lock:
            os.write(handle, line)
            os.fsync(handle)

    try:
        yield write_line
    finally:
        os.close(handle)


@contextmanager
def writers() -> Iterator[ThreadPoolExecutor]:
    """32 threads that stand before the first round."""
    with ThreadPoolExecutor(WRITERS) as pool:
        barrier = Barrier(WRITERS)
        list(pool.map(lambda _: barrier.wait(), range(WRITERS)))
        yield pool


def together(pool: ThreadPoolExecutor, call: Callable[[], object], calls: int) -> Sequence[float]:
    """Share the calls out evenly among the writers, which start together; return what each call took."""
    barrier = Barrier(WRITERS)

    def work(_: int) -> list[float]:
        barrier.wait()
        return timed_calls(call, calls // WRITERS)

    return [seconds for part in pool.map(work, range(WRITERS)) for seconds in part]
