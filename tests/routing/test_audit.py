"""The audit trail refuses to be changed, and tells when it was."""

from types import SimpleNamespace

import pytest
from django.db import DatabaseError, connection, transaction

from northstar.errors import Conflict
from routing import triggers
from routing.audit import row_hash
from routing.chain import verify_chain
from routing.changes import RouteUpdate, create_route, delete_route, update_route
from routing.models import OutboxEntry, RouteChange, SnapshotRevision
from tests.routing.conftest import CAUSE, draft


@pytest.fixture
def trail(acme) -> list[RouteChange]:
    route = create_route(draft(config={"place": "here", "password": "x"}), CAUSE)
    update_route(route.pk, RouteUpdate(tier="pro"), CAUSE)
    update_route(route.pk, RouteUpdate(config={"place": "there"}), CAUSE)
    delete_route(route.pk, CAUSE)
    return list(RouteChange.objects.order_by("id"))


def test_an_untouched_trail_verifies(trail):
    status = verify_chain()
    assert (status.ok, status.rows, status.first_broken) == (True, 5, None)


def test_an_empty_trail_verifies(db):
    assert verify_chain().ok


def test_a_row_names_the_hash_of_the_row_before(trail):
    assert [row.previous_hash for row in trail] == ["", *(row.hash for row in trail[:-1])]


@pytest.mark.parametrize(
    "attempt",
    [
        lambda row: row.save(),
        lambda row: row.delete(),
        lambda row: RouteChange.objects.update(actor="nobody"),
        lambda row: RouteChange.objects.filter(pk=row.pk).delete(),
        lambda row: RouteChange.objects.bulk_update([row], ["actor"]),
    ],
)
def test_the_model_refuses_to_change_a_row(trail, attempt):
    with pytest.raises(Conflict, match="append-only"):
        attempt(trail[1])
    assert verify_chain().ok


@pytest.mark.parametrize(
    "statement", ["UPDATE routing_routechange SET actor = 'nobody'", "DELETE FROM routing_routechange WHERE id = 1"]
)
def test_the_database_itself_refuses_to_change_a_row(trail, statement):
    OutboxEntry.objects.all().delete()
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert verify_chain().ok


def test_the_database_itself_refuses_to_replace_a_row(trail):
    if connection.vendor != "sqlite":
        pytest.skip("REPLACE is SQLite's: it deletes a row without asking the trigger on DELETE")
    OutboxEntry.objects.all().delete()
    columns = f"id, {COLUMNS}"
    statement = f"REPLACE INTO routing_routechange ({columns}) SELECT {columns} FROM routing_routechange WHERE id = 1"
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert verify_chain().ok


def tamper(*statements: str) -> None:
    """Change rows as somebody could who owns the database: with the triggers out of the way."""
    OutboxEntry.objects.all().delete()
    with connection.cursor() as cursor:
        editor = SimpleNamespace(connection=connection, execute=cursor.execute)
        triggers.remove(editor)
        for statement in statements:
            cursor.execute(statement)
        triggers.install(editor)


COLUMNS = (
    "change_id, at, actor, action, subject, route_id, resource_kind, tenant_id, env, project_id, before, after, rationale, "
    "request_id, previous_hash, hash"
)


@pytest.mark.parametrize(
    ("statements", "row"),
    [
        (["UPDATE routing_routechange SET actor = 'nobody' WHERE id = {2}"], 2),
        (["UPDATE routing_routechange SET rationale = 'because' WHERE id = {0}"], 0),
        (["UPDATE routing_routechange SET after = '{{}}' WHERE id = {1}"], 1),
        (["UPDATE routing_routechange SET at = '2020-01-01 00:00:00' WHERE id = {4}"], 4),
        (["DELETE FROM routing_routechange WHERE id = {2}"], 3),
        (["DELETE FROM routing_routechange WHERE id = {0}"], 1),
        (["UPDATE routing_routechange SET id = {4} + 1 WHERE id = {1}"], 2),
        (["DELETE FROM routing_routechange WHERE id >= {3}"], None),
        (["DELETE FROM routing_routechange"], None),
    ],
)
def test_a_forced_change_is_found_at_its_row(trail, statements, row):
    ids = [change.pk for change in trail]
    tamper(*(statement.format(*ids) for statement in statements))
    status = verify_chain()
    assert not status.ok
    assert status.first_broken == (None if row is None else ids[row])
    assert status.reason


def test_a_forged_row_at_the_end_is_found_even_with_a_good_hash(trail):
    other_id = "replace(change_id, substr(change_id, 1, 4), 'ffff')"
    if connection.vendor == "postgresql":
        other_id = "gen_random_uuid()"
    tamper(
        f"INSERT INTO routing_routechange (id, {COLUMNS}) "
        f"SELECT id + 1, {other_id}, {COLUMNS.partition(', ')[2]} "
        f"FROM routing_routechange WHERE id = {trail[-1].pk}"
    )
    assert not verify_chain().ok


def test_a_rewritten_chain_is_found_by_the_head_kept_elsewhere(trail):
    last = trail[-1]
    last.actor = "nobody"
    tamper(f"UPDATE routing_routechange SET actor = 'nobody', hash = '{row_hash(last)}' WHERE id = {last.pk}")
    assert verify_chain().first_broken == last.pk


def test_the_head_is_kept_with_the_snapshot_revision(trail):
    state = SnapshotRevision.objects.get()
    assert (state.audit_rows, state.audit_head) == (len(trail), trail[-1].hash)


def test_the_hash_does_not_depend_on_how_a_database_writes_numbers(trail):
    row = trail[0]
    row.after = {"b": [1.0, 2.5], "a": {"x": 1e20}}
    written = row_hash(row)
    row.after = {"a": {"x": 100000000000000000000}, "b": [1, 2.5]}
    assert row_hash(row) == written
