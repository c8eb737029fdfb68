"""A 1 KiB object PUT over REST against a plain Django view that writes a file, each in a server process of its own."""

from collections.abc import Callable
from itertools import count
from random import Random
from typing import Final

from bench.client import Connection
from bench.harness import Plan, Result, Side, Size, compare, timed
from bench.home import ENV, Home
from bench.servers import free_port, serving

BODY: Final = Random(4).randbytes(1024 - 8)
"""Each PUT ends it with a number of its own, so that none writes what stands there already."""
NAMES: Final = 500
"""Objects that are written again and again: most PUTs replace one."""
PLANS: Final = {Size.SMOKE: Plan(2, 5, 1), Size.QUICK: Plan(30, 20), Size.FULL: Plan(60, 300)}


def run(home: Home, size: Size) -> list[Result]:
    ours_at, plain_at = free_port(), free_port()
    serve = ["manage.py", "serve", "--host", "127.0.0.1", "--port", str(ours_at)]
    with (
        serving(serve, ours_at, home.folder / "northstar.log") as ours,
        serving(["-m", "bench.plain_site", str(plain_at)], plain_at, home.folder / "plain.log") as plain,
        Connection(ours.port, {"Authorization": f"Bearer {home.token}", "X-Env": ENV}) as to_ours,
        Connection(plain.port) as to_plain,
    ):
        northstar = Side("PUT over REST", timed(_put(to_ours, "/api/v1/storage/objects/bench/")), ours.cpu)
        whole = Side("view: write, fsync, rename, fsync", timed(_put(to_plain, "/whole/")), plain.cpu)
        written = Side("view: write, fsync", timed(_put(to_plain, "/written/")), plain.cpu)
        return [
            compare("1 KiB PUT / same promise", northstar, whole, PLANS[size]),
            compare("1 KiB PUT / write in place", northstar, written, PLANS[size]),
        ]


def _put(connection: Connection, path: str) -> Callable[[], int]:
    numbers = count()

    def put() -> int:
        number = next(numbers)
        return connection.put(f"{path}object-{number % NAMES:04d}", BODY + number.to_bytes(8))

    return put
