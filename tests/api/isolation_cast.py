"""What the isolation matrix needs: a world in which acme keeps secrets, requests made of the OpenAPI schema, and a full memory
of what the database and the stores held.

An operation that nobody here knows how to ask fails its test: add what is missing to FILLINGS or BODIES.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from django.apps import apps
from django.test import Client
from drf_spectacular.generators import SchemaGenerator

from analytics.budgets.policies import Terms
from analytics.budgets.reservations import reserve
from analytics.budgets.setting import Target, set_policy
from analytics.contracts.model import Rules
from analytics.contracts.saving import Draft, save_contract
from northstar.context import RequestContext
from routing.changes import (
    Cause,
    RouteDraft,
    RouteUpdate,
    create_route,
    lock_env,
    lock_route,
    unlock,
    update_route,
)
from routing.denials import ACCESS_DENIED
from routing.keys import SCOPES, issue_key, revoke_key
from routing.models import ApiKey, OutboxEntry, Route, RouteChange, SnapshotRevision, Tenant
from storage.kinds.events import NewEvent
from storage.kinds.metrics import NewValue
from storage.kinds.rules_rows import AnyRow, CalculationRule, Figure, Limit, Step, ValidationRule
from storage.kinds.rules_store import RulesStore
from storage.kinds.sessions import NewMessage
from storage.opening import open_store
from tests.conftest import CAUSE, TENANT_SCOPES, Api, filesystem_routes
from tests.media.pictures import png

CANARY = "acme-only-7d1f"
"""Stands in everything that acme keeps, and in no name."""


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


FILLINGS: dict[str, Callable[[World, str], Any]] = {
    "agent": lambda _world, _operation: "a1",
    "amount": lambda _world, _operation: "1",
    "backend_type": lambda _world, _operation: "filesystem",
    "batch_id": lambda _world, _operation: "b1",
    "by": lambda _world, _operation: "app",
    "config": lambda _world, _operation: {"n": 1},
    "content": lambda _world, _operation: "changed",
    "data": lambda _world, _operation: {"n": 1},
    "deltas": lambda _world, _operation: {"n": 1},
    "entry": lambda _world, _operation: {"n": 1},
    "field": lambda _world, _operation: "f1",
    "from_env": lambda _world, _operation: "dev",
    "key": lambda _world, _operation: "k1",
    "conversions": lambda _world, _operation: [{"at": "2026-11-20T12:00:00Z", "value": 1}],
    "lock_id": lambda world, _operation: world.ids["lock"],
    "media_id": lambda world, operation: world.media["upload" if operation == "complete_media" else "stored"],
    "model": lambda _world, _operation: {"name": "linear"},
    "platform": lambda _world, _operation: "google_ads",
    "metric": lambda _world, _operation: "tokens",
    "provider": lambda _world, _operation: "openai",
    "name": lambda _world, _operation: "m1",
    "plan_id": lambda _world, _operation: "p1",
    "reason": lambda _world, _operation: "audit",
    "reservation_id": lambda world, operation: world.reservations[operation],
    "resource_kind": lambda _world, _operation: "tabular_store",
    "result": lambda _world, _operation: {"n": 1},
    "revision": lambda _world, _operation: 1,
    "role": lambda _world, _operation: "user",
    "row_id": lambda world, _operation: world.row_id,
    "route_id": lambda world, operation: world.ids["locked" if operation == "routes_unlock" else "route"],
    "run_id": lambda _world, _operation: "run-1",
    "session_id": lambda _world, _operation: "s1",
    "rule_id": lambda _world, _operation: "r1",
    "state": lambda _world, _operation: {"n": 1},
    "step": lambda _world, _operation: 1,
    "stream_id": lambda _world, _operation: "s1",
    "table": lambda _world, _operation: "t1",
    "token": lambda world, operation: world.tokens[operation],
    "touches": lambda _world, _operation: [{"at": "2026-11-20T11:00:00Z"}],
    "value": lambda _world, _operation: 1,
    "type": lambda _world, _operation: "changed",
    "user_id": lambda _world, _operation: "ada",
    "year": lambda _world, _operation: 2025,
    "X-Key": lambda _world, _operation: "k1",
}
"""What to send for a name, wherever it stands: path, query, header, body."""

BODIES: dict[str, dict[str, Any]] = {
    "attribution": {"touches": [{"at": "2026-11-20T11:00:00Z"}]},
    "contracts_diff": {"version": "1.0.0", "start": "2026-11-20T00:00:00Z", "end": "2026-11-21T00:00:00Z"},
    "contracts_put": {"mode": "warn", "rules": {"fields": [{"field": "utm_source"}]}},
    "contracts_validate": {"utm": {"source": "google"}},
    "earlier_put_route": {"tier": "gold"},
    "ingest_records": {"payload": {"n": 1}},
    "promote_rules": {"reason": "audit", "revision": 1},
    "publish_rules": {"reason": "audit", "changes": [{"kind": "calculation", "rule_id": "r1"}]},
    "roll_back_rules": {"reason": "audit"},
    "routes_change": {"tier": "gold"},
    "routes_put": {"tier": "gold"},
    "routes_switch": {"config": {"base_dir": "elsewhere"}},
    "set_budget": {"hard_limit": "50"},
    "write_records": {"items": [{"key": "k1", "data": {"n": 2}}]},
}
"""What an operation's body must hold besides what its schema requires, so that the owner's request changes something."""


QUERIES: dict[str, dict[str, str]] = {"locks_release": {"env": "qa"}, "store_media": {"session_id": "s1"}}
"""What an operation's query must hold besides what its schema requires."""

