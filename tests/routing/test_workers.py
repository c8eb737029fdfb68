"""Four worker processes over PostgreSQL: a change reaches all of them, and no request fails meanwhile."""

import http.client
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import psycopg
import pytest

from tests.server import Running
from tests.stack import servers
from tests.workers import WORKERS, running_workers, seen_by_all

pytestmark = pytest.mark.server

SWITCHES = 200
CLIENTS = 4
NEVER = "3600"


@pytest.fixture
def workers(tmp_path: Path, postgres_url: str) -> Callable[..., AbstractContextManager[Running]]:
    return lambda redis_url="", **settings: running_workers(tmp_path / "home", postgres_url, redis_url, **settings)


class Switcher:
    """Switches acme's object_store between two folders, over the API."""

    def __init__(self, server: Running) -> None:
        self._server = server
        listed = json.loads(self._call("GET", "/api/v1/routing/routes?kind=object_store")[1])["items"]
        self._path = f"/api/v1/routing/routes/{listed[0]['id']}"

    def switch(self, number: int) -> int:
        body = {"config": {"base_dir": f"place-{number % 2}", "durability": "none"}}
        return self._call("PATCH", self._path, body)[0]

    def _call(self, method: str, path: str, body: dict | None = None) -> tuple[int, bytes]:
        status, _, content = self._server.request(method, path, body)
        return status, content


def load(server: Running, done: threading.Event) -> list[int]:
    """Write and read back until it is done, and return every status."""
    statuses = []
    headers = {"Authorization": f"Bearer {server.tokens['acme']}"}
    name = threading.get_ident()
    connection = server.connect()
    number = 0
    while not done.is_set():
        number += 1
        for method, body in (("PUT", b"x"), ("HEAD", None)):
            connection.request(method, f"/api/v1/storage/objects/{name}/{number % 10}", body, headers)
            response = connection.getresponse()
            response.read()
            statuses.append(response.status)
    connection.close()
    return statuses


def under_load(server: Running, work: Callable[[], None]) -> set[int]:
    """Do the work while clients write and read, and return the statuses that they heard."""
    done = threading.Event()
    with ThreadPoolExecutor(CLIENTS) as pool:
        clients = [pool.submit(load, server, done) for _ in range(CLIENTS)]
        try:
            work()
        finally:
            done.set()
        heard = [status for client in clients for status in client.result()]
    assert len(heard) > SWITCHES
    return set(heard)


# A HEAD may come to the other folder than its PUT went to: a switch does not carry data over.
GOOD = {http.client.OK, http.client.CREATED, http.client.NOT_FOUND}


def test_with_redis_a_change_reaches_all_workers_by_its_notice_alone(workers, redis_url):
    with workers(redis_url, NORTHSTAR_SNAPSHOT_POLL_SECONDS=NEVER) as server:
        switcher = Switcher(server)
        seen_by_all(server, 0)
        for number in range(1, 4):
            before = max(seen_by_all(server, 0).values())
            assert switcher.switch(number) == http.client.OK
            known = seen_by_all(server, before + 1)
            assert len(known) == WORKERS
            assert set(known.values()) == {before + 1}


def test_without_redis_a_change_reaches_all_workers_by_polling(workers):
    with workers() as server:
        switcher = Switcher(server)
        before = max(seen_by_all(server, 0).values())
        assert switcher.switch(1) == http.client.OK
        known = seen_by_all(server, before + 1)
        assert (len(known), set(known.values())) == (WORKERS, {before + 1})


def test_workers_that_end_withdraw_and_keep_what_they_counted(workers, postgres_url):
    with workers(NORTHSTAR_REPORT_SECONDS=NEVER) as server:
        seen_by_all(server, 0)
        for number in range(8):
            assert (
                server.request("PUT", f"/api/v1/storage/tables/t/records/{number}", {"data": {}})[0] == http.client.OK
            )
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("SELECT count(*) FROM routing_serverprocess").fetchone() == (0,)
        counted = "SELECT sum(amount) FROM routing_routeusage WHERE measure = 'documents_written'"
        assert connection.execute(counted).fetchone() == (8,)


def test_no_request_fails_during_two_hundred_switches_while_redis_goes_and_comes_back(workers):
    with ExitStack() as first, ExitStack() as second:
        redis = first.enter_context(servers.valkey())
        with workers(f"redis://{redis.address}/0") as server:
            switcher = Switcher(server)
            begun = max(seen_by_all(server, 0).values())

            def switch_all() -> None:
                for number in range(1, SWITCHES + 1):
                    if number == SWITCHES // 3:
                        first.close()
                    if number == 2 * SWITCHES // 3:
                        second.enter_context(servers.valkey(redis.port))
                    assert switcher.switch(number) == http.client.OK

            assert under_load(server, switch_all) <= GOOD
            known = seen_by_all(server, begun + SWITCHES)
            assert (len(known), set(known.values())) == (WORKERS, {begun + SWITCHES})
