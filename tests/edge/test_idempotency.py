"""A POST with a key has one effect and one answer."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connections

from northstar.errors import Conflict
from routing.models import IdempotencyRecord
from tests.conftest import Api, token
from tests.edge.site import Orders
from tests.edge.test_problems import problem

KEY = {"Idempotency-Key": "k-1"}


def age(seconds: float) -> None:
    IdempotencyRecord.objects.update(created_at=datetime.now(UTC) - timedelta(seconds=seconds))


def test_the_same_request_again_gets_the_first_answer(edge):
    first = edge.post("orders", {"amount": 1}, headers=KEY)
    again = edge.post("orders", {"amount": 1}, headers=KEY)
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["ETag"] == first.headers["ETag"]
    assert "Idempotent-Replayed" not in first.headers
    assert len(Orders.attempts) == 1


def test_without_a_key_every_request_counts(edge):
    edge.post("orders", {"amount": 1})
    edge.post("orders", {"amount": 1})
    assert Orders.attempts == ["", ""]


def test_another_body_under_the_same_key_is_refused(edge):
    edge.post("orders", {"amount": 1}, headers=KEY)
    problem(edge.post("orders", {"amount": 2}, headers=KEY), 422, "IDEMPOTENCY_MISMATCH")


@pytest.mark.parametrize("other", [{"X-Env": "stage"}, {"X-Project-Id": "p"}, {"X-Surface-Id": "s"}])
def test_another_place_under_the_same_key_is_refused(edge, other):
    edge.post("orders", {"amount": 1}, headers=KEY)
    problem(edge.post("orders", {"amount": 1}, headers={**KEY, **other}), 422, "IDEMPOTENCY_MISMATCH")


def test_another_query_under_the_same_key_is_refused(edge):
    edge.post("orders", {"amount": 1}, headers=KEY)
    problem(edge.post("orders?x=1", {"amount": 1}, headers=KEY), 422, "IDEMPOTENCY_MISMATCH")


def test_tenants_do_not_share_keys(edge, globex, api):
    edge.post("orders", {"amount": 1}, headers=KEY)
    assert "Idempotent-Replayed" not in api(globex).post("orders", {"amount": 1}, headers=KEY).headers
    assert len(set(Orders.attempts)) == 2


def test_a_request_that_failed_may_be_sent_again(edge):
    Orders.failure = Conflict("Busy.")
    problem(edge.post("orders", {"amount": 1}, headers=KEY), 409, "CONFLICT")
    Orders.failure = None
    assert edge.post("orders", {"amount": 1}, headers=KEY).status_code == 201


def test_a_request_that_is_still_running_is_not_run_twice(edge):
    edge.post("orders", {"amount": 1}, headers=KEY)
    IdempotencyRecord.objects.update(status=None, created_at=datetime.now(UTC))
    answer = edge.post("orders", {"amount": 1}, headers=KEY)
    problem(answer, 409, "CONFLICT")
    assert answer.headers["Retry-After"] == "1"


def test_the_claim_of_a_process_that_died_is_taken_over_with_the_same_operation_id(edge):
    edge.post("orders", {"amount": 1}, headers=KEY)
    IdempotencyRecord.objects.update(status=None)
    age(61)
    assert edge.post("orders", {"amount": 1}, headers=KEY).status_code == 201
    assert len(Orders.attempts) == 2
    assert len(set(Orders.attempts)) == 1


def test_a_days_old_key_is_new_again(edge):
    edge.post("orders", {"amount": 1}, headers=KEY)
    age(25 * 3600)
    answer = edge.post("orders", {"amount": 2}, headers=KEY)
    assert answer.status_code == 201
    assert "Idempotent-Replayed" not in answer.headers


@pytest.mark.parametrize("key", ["", "x" * 256, "a b", "é", "a\tb"])
def test_a_key_that_is_not_visible_ascii_is_refused(edge, key):
    problem(edge.post("orders", {"amount": 1}, headers={"Idempotency-Key": key}), 400, "INVALID_REQUEST")


def test_a_refused_caller_gets_no_replay(edge, acme, api):
    edge.post("orders", {"amount": 1}, headers=KEY)
    problem(api(acme, scopes=["data:read"]).post("orders", {"amount": 1}, headers=KEY), 403, "FORBIDDEN")


def test_of_many_at_once_one_takes_effect(own_database, edge, acme):
    secret, answers = token(acme), []
    ready = threading.Barrier(8)

    def send() -> None:
        client = Api(secret)
        ready.wait()
        try:
            answers.append(client.post("orders", {"amount": 1}, headers=KEY).status_code)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(Orders.attempts) == 1
    assert set(answers) <= {201, 409}
