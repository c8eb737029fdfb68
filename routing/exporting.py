"""Routes as a file says them: bodies of POST /routing/routes, in which every secret is a reference.

A secret that is sealed here stands in a file as the reference to a variable that somebody has to set where the file is imported.
"""

import re
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any, Final

from pydantic import ValidationError

from northstar.errors import InvalidConfig
from routing.models import Route
from storage.config import MASK, REFERENCE_ENV_PREFIX, SecretReference

EXPORTED: Final = (
    "resource_kind",
    "tenant_id",
    "env",
    "project_id",
    "backend_type",
    "config",
    "tier",
    "cost_notes",
    "enabled",
)
NAME_LENGTH: Final = 100
"""Of a reference's variable, without the prefix."""
_TELLING: Final = re.compile(r"[a-z0-9]+(_[a-z0-9]+)*")
"""A name that capitals and double underscores between names leave unmistakable."""

RouteKey = tuple[str, str, str, str | None]


def export_routes(tenant_id: str | None = None) -> Iterator[dict[str, Any]]:
    """Yield the routes of a tenant, or of all, in the order of their keys. The same routes make the same file."""
    order = ("tenant_id", "env", "resource_kind", "project_id")
    rows = Route.objects.order_by(*order)
    for route in rows.filter(tenant=tenant_id) if tenant_id else rows:
        body = {name: getattr(route, name) for name in EXPORTED}
        yield {**body, "config": _with_placeholders(route)}


def placeholder(key: RouteKey, field: str) -> dict[str, str]:
    """Return the reference that stands for a sealed secret: `NORTHSTAR_SECRET_ACME__DEV__TABULAR_STORE__KEY`, say.

    No two fields of any two routes have the same one.
    """
    kind, tenant, env, project = key
    parts = [tenant, env, *([project] if project else []), kind, field]
    name = re.sub(r"[^A-Z0-9]", "_", "__".join(parts).upper())
    if len(name) > NAME_LENGTH or not all(map(_TELLING.fullmatch, parts)):
        digest = sha256("\n".join(parts).encode()).hexdigest()[:12].upper()
        name = f"{name[: NAME_LENGTH - len(digest) - 2]}__{digest}"
    return {"$secret": f"env:{REFERENCE_ENV_PREFIX}{name}"}


def keep_sealed(key: RouteKey, backend_type: str, config: Mapping[str, Any], stored: Route | None) -> dict[str, Any]:
    """Return an imported config in which a placeholder that nobody has set means the secret that is sealed here already."""
    sealed = stored.config if stored and stored.backend_type == backend_type.lower() else {}
    return {
        name: MASK if sealed.get(name) == MASK and value == placeholder(key, name) and _unset(value) else value
        for name, value in config.items()
    }


def unset_references(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what to do about each reference of a config that leads nowhere on this machine."""
    missing = [str(value["$secret"]) for value in config.values() if _unset(value)]
    return tuple(f"Set the secret {name} where the server runs: it is not set here." for name in missing)


def _with_placeholders(route: Route) -> dict[str, Any]:
    key = (route.resource_kind, route.tenant_id, route.env, route.project_id)
    return {name: placeholder(key, name) if value == MASK else value for name, value in route.config.items()}


def _unset(value: Any) -> bool:
    """Whether a value is a reference that cannot be resolved here."""
    if not isinstance(value, dict) or set(value) != {"$secret"}:
        return False
    try:
        SecretReference.model_validate(value).resolve()
    except ValidationError:
        return False  # whoever checks the config says so
    except InvalidConfig:
        return True
    return False
