"""The world of the isolation matrix: two tenants that have the same things, and acme's hold a canary.

What only some operations are about is kept when one of them is asked for: `prepare`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal

from django.test import Client

from analytics.budgets.policies import Terms
from analytics.budgets.reservations import reserve
from analytics.budgets.setting import Target, set_policy
from analytics.contracts.model import Rules
from analytics.contracts.saving import Draft, save_contract
from northstar.context import RequestContext
from routing.changes import Cause, RouteDraft, RouteUpdate, create_route, lock_env, lock_route, unlock, update_route
from routing.keys import issue_key
from routing.models import Route, Tenant
from storage.kinds.events import NewEvent
from storage.kinds.metrics import NewValue
from storage.kinds.rules_rows import AnyRow, CalculationRule, Figure, Limit, Step, ValidationRule
from storage.kinds.sessions import NewMessage
from storage.opening import open_store
from tests.conftest import CAUSE, TENANT_SCOPES, Api, filesystem_routes
from tests.media.pictures import png

CANARY = "acme-only-7d1f"
"""Stands in everything that acme keeps, and in no name."""

CONTEXT = RequestContext(tenant_id="acme", env="dev", mode="lab")


@dataclass
class World:
    """Two tenants that have the same things; acme's route was switched once, and one of its routes is locked."""

    acme: Tenant
    globex: Tenant
    system: Tenant
    owner: str
    ids: dict[str, int] = field(default_factory=dict)
    row_id: str = ""
    """Of a record."""
    tokens: dict[str, str] = field(default_factory=dict)
    """Of presigned URLs, by the operation that they allow."""
    media: dict[str, str] = field(default_factory=dict)
    """Ids of a media output, and of one whose upload has come."""
    reservations: dict[str, str] = field(default_factory=dict)
    """One that is held for each operation on one."""


def build_world(acme: Tenant, globex: Tenant, system: Tenant) -> World:
    """Give both tenants routes in two environments, and acme what nobody else may see."""
    owner, token = issue_key(acme, "owner", TENANT_SCOPES, cause=CAUSE)
    world = World(acme, globex, system, token)
    for tenant in (acme, globex):
        for env in ("dev", "prod"):
            filesystem_routes(tenant, env)
    cause = Cause(f"key:{owner.key_id}", rationale=CANARY)
    route = Route.objects.get(tenant=acme, env="dev", resource_kind="tabular_store")
    world.ids["route"] = update_route(route.pk, RouteUpdate(cost_notes=CANARY), cause).pk
    locked = RouteDraft(
        resource_kind="tabular_store",
        tenant_id="acme",
        project_id="frozen",
        backend_type="filesystem",
        cost_notes=CANARY,
    )
    world.ids["locked"] = create_route(locked, cause).pk
    lock_route(world.ids["locked"], reason=CANARY, until=None, cause=cause)
    world.ids["lock"] = lock_env("acme", "qa", reason=CANARY, until=None, cause=cause).pk
    return world


def prepare(world: World, operation: str, path: str) -> None:
    """Keep what the operation is about, before anybody asks."""
    for part, keep in KEPT.items():
        if part in f"{path} {operation}":
            keep(world)


def _records(world: World) -> None:
    """Take in a record, and one that a lock refused and that may come in now."""
    client = Api(world.owner)
    record = {"run_id": "run-1", "app": CANARY, "payload": CANARY}
    world.row_id = client.post("analytics/records", record).json()["row_id"]
    lock = lock_env("acme", "dev", reason=CANARY, until=None, cause=CAUSE, holds_ingest=True)
    assert client.post("analytics/records", record).status_code == 423
    unlock(lock.pk, CAUSE)


def _budget(world: World) -> None:
    """Give acme a budget whose writer is named as a secret, and reservations of it."""
    context = replace(CONTEXT, actor=CANARY)
    set_policy(context, Target("openai", "tokens", "tenant"), Terms(hard_limit="100"))
    for operation in ("get_reservation", "commit_reservation", "release_reservation", "top_up_reservation"):
        world.reservations[operation] = reserve(context, "openai", "tokens", "1").reservation_id


