"""May this route be saved? The same questions for every way in: backend known, allowed in the mode, able, well configured."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from northstar.errors import FieldError, InvalidConfig, InvalidRequest
from routing.configs import keep_secrets, known_backend, parse_config
from routing.models import Route, Tenant
from routing.patterns import ENV_PATTERN, IDENTIFIER_PATTERN
from routing.policy import refuse_embedded
from routing.sealing import route_scope, unseal
from storage.config import MASK, BackendConfig
from storage.registry import EMBEDDED, backends_for, driver_class, kind_named

TIER_CHARACTERS: Final = 64
NOTES_CHARACTERS: Final = 10_000
CONFIG_BYTES: Final = 16 * 1024
"""Of a config as JSON, with its secrets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteDraft:
    """A route as asked for: its four-part key and everything that a writer decides."""

    resource_kind: str
    tenant_id: str
    backend_type: str
    env: str = "dev"
    project_id: str | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    tier: str = ""
    cost_notes: str = ""
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Admitted:
    """A draft that may be saved: its backend's canonical name and its typed config, stored secrets filled in."""

    backend_type: str
    config: BackendConfig


def admit(draft: RouteDraft, tenant: Tenant, stored: Route | None) -> Admitted:
    """Check a draft against everything that could stop it later, before anything is written.

    Raises InvalidRequest (unknown kind, bad env or project, texts too long), UnsupportedBackend, ForbiddenBackendClass,
    BackendNotImplemented, InvalidConfig or ForbiddenEndpoint.
    """
    _check_key(draft)
    _check_sizes(draft)
    mode = tenant.effective_mode
    backend_type = check_backend(draft.resource_kind, draft.backend_type, mode)
    config = parse_config(
        draft.resource_kind, backend_type, complete_config(draft.resource_kind, backend_type, draft.config, stored)
    )
    # A driver opens nothing before it is used, and refuses what its mode does not allow.
    driver_class(draft.resource_kind, backend_type)(config, mode=mode, epoch=0).close()
    return Admitted(backend_type, config)


def check_backend(resource_kind: str, backend_type: str, mode: str) -> str:
    """Return the backend's canonical name if it may serve the kind in this mode, whatever its config.

    Raises UnsupportedBackend, ForbiddenBackendClass, BackendNotImplemented, or InvalidConfig for limits that are too low.
    """
    backend = known_backend(resource_kind, backend_type)
    backend_type = backend_type.lower()
    if backend.backend_class == EMBEDDED:
        refuse_embedded(backend_type, mode, backends_for(resource_kind, mode), resource_kind=resource_kind)
    _check_limits(resource_kind, backend_type)
    return backend_type


def complete_config(
    resource_kind: str, backend_type: str, config: Mapping[str, Any], stored: Route | None
) -> dict[str, Any]:
    """Return the config with stored secrets where it omits or masks them. Another backend's secrets are never carried over."""
    names: frozenset[str] = driver_class(resource_kind, backend_type).Config.secret_fields()
    if stored is None or stored.backend_type != backend_type:
        return keep_secrets(config, {}, {}, names)
    sealed = any(config.get(name, MASK) == MASK == stored.config.get(name) for name in names)
    return keep_secrets(config, stored.config, stored_secrets(stored) if sealed else {}, names)


def stored_secrets(route: Route) -> dict[str, str]:
    """Return a route's sealed secrets in clear. Raises InvalidConfig when they cannot be opened."""
    scope = route_scope(route.resource_kind, route.tenant_id, route.env, route.project_id)
    return unseal(route.sealed_secrets, scope)


def _check_key(draft: RouteDraft) -> None:
    kind_named(draft.resource_kind)
    errors = []
    if not re.fullmatch(ENV_PATTERN, draft.env):
        errors.append(FieldError("env", "pattern", "Use 1 to 31 lower-case letters, digits or dashes, a letter first."))
    if draft.project_id is not None and not re.fullmatch(IDENTIFIER_PATTERN, draft.project_id):
        errors.append(FieldError("project_id", "pattern", "Use 1 to 128 letters, digits, dots, dashes or underscores."))
    if errors:
        raise InvalidRequest("The route's key is not valid.", fix="Correct the fields in `errors`.", errors=errors)


def _check_sizes(draft: RouteDraft) -> None:
    """Refuse what the change's event, or the registry's entry, could not hold: it would hold up every later one."""
    sizes = (
        ("tier", len(draft.tier), TIER_CHARACTERS, "characters"),
        ("cost_notes", len(draft.cost_notes), NOTES_CHARACTERS, "characters"),
        ("config", len(json.dumps(dict(draft.config), ensure_ascii=False).encode()), CONFIG_BYTES, "bytes"),
    )
    errors = [
        FieldError(name, "too_long", f"It has {size} {unit}; {most} are allowed.")
        for name, size, most, unit in sizes
        if size > most
    ]
    if errors:
        raise InvalidRequest("The route is too large.", fix="Shorten the fields in `errors`.", errors=errors)


def _check_limits(resource_kind: str, backend_type: str) -> None:
    limits = driver_class(resource_kind, backend_type).limits
    for name, needed in kind_named(resource_kind).needs.items():
        declared = getattr(limits, name, None)
        enough = declared is True if isinstance(needed, bool) else declared is not None and declared >= needed
        if not enough:
            detail = f"resource_kind={resource_kind} needs {name}={needed}; backend_type={backend_type} has {declared}."
            raise InvalidConfig(
                f"This backend cannot hold what the kind promises: {detail}",
                fix="Choose another backend.",
                errors=[FieldError("backend_type", "limit", detail)],
            )
