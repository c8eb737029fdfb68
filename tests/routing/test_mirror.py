"""The routing registry mirrors what changed: in order, through outages, and never over anything newer or another's."""

import pytest

from routing.changes import (
    RouteUpdate,
    create_route,
    create_tenant,
    delete_route,
    reseal_routes,
    set_alias,
    update_route,
    update_tenant,
)
from routing.entries import RouteData, data_of
from routing.keys import issue_key
from routing.models import Route, RouteChange
from routing.operations.mirror import mirror_changes, mirror_state
from routing.operations.registry import open_registry
from routing.operations.relay_state import relay_state
from routing.operations.verification import verify_trail
from storage.documents import Ref
from storage.kinds.routing_registry_store import ALIASES, COLLECTION, HEAD, TENANTS, TRAIL, Anchor
from tests.routing.conftest import CAUSE, draft
from tests.routing.vault import CANARY


def registry_route(**config):
    return create_route(draft("t_system", "routing_registry_store", backend_type="filesystem", config=config), CAUSE)


def mirrored() -> dict[str, dict]:
    return {entry.name: dict(entry.data or {}) for entry in open_registry().load_all()}


def newest() -> Anchor:
    row = RouteChange.objects.first()
    return Anchor(row.pk, row.hash)


def waiting() -> int:
    (registry, *_) = relay_state()
    return registry.waiting


@pytest.fixture
def registry(acme, system) -> None:
    registry_route()
    mirror_changes()


def test_a_route_is_mirrored_whole_but_for_its_local_id(registry):
    route = create_route(draft(config={"place": "here", "password": CANARY}, tier="pro"), CAUSE)
    update_route(route.pk, RouteUpdate(config={"place": "there", "pool": 9}), CAUSE)
    assert mirror_changes().waiting == 0
    entry = mirrored()["tabular_store#acme#dev"]
    stored = Route.objects.get(pk=route.pk)
    assert entry == data_of(RouteData, stored)
    assert set(entry) == {field.attname for field in Route._meta.fields} - {"id"}


def test_secrets_are_mirrored_sealed_and_never_clear(registry, lab):
    create_route(draft(config={"place": "here", "password": CANARY}), CAUSE)
    mirror_changes()
    entry = mirrored()["tabular_store#acme#dev"]
    assert entry["sealed_secrets"].startswith("k1.")
    assert entry["config"]["password"] == "****"
    files = [path for path in (lab / "routing_registry_store").rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if CANARY.encode() in path.read_bytes()]


def test_secrets_sealed_anew_are_mirrored_too(registry, settings):
    create_route(draft(config={"place": "here", "password": CANARY}), CAUSE)
    mirror_changes()
    settings.NORTHSTAR_ENCRYPTION_KEYS = {"k2": b"2" * 32, "k1": b"1" * 32}
    reseal_routes(CAUSE)
    mirror_changes()
    assert mirrored()["tabular_store#acme#dev"]["sealed_secrets"].startswith("k2.")


def test_tenants_aliases_and_deletions_are_mirrored(registry):
    route = create_route(draft(), CAUSE)
    update_tenant("acme", CAUSE, name="Acme Ltd", mode="enterprise")
    set_alias("SHOP²", "shop2", CAUSE)
    delete_route(route.pk, CAUSE)
    mirror_changes()
    tenants = {entry.name: entry.data for entry in open_registry().load_all(TENANTS)}
    assert tenants["acme"] == {"tenant_id": "acme", "name": "Acme Ltd", "mode": "enterprise"}
    assert {entry.name: entry.data for entry in open_registry().load_all(ALIASES)} == {
        "SHOP²": {"alias": "SHOP²", "canonical": "shop2"}
    }
    assert set(mirrored()) == {"routing_registry_store#t_system#dev"}


def test_every_audit_row_is_anchored_also_those_that_change_no_route(registry):
    issue_key("acme", "a key", ["data:read"], cause=CAUSE)
    assert mirror_changes().waiting == 0
    assert open_registry().trail().newest == newest()


def test_without_a_registry_changes_wait_and_say_why(acme, system):
    create_route(draft(), CAUSE)
    assert mirror_changes().waiting == RouteChange.objects.count()
    (registry, *_) = relay_state()
    assert registry.last_error.startswith(
        "NO_ROUTE_CONFIGURED: No route configured for routing_registry_store in t_system/dev."
    )
    assert registry.oldest == RouteChange.objects.last().at


def test_the_route_that_was_missing_brings_everything_at_once(acme, system):
    create_route(draft(), CAUSE)
    mirror_changes()
    registry_route()
    assert mirror_changes().waiting == 0
    assert set(mirrored()) == {"tabular_store#acme#dev", "routing_registry_store#t_system#dev"}


def test_a_registry_in_a_new_place_is_filled_from_the_beginning(registry):
    create_route(draft(), CAUSE)
    mirror_changes()
    before = mirrored()
    route = Route.objects.get(resource_kind="routing_registry_store")
    update_route(route.pk, RouteUpdate(config={"base_dir": "elsewhere"}), CAUSE)
    mirror_changes()
    assert set(mirrored()) == set(before)


def test_a_registry_that_missed_changes_catches_up_when_it_comes_back(registry):
    route = Route.objects.get(resource_kind="routing_registry_store")
    update_route(route.pk, RouteUpdate(config={"base_dir": "elsewhere"}), CAUSE)
    mirror_changes()
    missed = create_route(draft(), CAUSE)
    mirror_changes()
    update_route(route.pk, RouteUpdate(config={}), CAUSE)
    assert mirror_changes().mirrored > 1
    assert mirrored()["tabular_store#acme#dev"] == data_of(RouteData, missed)


def test_a_backlog_is_mirrored_in_parts(registry):
    for env in "abcdef":
        create_route(draft(env=env), CAUSE)
    for _ in range(300):
        update_tenant("acme", CAUSE, name=str(RouteChange.objects.count()))
    assert mirror_changes(limit=100).waiting > 0
    while waiting():
        assert mirror_changes(limit=100).mirrored
    assert open_registry().trail().newest == newest()


def test_a_registry_of_another_database_is_never_written_over(registry):
    create_route(draft(), CAUSE)
    mirror_changes()
    before, trail = mirrored(), open_registry().trail()
    registry = open_registry()
    registry.keep_trail(trail.moved_on(Anchor(700, "a" * 64)))
    create_tenant("initech", "Initech", "saas", CAUSE)
    assert mirror_changes().mirrored == 0
    (state, *_) = relay_state()
    assert state.last_error.startswith("CONFLICT: The routing registry mirrors another audit trail")
    assert (mirrored(), open_registry().trail().newest.number) == (before, 700)


@pytest.mark.parametrize("damaged", [{}, {"newest": {"number": 1}, "earlier": [], "resumed": None}, {"newest": 7}])
def test_a_damaged_trail_of_the_registry_is_told_and_ends_no_thread(registry, damaged):
    open_registry()._documents.put(Ref(COLLECTION, (TRAIL,), HEAD), damaged)
    create_route(draft(), CAUSE)
    assert mirror_changes().waiting == 1
    assert "was damaged" in mirror_state().last_error
    assert "was damaged" in verify_trail().reason
