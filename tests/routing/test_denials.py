"""Refused attempts leave a trace, and a flood of them leaves few."""

from datetime import UTC, datetime, timedelta

import time_machine

from northstar.errors import Forbidden, InvalidRequest
from routing.chain import verify_chain
from routing.changes import create_route, lock_env
from routing.denials import ACCESS_DENIED, PER_ACTOR, WINDOW, Attempt, record_denial
from routing.models import OutboxEntry, RouteChange, SnapshotRevision
from tests.conftest import Api, token
from tests.routing.conftest import CAUSE, draft

ROUTES = "routing/routes"
ASKED = {"resource_kind": "tabular_store", "backend_type": "vault", "config": {"place": "here"}}


def attempt(**changes) -> Attempt:
    return Attempt(**{"actor": "key:abc", "what": "POST /x", "subject": "route:1", **changes})


def denials() -> list[RouteChange]:
    return list(RouteChange.objects.filter(action=ACCESS_DENIED).order_by("id"))


def test_each_kind_of_refused_write_is_recorded_with_who_what_and_why(acme, globex, initech, api):
    ours, theirs = create_route(draft(), CAUSE), create_route(draft("initech", env="prod"), CAUSE)
    lock_env("acme", "dev", reason="freeze", until=None, cause=CAUSE)
    reader = api(acme, scopes=["routes:read"])
    writer = api(acme)
    attempts = [
        (reader.post(ROUTES, ASKED), "FORBIDDEN"),
        (writer.post(ROUTES, {**ASKED, "tenant_id": "globex"}), "TENANT_MISMATCH"),
        (writer.post(ROUTES, ASKED, headers={"X-Tenant-Id": "globex"}), "TENANT_MISMATCH"),
        (writer.patch(f"{ROUTES}/{ours.pk}", {"config": {"place": "there"}}), "STRATEGY_LOCKED"),
        (writer.delete(f"{ROUTES}/{theirs.pk}"), "NOT_FOUND"),
        (api(initech).post(ROUTES, {**ASKED, "backend_type": "filesystem", "config": {}}), "FORBIDDEN_BACKEND_CLASS"),
        (api(acme, envs=["prod"]).post(ROUTES, ASKED), "FORBIDDEN"),
    ]
    assert [answer.json()["error_code"] for answer, _ in attempts] == [code for _, code in attempts]
    rows = {(row.after["error_code"], row.after["attempt"], row.subject, row.tenant_id) for row in denials()}
    assert rows == {
        ("FORBIDDEN", f"POST /api/v1/{ROUTES}", f"/api/v1/{ROUTES}", "acme"),
        ("TENANT_MISMATCH", f"POST /api/v1/{ROUTES}", f"/api/v1/{ROUTES}", "acme"),
        ("STRATEGY_LOCKED", f"PATCH /api/v1/{ROUTES}/{ours.pk}", f"route:{ours.pk}", "acme"),
        ("NOT_FOUND", f"DELETE /api/v1/{ROUTES}/{theirs.pk}", f"route:{theirs.pk}", "acme"),
        ("FORBIDDEN_BACKEND_CLASS", f"POST /api/v1/{ROUTES}", f"/api/v1/{ROUTES}", "initech"),
    }
    assert all(row.actor.startswith("key:") and row.request_id for row in denials())
    assert verify_chain().ok


def test_reads_mistakes_and_strangers_leave_nothing(acme, api):
    ours, known = api(acme, scopes=["routes:write"]), token(acme)
    for answer in (
        ours.get(ROUTES),
        ours.post(ROUTES, {**ASKED, "config": {}}),
        Api("ns_nobody").post(ROUTES, ASKED),
        Api(known[:-1] + ("1" if known.endswith("0") else "0")).delete(f"{ROUTES}/1"),
    ):
        assert answer.status_code in {400, 401, 403}
    assert denials() == []


def test_a_denial_moves_no_snapshot_and_owes_no_event(db):
    before = SnapshotRevision.objects.get().revision
    record_denial(attempt(), Forbidden("No."))
    assert SnapshotRevision.objects.get().revision == before
    assert (len(denials()), OutboxEntry.objects.count()) == (1, 0)


def test_what_is_merely_wrong_is_no_denial(db):
    record_denial(attempt(), InvalidRequest("What?"))
    assert denials() == []


def test_a_flood_leaves_the_same_attempt_once_and_few_rows_of_one_actor(db):
    now = datetime.now(UTC)
    with time_machine.travel(now, tick=False):
        for _ in range(5):
            record_denial(attempt(), Forbidden("No."))
        assert len(denials()) == 1
        for number in range(3 * PER_ACTOR):
            record_denial(attempt(subject=f"route:{number}"), Forbidden("No."))
        record_denial(attempt(actor="key:other"), Forbidden("No."))
    mine = [row for row in denials() if row.actor == "key:abc"]
    assert (len(mine), len(denials())) == (PER_ACTOR, PER_ACTOR + 1)
    assert ["only logged" in row.after["detail"] for row in mine] == [False] * (PER_ACTOR - 1) + [True]
    with time_machine.travel(now + WINDOW + timedelta(seconds=1), tick=False):
        record_denial(attempt(), Forbidden("No."))
    assert len(denials()) == PER_ACTOR + 2
    assert verify_chain().ok


def test_a_long_name_is_cut_and_still_recognised(db):
    for _ in range(2):
        record_denial(attempt(subject="x" * 500), Forbidden("No."))
    assert [row.subject for row in denials()] == ["x" * 200]
