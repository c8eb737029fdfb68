"""Control-plane events reach both streams, once each, whatever fails on the way."""

import threading
from dataclasses import replace

import pytest
from django.db import transaction

from northstar.errors import InvalidRequest
from routing.admission import CONFIG_BYTES, NOTES_CHARACTERS, TIER_CHARACTERS
from routing.changes import RouteUpdate, create_route, delete_route, update_route
from routing.models import OutboxEntry, RouteChange
from routing.operations.mirror import mirror_changes
from routing.operations.relay import Relay, relay_outbox
from routing.resolve import snapshot
from routing.signals import route_changed
from storage.kinds.events import events_appended
from storage.opening import close_adapters, open_store
from tests.routing.conftest import CAUSE, context, draft
from tests.routing.vault import CANARY


def stream_route(tenant: str, env: str = "dev"):
    return create_route(draft(tenant, "event_stream", env=env, backend_type="filesystem", config={}), CAUSE)


def events(tenant: str, stream: str, env: str = "dev") -> list:
    return list(open_store("event_stream", context(tenant, env)).list_after(stream, 0, 100).events)


def waiting() -> int:
    return OutboxEntry.objects.filter(delivered_at=None).count()


def due() -> None:
    """Let every entry that failed be tried again now."""
    OutboxEntry.objects.filter(delivered_at=None).update(next_attempt_at=RouteChange.objects.first().at)


@pytest.fixture
def streams(acme, system) -> None:
    stream_route("t_system")
    stream_route("acme")
    relay_outbox()


def test_every_change_appears_once_on_both_streams_in_order(streams):
    route = create_route(draft(), CAUSE)
    update_route(route.pk, RouteUpdate(config={"place": "there"}), CAUSE)
    delete_route(route.pk, CAUSE)
    assert relay_outbox().delivered == 6
    expected = ["ROUTE_CREATED", "ROUTE_BACKEND_SWITCHED", "ROUTE_DELETED"]
    assert [event.type for event in events("acme", "tenant_timeline")][-3:] == expected
    assert [event.type for event in events("t_system", "routing")][-3:] == expected
    assert waiting() == 0


def test_an_event_tells_what_changed_without_secrets(streams):
    create_route(draft(config={"place": "here", "password": CANARY}), CAUSE)
    relay_outbox()
    event = events("acme", "tenant_timeline")[-1]
    change = RouteChange.objects.first()
    assert (event.event_id, event.data["actor"], event.ts) == (str(change.change_id), "user:alice", change.at)
    assert event.data["after"]["config"] == {"place": "here", "password": "****"}
    assert CANARY not in repr(event)


def test_without_an_event_route_events_wait_and_say_why(acme, globex, system):
    create_route(draft(), CAUSE)
    stream_route("globex")
    report = relay_outbox()
    assert (report.delivered, report.waiting) == (1, 3)
    entry = OutboxEntry.objects.get(tenant_id="acme")
    assert (entry.attempts, entry.delivered_at) == (1, None)
    assert entry.last_error.startswith("NO_ROUTE_CONFIGURED: No route configured for event_stream in acme/dev.")
    assert [event.type for event in events("globex", "tenant_timeline")] == ["ROUTE_CREATED"]


def test_an_entry_that_failed_is_not_tried_at_every_turn(acme):
    create_route(draft(), CAUSE)
    relay_outbox()
    relay_outbox()
    assert set(OutboxEntry.objects.values_list("attempts", flat=True)) == {1}


def test_relay_and_changes_write_no_rows_in_bulk_so_that_they_never_wait_in_a_circle(acme):
    route = create_route(draft(), CAUSE)
    for tier in ("x", "y", "z"):
        update_route(route.pk, RouteUpdate(tier=tier), CAUSE)
    mine = OutboxEntry.objects.filter(tenant_id="acme").order_by("id")
    later = list(mine.values())[1:]
    for _ in range(2):
        relay_outbox()
    update_route(route.pk, RouteUpdate(tier="again"), CAUSE)
    assert list(mine.values())[1:-1] == later
    assert mine[0].next_attempt_at > later[-1]["next_attempt_at"]  # the first is tried again at once
    relay_outbox()
    assert list(mine.values_list("attempts", flat=True)) == [2, 0, 0, 0, 0]


