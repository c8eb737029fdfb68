"""API keys: random secrets of which only a hash is kept, scoped, limited to environments, expiring, revocable."""

import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from hmac import compare_digest
from typing import Any, Final

from django.db import transaction
from django.db.models import Q

from northstar.errors import FieldError, InvalidRequest, NotFound, Unauthenticated
from northstar.modes import SYSTEM_TENANT
from routing import audit
from routing.audit import Cause, Subject, timestamp
from routing.models import ApiKey, Tenant
from routing.patterns import ENV_PATTERN
from routing.resolve import snapshot
from routing.snapshot import EMPTY, Snapshot

ACT_FOR_TENANTS: Final = "act:tenants"
OVERRIDE_LOCKS: Final = "routes:override"
SWITCH_ROUTES: Final = "routes:switch"
SCOPES: Final = (
    ACT_FOR_TENANTS,
    "analytics:write",
    "audit:read",
    "budgets:write",
    "data:read",
    "data:write",
    OVERRIDE_LOCKS,
    "routes:read",
    SWITCH_ROUTES,
    "routes:write",
    "rules:write",
)

KEY_ISSUED: Final = "KEY_ISSUED"
KEY_REVOKED: Final = "KEY_REVOKED"

ID_LENGTH: Final = 12
SECRET_BYTES: Final = 32
USE_RECORDED_EVERY: Final = timedelta(minutes=1)

_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz0123456789"
_TOKEN: Final = re.compile(r"ns_([a-z0-9]{12})_([0-9a-f]{64})")
_NO_HASH: Final = "0" * 64


def issue_key(
    tenant: Tenant | str,
    label: str,
    scopes: Iterable[str],
    *,
    cause: Cause,
    envs: Iterable[str] = (),
    expires_at: datetime | None = None,
) -> tuple[ApiKey, str]:
    """Create a key and return it with its token, `ns_<id>_<secret>`: the only time that the token exists.

    No envs means all. Raises InvalidRequest for an unknown tenant, scope or env, or an expiry that has passed.
    """
    tenant_id = tenant if isinstance(tenant, str) else tenant.tenant_id
    wanted, limited = sorted(set(scopes)), sorted(set(envs))
    _check(tenant_id, wanted, limited, expires_at)
    key_id = "".join(secrets.choice(_ALPHABET) for _ in range(ID_LENGTH))
    secret = secrets.token_hex(SECRET_BYTES)
    with transaction.atomic():
        state = audit.lock()
        key = ApiKey.objects.create(
            key_id=key_id,
            tenant_id=tenant_id,
            label=label,
            secret_hash=_hash(secret),
            scopes=wanted,
            envs=limited,
            created_by=cause.actor,
            expires_at=expires_at,
        )
        audit.record(state, KEY_ISSUED, _subject(key), cause, after=_summary(key))
    return key, f"ns_{key_id}_{secret}"


def revoke_key(key_id: str, cause: Cause) -> ApiKey:
    """End a key at once and for ever; a second time changes nothing. Raises NotFound."""
    with transaction.atomic():
        state = audit.lock()
        key = ApiKey.objects.filter(key_id=key_id).first()
        if key is None:
            raise NotFound(f"There is no API key ns_{key_id}.")
        if key.revoked_at is None:
            before = _summary(key)
            key.revoked_at = datetime.now(UTC)
            key.save(update_fields=["revoked_at"])
            audit.record(state, KEY_REVOKED, _subject(key), cause, before=before, after=_summary(key))
    return key


def verify(token: str) -> ApiKey:
    """Return the key that a token belongs to, its tenant loaded.

    Raises Unauthenticated, the same for a malformed, unknown, revoked or expired one. A revocation is seen by this process at
    once, and by others as soon as their snapshot moves.
    """
    parts = _TOKEN.fullmatch(token)
    key = _known(parts[1]) if parts else None
    genuine = compare_digest(_hash(parts[2] if parts else ""), key.secret_hash if key else _NO_HASH)
    if key is None or not genuine or not is_active(key):
        raise Unauthenticated(
            "The API key is not valid.", fix="Send `Authorization: Bearer ns_<id>_<secret>` with a valid key."
        )
    return key


def is_active(key: ApiKey) -> bool:
    """Whether the key is neither revoked nor expired."""
    return key.revoked_at is None and (key.expires_at is None or key.expires_at > datetime.now(UTC))


def mark_used(key: ApiKey) -> None:
    """Remember that the key was used; written at most once a minute, whichever process asks."""
    now = datetime.now(UTC)
    if key.last_used_at is not None and now - key.last_used_at < USE_RECORDED_EVERY:
        return
    key.last_used_at = now
    due = Q(last_used_at=None) | Q(last_used_at__lt=now - USE_RECORDED_EVERY)
    ApiKey.objects.filter(due, pk=key.pk).update(last_used_at=now)


@dataclass(slots=True)
class _Seen:
    """Keys read since the snapshot last moved: every issue, revocation and tenant change moves it."""

    snapshot: Snapshot = EMPTY
    keys: dict[str, ApiKey] = field(default_factory=dict)


_seen = _Seen()


def _known(key_id: str) -> ApiKey | None:
    global _seen  # noqa: PLW0603 - replaced whole, so that readers need no lock
    now = snapshot()
    seen = _seen
    if seen.snapshot is not now:
        seen = _seen = _Seen(now)
    key = seen.keys.get(key_id)
    if key is None:
        key = ApiKey.objects.select_related("tenant").filter(key_id=key_id).first()
        if key is not None:
            seen.keys[key_id] = key
    return key


def _hash(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()


def _check(tenant_id: str, scopes: list[str], envs: list[str], expires_at: datetime | None) -> None:
    errors = []
    if not Tenant.objects.filter(pk=tenant_id).exists():
        errors.append(FieldError("tenant_id", "unknown", f"There is no tenant {tenant_id!a}."))
    if unknown := [scope for scope in scopes if scope not in SCOPES]:
        errors.append(FieldError("scopes", "choice", f"Unknown: {', '.join(unknown)}. Use of: {', '.join(SCOPES)}."))
    if not scopes:
        errors.append(FieldError("scopes", "required", "A key without a scope may do nothing: give at least one."))
    if ACT_FOR_TENANTS in scopes and tenant_id != SYSTEM_TENANT:
        errors.append(FieldError("scopes", "choice", f"{ACT_FOR_TENANTS} is for keys of tenant {SYSTEM_TENANT} only."))
    if bad := [env for env in envs if not re.fullmatch(ENV_PATTERN, env)]:
        errors.append(FieldError("envs", "pattern", f"Not the name of an environment: {', '.join(map(ascii, bad))}."))
    if expires_at is not None and expires_at <= datetime.now(UTC):
        errors.append(FieldError("expires_at", "past", "The expiry has passed already."))
    if errors:
        raise InvalidRequest("The API key cannot be issued.", fix="Correct the fields in `errors`.", errors=errors)


def _subject(key: ApiKey) -> Subject:
    return Subject(f"key:{key.key_id}", tenant_id=key.tenant_id)


def _summary(key: ApiKey) -> dict[str, Any]:
    return {
        "key_id": key.key_id,
        "tenant_id": key.tenant_id,
        "label": key.label,
        "scopes": key.scopes,
        "envs": key.envs,
        "expires_at": timestamp(key.expires_at),
        "revoked_at": timestamp(key.revoked_at),
    }