def _stream(_: World) -> None:
    open_store("event_stream", CONTEXT).append("s1", [NewEvent("made", {"secret": CANARY})])


def _table(_: World) -> None:
    open_store("tabular_store", CONTEXT).upsert("t1", "k1", {"n": 1, "secret": CANARY})


def _metric(_: World) -> None:
    open_store("metrics_store", CONTEXT).ingest("m1", [NewValue(1, source=CANARY)])


def _contract(_: World) -> None:
    rules = Rules.model_validate({"fields": [{"field": "utm_source", "hint": CANARY, "example": CANARY}]})
    save_contract(CONTEXT, Draft(platform="google_ads", rules=rules, notes=CANARY), CAUSE)


def _memory(_: World) -> None:
    """Keep a session and a blackboard of nobody in particular, and of ada."""
    for user_id in (None, "ada"):
        memory = open_store("memory_store", replace(CONTEXT, user_id=user_id))
        memory.sessions.append("s1", [NewMessage("user", CANARY)])
        memory.blackboards().put("k1", {"n": 1, "secret": CANARY})


def _rules(_: World) -> None:
    """Publish twice, so that there is a revision to go back to, and keep something of every other sort."""
    rows: list[AnyRow] = [
        Step(plan_id="p1", number=1, name="s1", agent="a1", description=CANARY),
        ValidationRule(field="f1", check="required", message=CANARY),
        CalculationRule(rule_id="r1", description=CANARY),
        Limit(year=2025, code="l1", figure=Figure(value=Decimal(1)), note=CANARY),
    ]
    rules = open_store("rules_store", CONTEXT)
    rules.publish(rows, reason=CANARY)
    rules.publish([CalculationRule(rule_id="r1", description=f"{CANARY} 2")], reason=CANARY)
    rules.save_batch_state("b1", {"secret": CANARY})
    rules.save_processing_result("b1", 1, {"secret": CANARY})
    rules.append_audit_entry({"secret": CANARY})
    rules.save_agent_config("a1", {"secret": CANARY})


def _object(_: World) -> None:
    open_store("object_store", CONTEXT).put("k1", [CANARY.encode()], content_type="text/plain")


def _presign(world: World) -> None:
    """Hand out a URL for each method of an object, and let an upload wait to be registered."""
    _object(world)
    for method in ("GET", "PUT", "POST"):
        asked = Api(world.owner).post("storage/objects/presign", {"key": "k1", "method": method}).json()
        world.tokens[f"presigned_{method.lower()}"] = asked["url"].rpartition("/")[2]
        if method == "PUT":
            assert Client().generic("PUT", asked["url"], CANARY.encode()).status_code == 200


def _media(world: World) -> None:
    """Keep a picture whose thumbnail was seen, and an upload that waits to be completed."""
    api = Api(world.owner)
    world.media["stored"] = api.post(f"media?session_id={CANARY}", png()).json()["media_id"]
    assert api.get(f"media/{world.media['stored']}/thumbnail").status_code == 200
    asked = api.post("media/presign", {"session_id": CANARY}).json()
    assert Client().generic("PUT", asked["url"], CANARY.encode()).status_code == 200
    world.media["upload"] = asked["media_id"]


KEPT: dict[str, Callable[[World], None]] = {
    "stream": _stream,
    "timeline": _stream,
    "tab": _table,
    "metrics": _metric,
    "objects": _object,
    "raw": _object,
    "presign": _presign,
    "register": _presign,
    "sessions": _memory,
    "blackboards": _memory,
    "users": _memory,
    "rules": _rules,
    "media": _media,
    "budgets": _budget,
    "analytics/contracts": _contract,
    "analytics/r": _records,
    "analytics/summary": _records,
    "analytics/counters": _records,
    "analytics/attribution": _records,
}
"""What to keep, by what stands in the path or the name of an operation that is about it."""