def test_the_route_that_was_missing_brings_the_waiting_events_at_once_and_in_order(acme, system):
    stream_route("t_system")
    route = create_route(draft(), CAUSE)
    update_route(route.pk, RouteUpdate(tier="x"), CAUSE)
    relay_outbox()
    stream_route("acme")
    relay_outbox()
    types = [event.type for event in events("acme", "tenant_timeline")]
    assert types == ["ROUTE_CREATED", "ROUTE_UPDATED", "ROUTE_CREATED"]
    assert waiting() == 0


def test_system_events_of_every_env_go_to_dev_when_it_has_a_stream_there(acme, system):
    stream_route("t_system")
    create_route(draft(env="prod"), CAUSE)
    relay_outbox()
    assert "prod" in {event.data["env"] for event in events("t_system", "routing")}


def test_system_events_go_to_the_routes_env_otherwise(acme, system):
    stream_route("t_system", "prod")
    create_route(draft(env="prod"), CAUSE)
    relay_outbox()
    assert len(events("t_system", "routing", "prod")) == 2


def test_an_event_delivered_but_not_marked_appears_once(streams):
    create_route(draft(), CAUSE)
    relay_outbox()
    before = len(events("acme", "tenant_timeline"))
    OutboxEntry.objects.update(delivered_at=None)
    relay_outbox()
    assert len(events("acme", "tenant_timeline")) == before


@pytest.mark.parametrize("character", ["\U0001f600", '"', "\x01"])
def test_the_longest_texts_that_a_change_may_hold_fit_into_its_event_and_into_the_registry(streams, character):
    create_route(draft("t_system", "routing_registry_store", backend_type="filesystem", config={}), CAUSE)
    longest = character * NOTES_CHARACTERS
    cause = replace(CAUSE, rationale=longest)
    secret = "s" * (CONFIG_BYTES - 100)
    route = create_route(draft(config={"place": "here", "password": secret}, cost_notes=longest), cause)
    update_route(route.pk, RouteUpdate(config={"place": "there"}, cost_notes=longest[1:]), cause)
    assert (relay_outbox().waiting, mirror_changes().waiting) == (0, 0)


@pytest.mark.parametrize(
    "too_long",
    [
        {"tier": "t" * (TIER_CHARACTERS + 1)},
        {"cost_notes": "n" * (NOTES_CHARACTERS + 1)},
        {"config": {"place": "here", "password": "s" * CONFIG_BYTES}},
    ],
)
def test_what_no_event_or_registry_could_hold_is_refused_before_it_holds_up_all_others(acme, too_long):
    with pytest.raises(InvalidRequest, match="too large") as refused:
        create_route(draft(**too_long), CAUSE)
    assert [error.field for error in refused.value.errors] == [next(iter(too_long))]
    with pytest.raises(InvalidRequest, match="rationale"):
        create_route(draft(), replace(CAUSE, rationale="r" * 20_000))


def test_a_limit_leaves_the_rest_for_the_next_turn(streams):
    for env in ("a", "b", "c"):
        create_route(draft(env=env), CAUSE)
    assert relay_outbox(limit=2).delivered == 2
    assert waiting() > 0


def test_a_backend_that_is_down_loses_nothing(streams, lab):
    close_adapters()  # a driver that has its files open would not notice
    moved = lab / "event_stream"
    moved.rename(lab / "elsewhere")
    moved.write_text("a file where the folder should be")
    create_route(draft(), CAUSE)
    relay_outbox()
    assert waiting() == 2
    moved.unlink()
    close_adapters()
    (lab / "elsewhere").rename(moved)
    due()
    relay_outbox()
    assert waiting() == 0


def test_the_relay_thread_wakes_when_a_change_is_committed(own_database, acme, system):
    stream_route("t_system")
    stream_route("acme")
    relay_outbox()
    delivered = threading.Semaphore(0)

    def count(**_signal):
        delivered.release()

    events_appended.connect(count)
    relay = Relay()
    relay.start()
    try:
        create_route(draft(), CAUSE)
        assert all(delivered.acquire(timeout=20) for _ in range(2))
    finally:
        relay.stop()
        events_appended.disconnect(count)
    assert waiting() == 0


def test_nothing_is_announced_before_it_is_committed(acme):
    heard = []

    def hear(change, **_signal):
        heard.append(change)

    route_changed.connect(hear)
    try:
        with transaction.atomic():
            create_route(draft(), CAUSE)
            assert heard == []
    finally:
        route_changed.disconnect(hear)
    assert snapshot().revision > 0