NEEDED: dict[str, str] = dict.fromkeys(("presign_object", "earlier_nexus_presign"), "data:write")
"""The scope that the filled-in body needs, where that depends on the body."""

KEEPS_REFUSED = frozenset({"ingest_records"})
"""Operations that keep what they refuse, among the caller's own (tests/analytics/test_record_gates.py)."""

CHANGE_NOTHING = frozenset({*NEEDED, "attribution", "contracts_diff", "contracts_template", "contracts_validate"})
"""Operations that only hand out what allows a change, or only work something out."""

FORM = b'--edge\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nchanged\r\n--edge--\r\n'
FORM_TYPE = "multipart/form-data; boundary=edge"

LEFT_OUT: dict[Any, set[str]] = {
    ApiKey: {"last_used_at"},
    OutboxEntry: {"next_attempt_at"},
    SnapshotRevision: {"audit_rows", "audit_head"},
}
"""Fields that any request may write: when a key was last used, that a refusal was recorded, when to try again."""


@dataclass(frozen=True)
class Operation:
    """One operation of the schema. `scope` is what a key needs for it; empty when any key will do, or none is asked for."""

    method: str
    path: str
    described: dict[str, Any]
    components: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.described["operationId"])

    @property
    def scope(self) -> str:
        return NEEDED.get(self.name) or next(
            (scope for way in self.described["security"] for scope in way["apiKey"]), ""
        )

    @property
    def keyed(self) -> bool:
        """Whether it asks for a key. Where it does not, its address is the permission."""
        return bool(self.described["security"])

    @property
    def reads(self) -> bool:
        return self.method in {"GET", "HEAD"} or self.name in CHANGE_NOTHING

    def names(self, *names: str) -> set[str]:
        """Which of these names the query or the body of the operation has."""
        parameters = {parameter.get("name") for parameter in self._parameters("query")}
        return set(names) & (parameters | set(self._body_schema().get("properties", {})))

    def ask(
        self, api: Api, world: World, *, named: dict[str, str] | None = None, forged: bool = False, **headers: str
    ) -> Any:
        """Send the operation, naming acme's things. `named` are values for fields of the query or the body.

        `forged` changes what stands in its path.
        """
        values = {name: quote(str(self._value(world, name))) for name in _names(self._parameters("path"))}
        values = {name: value[:-2] + value[:-3:-1] + "x" if forged else value for name, value in values.items()}
        query = {name: self._value(world, name) for name in _names(self._parameters("query"), required=True)}
        query |= QUERIES.get(self.name, {})
        sent = {name: self._value(world, name) for name in _names(self._parameters("header"), required=True)}
        body = self._body(world)
        for name, value in (named or {}).items():
            (body if isinstance(body, dict) and name in self._body_schema().get("properties", {}) else query)[name] = (
                value
            )
        path = self.path.format(**values) + (f"?{urlencode(query)}" if query else "")
        chosen = {name.replace("_", "-"): value for name, value in headers.items()}
        content_type = FORM_TYPE if body == FORM else ""
        return api.request(self.method, path, body, content_type=content_type, headers={**sent, **chosen})

    def _parameters(self, place: str) -> list[dict[str, Any]]:
        return [one for one in self.described.get("parameters", []) if one.get("in") == place]

    def _value(self, world: World, name: str) -> Any:
        assert name in FILLINGS, f"{self.name}: say in FILLINGS what to send for {name}"
        return FILLINGS[name](world, self.name)

    def _body_schema(self) -> dict[str, Any]:
        content = self.described.get("requestBody", {}).get("content", {})
        return self._followed(content.get("application/json", {}).get("schema", {}))

    def _body(self, world: World) -> Any:
        content = self.described.get("requestBody", {}).get("content", {})
        if "application/json" in content:
            return {**self._filled(world, self._body_schema()), **BODIES.get(self.name, {})}
        if "multipart/form-data" in content:
            return FORM
        return b"changed" if content else None

    def _filled(self, world: World, schema: dict[str, Any]) -> dict[str, Any]:
        return {
            name: self._value(world, name)
            for name in schema.get("required", [])
            if name not in BODIES.get(self.name, {})
        }

    def _followed(self, schema: dict[str, Any]) -> dict[str, Any]:
        while True:
            if "$ref" in schema:
                schema = self.components[schema["$ref"].rpartition("/")[2]]
            elif options := schema.get("anyOf") or schema.get("oneOf"):
                schema = options[0]
            else:
                return schema


