"""Who asks, and for what: the API key says which tenant; every header may repeat that, and none may change it."""

import re
from dataclasses import dataclass
from typing import Final

import structlog
from django.db import Error as DatabaseFailure

from northstar.context import RequestContext
from northstar.errors import (
    Forbidden,
    InvalidContext,
    InvalidMode,
    ModeMismatch,
    NotFound,
    TenantMismatch,
    Unauthenticated,
)
from northstar.headers import Headers
from northstar.modes import MODES, SYSTEM_TENANT
from northstar.surfaces import normalise_surface
from routing.keys import ACT_FOR_TENANTS, mark_used, verify
from routing.models import ApiKey
from routing.patterns import ENV_PATTERN, IDENTIFIER_PATTERN, TENANT_PATTERN
from routing.resolve import snapshot

DEFAULT_ENV: Final = "dev"
_BEARER: Final = re.compile(r"(?i:bearer) +(\S+)")
_FIX: Final = "Send `Authorization: Bearer ns_<id>_<secret>` with a valid key."

_log = structlog.get_logger("northstar.authentication")


@dataclass(frozen=True, slots=True)
class Credential:
    """A verified API key."""

    key: ApiKey

    @property
    def is_operator(self) -> bool:
        """Whether it may act for other tenants."""
        return self.key.tenant_id == SYSTEM_TENANT and ACT_FOR_TENANTS in self.key.scopes

    def require(self, scope: str) -> None:
        """Refuse what the key has no scope for. Raises Forbidden, naming the scope."""
        if scope not in self.key.scopes:
            raise Forbidden(
                f"This API key lacks the scope {scope}.", fix=f"Use a key with the scope {scope}, or issue one."
            )

    def require_env(self, env: str) -> None:
        """Refuse an environment that the key is not for. Raises Forbidden, naming those that it is for."""
        allowed = self.key.envs
        if allowed and env not in allowed:
            raise Forbidden(
                f"This API key may not use env {env[:31]!a}.", fix=f"It may use: {', '.join(allowed)}. Set X-Env."
            )


def authenticate(headers: Headers) -> Credential:
    """Verify the bearer token. Raises Unauthenticated, the same for a missing, malformed, unknown, revoked or expired one."""
    try:
        given = headers.get("Authorization")
    except InvalidContext as error:
        raise Unauthenticated(error.detail, fix=_FIX) from None
    if given is None:
        raise Unauthenticated("The request has no API key.", fix=_FIX)
    bearer = _BEARER.fullmatch(given)
    if bearer is None:
        raise Unauthenticated("The Authorization header is no bearer token.", fix=_FIX)
    credential = Credential(verify(bearer[1]))
    structlog.contextvars.bind_contextvars(key=credential.key.key_id)
    try:
        mark_used(credential.key)
    except DatabaseFailure as failure:  # stable routes go on being served while the control plane's database is away
        _log.warning("key_use_not_recorded", error=type(failure).__name__)
    return credential


def build_context(credential: Credential, headers: Headers, request_id: str) -> RequestContext:
    """Return the context of a request: the tenant of its key, everything else checked against its pattern.

    Raises InvalidContext, InvalidMode, TenantMismatch, ModeMismatch, Forbidden (an environment that the key is not for), or
    NotFound (an operator names a tenant that does not exist).
    """
    tenant_id = _tenant(credential, headers)
    env = _named(headers, "X-Env", ENV_PATTERN) or DEFAULT_ENV
    credential.require_env(env)
    now = snapshot()
    structlog.contextvars.bind_contextvars(tenant=tenant_id, env=env)
    return RequestContext(
        tenant_id=tenant_id,
        env=env,
        mode=_mode(headers, tenant_id, now.modes.get(tenant_id)),
        project_id=_named(headers, "X-Project-Id", IDENTIFIER_PATTERN),
        app_id=_named(headers, "X-App-Id", IDENTIFIER_PATTERN),
        surface_id=normalise_surface(headers.get("X-Surface-Id"), now.aliases),
        user_id=_named(headers, "X-User-Id", IDENTIFIER_PATTERN),
        actor=f"key:{credential.key.key_id}",
        request_id=request_id,
    )


def _tenant(credential: Credential, headers: Headers) -> str:
    own = credential.key.tenant_id
    named = _named(headers, "X-Tenant-Id", TENANT_PATTERN)
    if named is None or named == own:
        return own
    if not credential.is_operator:
        raise TenantMismatch(
            f"The request names tenant {named}, but its API key belongs to {own}.",
            fix="Leave X-Tenant-Id out, or use a key of that tenant.",
        )
    if named not in snapshot().modes:
        raise NotFound(f"There is no tenant {named}.", fix="Create it in the admin, or correct X-Tenant-Id.")
    return named


def _mode(headers: Headers, tenant_id: str, mode: str | None) -> str:
    if mode is None:
        raise NotFound(f"There is no tenant {tenant_id}.")
    named = headers.get("X-Mode")
    if named is None:
        return mode
    if named.lower() not in MODES:
        raise InvalidMode(f"X-Mode {named[:40]!a} is no mode.", fix=f"Use one of: {', '.join(MODES)}; or leave it out.")
    if named.lower() != mode:
        raise ModeMismatch(
            f"The request names mode {named.lower()}, but tenant {tenant_id} is in mode {mode}.",
            fix="Leave X-Mode out.",
        )
    return mode


def _named(headers: Headers, name: str, pattern: str) -> str | None:
    value = headers.get(name)
    if value is not None and not re.fullmatch(pattern, value):
        raise InvalidContext(
            f"The header {name} has a value that is not allowed: {value[:40]!a}.", fix=f"It must match {pattern}."
        )
    return value
