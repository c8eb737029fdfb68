"""Requests that run while a route is flipped: none fails, and each is served by one route revision, whole."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event

from django.db import connection

from routing.changes import RouteUpdate, create_route, update_route
from tests.conftest import Api, token
from tests.routing.conftest import CAUSE, draft

REQUESTS = 1000
THREADS = 4


def config(number: int) -> dict[str, str]:
    return {"base_dir": f"root-{number % 2}", "durability": "none"}


def test_a_thousand_requests_during_flips_all_succeed_on_one_revision_each(own_database, acme):
    route = create_route(draft(kind="object_store", backend_type="filesystem", config=config(0)), CAUSE)
    secret = token(acme)
    done = Event()

    def flip() -> int:
        flips = 0
        while not done.is_set():
            flips += 1
            update_route(route.pk, RouteUpdate(config=config(flips)), CAUSE)
        connection.close()
        return flips

    def put(thread: int) -> list[tuple[int, int, str]]:
        api = Api(secret)
        answers = []
        for number in range(REQUESTS // THREADS):
            answer = api.put(f"storage/objects/{thread}/{number}", b"x")
            revision = int(answer.headers.get("X-Northstar-Route-Revision", 0))
            answers.append((answer.status_code, revision, answer.json().get("uri", "")))
        connection.close()
        return answers

    with ThreadPoolExecutor(THREADS + 1) as pool:
        flipping = pool.submit(flip)
        try:
            answers = [answer for batch in pool.map(put, range(THREADS)) for answer in batch]
        finally:
            done.set()
        assert flipping.result() > 10
    assert {status for status, _, _ in answers} <= {200, 201}
    assert len({revision for _, revision, _ in answers}) > 10
    assert [uri for _, revision, uri in answers if f"/root-{(revision - 1) % 2}/" not in uri] == []