def _names(parameters: list[dict[str, Any]], *, required: bool = False) -> list[str]:
    return [one["name"] for one in parameters if one.get("required") or not required]


def operations() -> list[Operation]:
    """Every operation that the schema describes."""
    schema = SchemaGenerator().get_schema(request=None, public=True)
    components = schema["components"]["schemas"]
    return [
        Operation(method.upper(), path, described, components)
        for path, methods in schema["paths"].items()
        for method, described in methods.items()
    ]


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
    _keep_secrets()
    _presign(world)
    _budget(world)
    _records(world)
    return world


def prepare(world: World, operation: Operation) -> None:
    """Keep what only this operation is about, before anybody asks."""
    if "media" in operation.name:
        _keep_media(world)


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
    context = RequestContext(tenant_id="acme", env="dev", mode="lab", actor=CANARY)
    set_policy(context, Target("openai", "tokens", "tenant"), Terms(hard_limit="100"))
    for operation in ("get_reservation", "commit_reservation", "release_reservation", "top_up_reservation"):
        world.reservations[operation] = reserve(context, "openai", "tokens", "1").reservation_id


def _keep_secrets() -> None:
    context = RequestContext(tenant_id="acme", env="dev", mode="lab")
    _remember(context)
    open_store("event_stream", context).append("s1", [NewEvent("made", {"secret": CANARY})])
    open_store("tabular_store", context).upsert("t1", "k1", {"n": 1, "secret": CANARY})
    open_store("metrics_store", context).ingest("m1", [NewValue(1, source=CANARY)])
    _keep_rules(open_store("rules_store", context))
    open_store("object_store", context).put("k1", [CANARY.encode()], content_type="text/plain")
    rules = Rules.model_validate({"fields": [{"field": "utm_source", "hint": CANARY, "example": CANARY}]})
    save_contract(context, Draft(platform="google_ads", rules=rules, notes=CANARY), CAUSE)


def _remember(context: RequestContext) -> None:
    """Keep a session and a blackboard of nobody in particular, and of ada."""
    for user_id in (None, "ada"):
        memory = open_store("memory_store", replace(context, user_id=user_id))
        memory.sessions.append("s1", [NewMessage("user", CANARY)])
        memory.blackboards().put("k1", {"n": 1, "secret": CANARY})


def _keep_rules(rules: RulesStore) -> None:
    """Publish twice, so that there is a revision to go back to, and keep something of every other sort."""
    rows: list[AnyRow] = [
        Step(plan_id="p1", number=1, name="s1", agent="a1", description=CANARY),
        ValidationRule(field="f1", check="required", message=CANARY),
        CalculationRule(rule_id="r1", description=CANARY),
        Limit(year=2025, code="l1", figure=Figure(value=Decimal(1)), note=CANARY),
    ]
    rules.publish(rows, reason=CANARY)
    rules.publish([CalculationRule(rule_id="r1", description=f"{CANARY} 2")], reason=CANARY)
    rules.save_batch_state("b1", {"secret": CANARY})
    rules.save_processing_result("b1", 1, {"secret": CANARY})
    rules.append_audit_entry({"secret": CANARY})
    rules.save_agent_config("a1", {"secret": CANARY})


def _presign(world: World) -> None:
    """Hand out a URL for each method, and let an upload wait to be registered."""
    for method in ("GET", "PUT", "POST"):
        asked = Api(world.owner).post("storage/objects/presign", {"key": "k1", "method": method}).json()
        world.tokens[f"presigned_{method.lower()}"] = asked["url"].rpartition("/")[2]
        if method == "PUT":
            assert Client().generic("PUT", asked["url"], CANARY.encode()).status_code == 200


