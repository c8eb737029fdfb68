"""Secrets at rest: AES-256-GCM, bound to the row they belong to, under a key ring that can be rotated.

A sealed text is `<key id>.<base64url of nonce and ciphertext>`. The row's identity is authenticated with it, so a text that
was copied into another row does not open there.
"""

import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from northstar.errors import InvalidConfig

NONCE_BYTES: Final = 12


def route_scope(resource_kind: str, tenant_id: str, env: str, project_id: str | None) -> bytes:
    """Return the associated data of a route's secrets: model, field and the four-part key, joined injectively."""
    return json.dumps(["routing.Route", "sealed_secrets", resource_kind, tenant_id, env, project_id]).encode()


def seal(fields: Mapping[str, str], scope: bytes) -> str:
    """Encrypt the fields under the current key; no fields make an empty text."""
    if not fields:
        return ""
    key_id, key = next(iter(_ring().items()))
    nonce = secrets.token_bytes(NONCE_BYTES)
    sealed = AESGCM(key).encrypt(nonce, json.dumps(dict(fields)).encode(), scope)
    return f"{key_id}.{urlsafe_b64encode(nonce + sealed).decode()}"


def unseal(text: str, scope: bytes) -> dict[str, str]:
    """Decrypt what `seal` made for the same scope.

    Raises InvalidConfig when its key is not in the ring, or when the text was changed or belongs to another row.
    """
    if not text:
        return {}
    key_id, _, body = text.partition(".")
    key = _ring().get(key_id)
    if key is None:
        raise InvalidConfig(
            f"A route's secrets are sealed with key {key_id!a}, which is not in the key ring.",
            fix="Add that key to NORTHSTAR_ENCRYPTION_KEYS, or set the secrets again.",
        )
    try:
        raw = urlsafe_b64decode(body)
        opened = AESGCM(key).decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], scope)
    except (InvalidTag, ValueError):
        raise InvalidConfig(
            "A route's sealed secrets were changed, or belong to another route.", fix="Set the route's secrets again."
        ) from None
    fields: dict[str, str] = json.loads(opened)
    return fields


def is_current(text: str) -> bool:
    """Whether the text is sealed with the current key, or empty."""
    return not text or text.partition(".")[0] == next(iter(_ring()))


def reseal(text: str, scope: bytes) -> str:
    """Return the same fields sealed with the current key. Raises as `unseal`."""
    return seal(unseal(text, scope), scope)


def _ring() -> Mapping[str, bytes]:
    ring: Mapping[str, bytes] = settings.NORTHSTAR_ENCRYPTION_KEYS
    if not ring:
        raise ImproperlyConfigured("NORTHSTAR_ENCRYPTION_KEYS is empty: set it to <id>:<base64 of 32 random bytes>.")
    return ring
