"""Requests that run while a route is switched 200 times: none fails, and each is served by one route revision, whole."""

from concurrent.futures import ThreadPoolExecutor
from itertools import count
from threading import Condition, Event

from django.db import connection

from routing.changes import Cause, SwitchTarget, create_route, switch_backend
from routing.models import RouteChange
from tests.conftest import Api, token
from tests.routing.conftest import CAUSE, draft

SWITCHES = 200
THREADS = 4
ANSWER_SECONDS = 60
WHY = Cause("user:bob", rationale="to and fro")


def config(number: int) -> dict[str, str]:
    return {"base_dir": f"root-{number % 2}", "durability": "none"}


def test_requests_during_200_switches_all_succeed_on_one_revision_each(own_database, acme):
    route = create_route(draft(kind="object_store", backend_type="filesystem", config=config(0)), CAUSE)
    secret = token(acme)
    done, answered, total = Event(), Condition(), count()
    latest = [next(total)]

    def wait_for_answer() -> None:
        """Let requests keep up, however busy the machine is."""
        with answered:
            before = latest[0]
            answered.wait_for(lambda: latest[0] > before, ANSWER_SECONDS)

    def switch() -> None:
        try:
            for number in range(1, SWITCHES + 1):
                if number % 5 == 0:
                    wait_for_answer()
                switch_backend(route.pk, SwitchTarget(backend_type="filesystem", config=config(number)), WHY)
        finally:
            done.set()
            connection.close()

    def put(thread: int) -> list[tuple[int, int, str]]:
        api = Api(secret)
        answers = []
        for number in count():
            if done.is_set():
                break
            answer = api.put(f"storage/objects/{thread}/{number}", b"x")
            revision = int(answer.headers.get("X-Northstar-Route-Revision", 0))
            answers.append((answer.status_code, revision, answer.json().get("uri", "")))
            with answered:
                latest[0] = next(total)
                answered.notify()
        connection.close()
        return answers

    with ThreadPoolExecutor(THREADS + 1) as pool:
        switching = pool.submit(switch)
        answers = [answer for batch in pool.map(put, range(THREADS)) for answer in batch]
        switching.result()
    assert RouteChange.objects.filter(action="ROUTE_BACKEND_SWITCHED", rationale="to and fro").count() == SWITCHES
    assert {status for status, _, _ in answers} <= {200, 201}
    assert len({revision for _, revision, _ in answers}) > 10
    assert [uri for _, revision, uri in answers if f"/root-{(revision - 1) % 2}/" not in uri] == []
