"""What the isolation matrix needs: requests made of the OpenAPI schema, those who ask, and a full memory of what the database and
the stores held.

An operation that nobody here knows how to ask fails its test: add what is missing to `isolation_fillings`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from django.apps import apps
from drf_spectacular.generators import SchemaGenerator

from routing.denials import ACCESS_DENIED
from routing.keys import SCOPES, issue_key, revoke_key
from routing.models import ApiKey, OutboxEntry, RouteChange, SnapshotRevision, Tenant
from tests.api.isolation_fillings import BODIES, CHANGE_NOTHING, FILLINGS, KEEPS_REFUSED, NEEDED, QUERIES
from tests.api.isolation_world import World
from tests.conftest import CAUSE, TENANT_SCOPES, Api

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
