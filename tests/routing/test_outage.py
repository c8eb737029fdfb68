"""A backend that is away for hours: changes go on, nothing is lost, attempts grow rare, and everything catches up in order."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from routing.changes import RouteUpdate, create_route, delete_route, update_route
from routing.entries import RouteData, data_of
from routing.models import Route, RouteChange
from routing.operations.mirror import mirror_changes
from routing.operations.pauses import FIRST_PAUSE, LONGEST_PAUSE
from routing.operations.registry import open_registry
from routing.operations.relay import relay_outbox
from routing.operations.relay_state import relay_state
from routing.operations.verification import verify_trail
from routing.preparation import prepare_routes
from storage.kinds.routing_registry_store import route_name
from storage.opening import open_store
from tests.routing.conftest import CAUSE, context, draft
from tests.stack.fault_proxy import FaultProxy, fault_proxy

HOURS = 3


@pytest.fixture
def proxy(aws_account, settings) -> Iterator[FaultProxy]:
    with fault_proxy(aws_account.endpoint.removeprefix("http://")) as running:
        settings.NORTHSTAR_ALLOWED_ENDPOINTS = [*settings.NORTHSTAR_ALLOWED_ENDPOINTS, running.url]
        yield running


@pytest.fixture
def cloud(proxy: FaultProxy, aws_account, acme, system) -> FaultProxy:
    """The registry and both event streams are on DynamoDB, behind the proxy."""
    keys = {"access_key_id": aws_account.access_key, "secret_access_key": aws_account.secret_key}
    config = {"region": aws_account.region, "endpoint": proxy.url, **keys}
    for tenant, kind in (
        ("t_system", "routing_registry_store"),
        ("t_system", "event_stream"),
        ("acme", "event_stream"),
    ):
        create_route(draft(tenant, kind, backend_type="dynamodb", config=config), CAUSE)
    assert all(prepared.error is None for prepared in prepare_routes())
    assert relay_everything() == 0
    return proxy


def relay_everything() -> int:
    """Let the relay run until it gets no further, and return how much waits."""
    while relay_outbox().delivered or mirror_changes().mirrored:
        pass
    return sum(destination.waiting for destination in relay_state())


def change_something(number: int) -> None:
    route = create_route(draft(project_id=f"p{number}"), CAUSE)
    update_route(route.pk, RouteUpdate(tier=f"t{number}"), CAUSE)
    if number % 2:
        delete_route(route.pk, CAUSE)


def events(tenant: str, stream: str) -> list:
    return list(open_store("event_stream", context(tenant)).list_after(stream, 0, 1000).events)


def test_an_outage_of_hours_loses_nothing_and_holds_nothing_up_for_long(cloud):
    cloud.refuse()
    tries = []
    with time_machine.travel(datetime.now(UTC)) as clock:
        end = datetime.now(UTC) + timedelta(hours=HOURS)
        number = 0
        while datetime.now(UTC) < end:
            number += 1
            change_something(number)
            relay_outbox()
            mirror_changes()
            waits = [state.next_attempt_at - datetime.now(UTC) for state in relay_state() if state.next_attempt_at]
            tries.append((max(waits), max(state.attempts for state in relay_state())))
            clock.shift(max(waits) + timedelta(seconds=1) if number < 5 else timedelta(hours=1))
        assert all(state.waiting and state.last_error.startswith("BACKEND_UNAVAILABLE") for state in relay_state())
        assert max(state.lag() for state in relay_state()) >= timedelta(hours=HOURS)
        cloud.clear()
        assert relay_everything() == 0
    assert [attempts for _, attempts in tries] == list(range(1, number + 1))
    assert tries[0][0] <= FIRST_PAUSE
    assert max(pause for pause, _ in tries) <= LONGEST_PAUSE
    for tenant, stream in (("t_system", "routing"), ("acme", "tenant_timeline")):
        ids = [event.event_id for event in events(tenant, stream)]
        owed = RouteChange.objects.filter(action__startswith="ROUTE_", tenant_id__in=[tenant, "acme"]).order_by("id")
        assert ids[-3:] == [str(change.change_id) for change in owed][-3:]
        assert len(ids) == len(set(ids))
    mirrored = {entry.name: entry.data for entry in open_registry().load_all()}
    assert list(mirrored.values()) == [
        data_of(RouteData, route) for route in sorted(Route.objects.all(), key=route_key)
    ]
    assert verify_trail().anchored == RouteChange.objects.count()


def route_key(route: Route) -> bytes:
    return route_name(route.resource_kind, route.tenant_id, route.env, route.project_id).encode()


def test_a_lost_answer_leaves_neither_an_event_nor_an_entry_twice_or_out(cloud):
    cloud.lose_responses(0.3, seed=7)
    for number in range(6):
        change_something(number)
        relay_outbox()
        mirror_changes()
    cloud.clear()
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=5)):
        assert relay_everything() == 0
    ids = [event.event_id for event in events("acme", "tenant_timeline")]
    assert (
        len(ids) == len(set(ids)) == RouteChange.objects.filter(tenant_id="acme", action__startswith="ROUTE_").count()
    )
    assert {entry.name for entry in open_registry().load_all()} == {
        route_key(route).decode() for route in Route.objects.all()
    }