def _keep_media(world: World) -> None:
    """Keep a picture whose thumbnail was seen, and an upload that waits to be completed."""
    api = Api(world.owner)
    world.media["stored"] = api.post(f"media?session_id={CANARY}", png()).json()["media_id"]
    assert api.get(f"media/{world.media['stored']}/thumbnail").status_code == 200
    asked = api.post("media/presign", {"session_id": CANARY}).json()
    assert Client().generic("PUT", asked["url"], CANARY.encode()).status_code == 200
    world.media["upload"] = asked["media_id"]


def strangers(world: World, operation: Operation) -> dict[str, tuple[Api, dict[str, Any]]]:
    """Return who must be refused outright, by what they are: a client, and the options of its `ask`."""
    if not operation.keyed:
        return {"anybody with a forged address": (Api(""), {"forged": True})}
    tenant = {"X_Tenant_Id": "acme"}
    found: dict[str, tuple[Api, dict[str, Any]]] = {
        "another tenant that names acme": (_client(world.globex, TENANT_SCOPES), tenant),
        "an operator that may not act for tenants": (_client(world.system, TENANT_SCOPES), tenant),
        "no key": (Api(""), {}),
        "a made-up key": (Api("ns_abcdefghijkl_" + "0" * 64), {}),
        "a revoked key": (_revoked(world.acme), {}),
        "a key of another environment": (_client(world.acme, TENANT_SCOPES, envs=["prod"]), {}),
    }
    if operation.scope:
        rest = [scope for scope in TENANT_SCOPES if scope != operation.scope]
        found[f"a key without {operation.scope}"] = (_client(world.acme, rest), {})
    for name in sorted(operation.names("tenant_id", "tenant") if operation.name not in KEEPS_REFUSED else ()):
        found[f"another tenant with {name}=acme"] = (_client(world.globex, TENANT_SCOPES), {"named": {name: "acme"}})
    return found


def neighbours(world: World, operation: Operation) -> dict[str, tuple[Api, dict[str, str]]]:
    """Return who asks with a good key for itself, naming acme's ids of dev: a client, and its headers."""
    if not operation.keyed:
        return {}
    return {
        "another tenant": (_client(world.globex, TENANT_SCOPES), {}),
        "a key of prod, in prod": (_client(world.acme, TENANT_SCOPES, envs=["prod"]), {"X_Env": "prod"}),
        "the key of another tenant, for an operator's": (_client(world.system, TENANT_SCOPES), {}),
    }


def operator(world: World) -> Api:
    """A client with every scope there is."""
    return _client(world.system, SCOPES)


def _client(tenant: Tenant, scopes: Any, **limits: Any) -> Api:
    return Api(issue_key(tenant, "stranger", scopes, cause=CAUSE, **limits)[1])


def _revoked(tenant: Tenant) -> Api:
    key, token = issue_key(tenant, "revoked", TENANT_SCOPES, cause=CAUSE)
    revoke_key(key.key_id, CAUSE)
    return Api(token)


def told(answer: Any) -> bytes:
    """Return an answer's body, streamed or not, and its headers."""
    body = b"".join(answer.streaming_content) if answer.streaming else answer.content
    return body + repr(dict(answer.headers)).encode()


def memory(home: Path, *, of_acmes_dev: bool = False) -> dict[str, Any]:
    """Return everything that the database and the stores hold, or what of it is acme's in dev.

    Left out are rows that record refusals, and LEFT_OUT.
    """
    kept: dict[str, Any] = {str(path): path.read_bytes() for path in home.rglob("*") if path.is_file()}
    kept = {path: content for path, content in kept.items() if ".index" not in path}
    if of_acmes_dev:
        kept = {path: content for path, content in kept.items() if "/acme/dev/" in path}
    for model in apps.get_models():
        rows = [_row(model, row) for row in model._default_manager.order_by("pk").values()]
        kept[model.__name__] = [row for row in rows if row and (not of_acmes_dev or _is_acmes(row))]
    return kept


def _row(model: Any, row: dict[str, Any]) -> dict[str, Any] | None:
    if model is RouteChange and row["action"] == ACCESS_DENIED:
        return None
    return {name: value for name, value in row.items() if name not in LEFT_OUT.get(model, ())}


def _is_acmes(row: dict[str, Any]) -> bool:
    return "acme" in {row.get("tenant_id"), row.get("tenant")} and row.get("env", "dev") in {"dev", ""}
