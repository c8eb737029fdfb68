"""A thousand ways to tamper with the audit trail, and each is found: by its chain, its head, or its anchors elsewhere."""

import json
from collections.abc import Callable
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection, transaction

from routing import triggers
from routing.audit import HASHED, hash_of
from routing.chain import verify_chain
from routing.changes import RouteUpdate, create_route, update_route, update_tenant
from routing.keys import issue_key
from routing.models import OutboxEntry, RouteChange, SnapshotRevision
from routing.operations.mirror import mirror_changes
from routing.operations.relay import relay_outbox
from routing.operations.verification import read_anchors, verify_against, verify_trail
from tests.routing.conftest import CAUSE, draft

TABLE = RouteChange._meta.db_table
COLUMNS = ("id", "hash", *HASHED)
TEXTS = ("actor", "action", "subject", "resource_kind", "tenant_id", "env", "rationale", "request_id")

Rows = list[dict[str, Any]]


@pytest.fixture
def trail(acme, system) -> None:
    """A trail of some length whose end is anchored in the registry and in the stream of t_system."""
    for kind in ("routing_registry_store", "event_stream"):
        create_route(draft("t_system", kind, backend_type="filesystem", config={}), CAUSE)
    route = create_route(draft(config={"place": "here", "password": "x"}), CAUSE)
    for number in range(6):
        update_route(route.pk, RouteUpdate(config={"place": f"there {number}"}, tier=f"t{number}"), CAUSE)
        update_tenant("acme", CAUSE, name=f"Acme {number}")
    mirror_changes()
    relay_outbox()


def edit(rows: Rows, random: Random) -> None:
    """Change one value of one row."""
    row = random.choice(rows)
    name = random.choice([*TEXTS, "at", "route_id", "before", "after"])
    if name == "at":
        row["at"] = row["at"].replace(microsecond=(row["at"].microsecond + 1) % 1_000_000)
    elif name == "route_id":
        row["route_id"] = (row["route_id"] or 0) + 1
    elif name in TEXTS:
        row[name] += "x"
    else:
        row[name] = {**(row[name] or {}), "tier": f"forged {random.random()}"}


def delete(rows: Rows, random: Random) -> None:
    """Take one row out; the rest may close ranks."""
    rows.pop(random.randrange(len(rows)))
    if random.random() < 0.5:
        renumber(rows)


def insert(rows: Rows, random: Random) -> None:
    """Put a forged row before another one."""
    place = random.randrange(len(rows))
    forged = {**random.choice(rows), "change_id": f"{random.getrandbits(128):032x}", "actor": "user:mallory"}
    rows.insert(place, forged)
    renumber(rows)


def swap(rows: Rows, random: Random) -> None:
    """Let two rows change places."""
    one, other = random.sample(range(len(rows)), 2)
    rows[one], rows[other] = rows[other], rows[one]
    renumber(rows)


def truncate(rows: Rows, random: Random) -> None:
    """Cut the end off, or the beginning, or everything."""
    place = random.randrange(len(rows))
    if random.random() < 0.25:
        del rows[: place + 1]
    else:
        del rows[place:]


def renumber(rows: Rows) -> None:
    for number, row in enumerate(rows, start=1):
        row["id"] = number


def chained(rows: Rows) -> Rows:
    """Make every hash anew, as somebody who owns the table can."""
    head = ""
    for row in rows:
        row["previous_hash"] = head
        head = row["hash"] = hash_of(tuple(row[name] for name in HASHED))
    return rows


ATTACKS: tuple[Callable[[Rows, Random], None], ...] = (edit, delete, insert, swap, truncate)


def store(rows: Rows) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {TABLE}")
    RouteChange.objects.bulk_create([RouteChange(**row) for row in rows])


@pytest.mark.parametrize("strength", ["plain", "hashes made anew", "owns the database"])
def test_a_thousand_trials_of_tampering_are_all_found(trail, strength):
    """Three strengths by 5 attacks by 67 seeds: 1,005 trials."""
    anchors = read_anchors()
    assert verify_against(anchors).anchored == RouteChange.objects.count()
    original = list(RouteChange.objects.order_by("id").values(*COLUMNS))
    OutboxEntry.objects.all().delete()
    with connection.cursor() as cursor:
        triggers.remove(SimpleNamespace(connection=connection, execute=cursor.execute))
    missed = []
    for attack in ATTACKS:
        for seed in range(67):
            rows = [dict(row) for row in original]
            attack(rows, Random(seed))
            with transaction.atomic():
                store(rows if strength == "plain" else chained(rows))
                if strength == "owns the database":
                    head = rows[-1]["hash"] if rows else ""
                    SnapshotRevision.objects.update(audit_rows=rows[-1]["id"] if rows else 0, audit_head=head)
                if verify_against(anchors).ok:
                    missed.append((attack.__name__, seed))
                transaction.set_rollback(True)
    assert missed == []
    assert verify_against(anchors).ok


def test_only_the_anchors_tell_of_a_trail_that_was_rewritten_as_a_whole(trail):
    rows = list(RouteChange.objects.order_by("id").values(*COLUMNS))
    rows[3]["actor"] = "user:mallory"
    OutboxEntry.objects.all().delete()
    with connection.cursor() as cursor:
        triggers.remove(SimpleNamespace(connection=connection, execute=cursor.execute))
    store(chained(rows))
    SnapshotRevision.objects.update(audit_head=rows[-1]["hash"])
    assert verify_chain().ok
    status = verify_trail()
    assert not status.ok
    assert "anchored outside of the database" in status.reason


def test_a_rewritten_trail_is_not_anchored_over_the_true_one(trail):
    before = read_anchors()
    rows = list(RouteChange.objects.order_by("id").values(*COLUMNS))
    rows[3]["actor"] = "user:mallory"
    OutboxEntry.objects.all().delete()
    with connection.cursor() as cursor:
        triggers.remove(SimpleNamespace(connection=connection, execute=cursor.execute))
    store(chained(rows))
    SnapshotRevision.objects.update(audit_head=rows[-1]["hash"])
    issue_key("acme", "a further row", ["data:read"], cause=CAUSE)
    assert mirror_changes().mirrored == 0
    assert read_anchors() == before


@pytest.mark.parametrize("lost", ["routing_registry_store", "event_stream"])
def test_either_anchor_alone_finds_it(trail, lost, lab):
    (lab / lost).rename(lab / f"lost {lost}")
    from storage.opening import close_adapters  # noqa: PLC0415

    close_adapters()
    assert verify_trail().anchored > 0


def test_without_any_anchor_the_answer_says_so(acme):
    status = verify_trail()
    assert (status.ok, status.anchored) == (True, 0)
    assert "Nothing outside of the database confirms it. There is no routing registry." in status.reason


def test_an_anchor_outside_names_the_row_that_it_confirms(trail):
    issue_key("acme", "not anchored yet", ["data:read"], cause=CAUSE)
    status = verify_trail()
    assert status.rows == status.anchored + 1
    assert f"confirm it up to row {status.anchored}" in status.reason


def test_events_carry_the_row_and_its_hash(trail):
    payload = OutboxEntry.objects.last().payload
    row = RouteChange.objects.get(pk=payload["audit_row"])
    assert payload["audit_hash"] == row.hash
    assert json.dumps(payload)


def test_a_verification_reads_in_pages_and_tells_how_far_it_is(trail, monkeypatch):
    monkeypatch.setattr("routing.chain.PAGE", 5)
    seen: list[int] = []
    verify_trail(seen.append)
    rows = RouteChange.objects.count()
    assert seen == [*range(5, rows, 5), rows]
