"""RulesCache: values that processes share, over django-redis: exact, sealed, and each tenant's own.

Whoever can write to Redis can make a value be gone, and nothing else: what was not sealed here, under this very key, is no value.
"""

import hashlib
import hmac
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, TypeVar
from urllib.parse import quote

from django.conf import settings
from django.core.cache import caches
from django.core.cache.backends.base import BaseCache
from django.utils.crypto import salted_hmac

from northstar.errors import NorthstarError
from storage.keys import Scope
from storage.kinds.rules_errors import CacheError
from storage.values import decode, encode

ALIAS: Final = "rules"
"""Of Django's CACHES."""
_SALT: Final = "northstar.rules.cache"
_MAC_BYTES: Final = 16
_PLAIN: Final = ":@/"
_VALUE: Final = "v"

T = TypeVar("T")


class RulesCache:
    """The cache of one scope. Raises CacheError when the server does not answer, or for a value that no JSON can say.

    `shelf` keeps apart what different users of the cache store: no agent's value is ever taken for a rule.
    """

    def __init__(self, scope: Scope, shelf: str = "values") -> None:
        self._prefix = ":".join((shelf, *scope.parts))

    def get(self, key: str) -> Any:
        """Return the value, or None for one that is not there, has lapsed or was not stored by us."""
        full = self._full(key)
        sealed = _answered(lambda: _server().get(full))
        if not isinstance(sealed, bytes) or len(sealed) <= _MAC_BYTES:
            return None
        seal, encoded = sealed[:_MAC_BYTES], sealed[_MAC_BYTES:]
        if not any(hmac.compare_digest(seal, one) for one in _seals(full, encoded)):
            return None
        return decode(encoded)[_VALUE]

    def setex(self, key: str, ttl_seconds: int, value: Any) -> None:
        """Keep a value for this many seconds (1 at least)."""
        if ttl_seconds < 1:
            raise CacheError(f"A value cannot be kept for {ttl_seconds} seconds.", fix="Keep it for 1 at least.")
        full = self._full(key)
        try:
            encoded = encode({_VALUE: value})
        except NorthstarError as refusal:
            raise CacheError(refusal.detail, fix=refusal.fix) from refusal
        sealed = next(_seals(full, encoded)) + encoded
        _answered(lambda: _server().set(full, sealed, ttl_seconds))

    def delete(self, key: str) -> None:
        """Forget the value, if it is there."""
        _answered(lambda: _server().delete(self._full(key)))

    def _full(self, key: str) -> str:
        return f"{self._prefix}:{quote(key, safe=_PLAIN)}"


class Plain:
    """django-redis's serializer for what is bytes already: nothing that Redis holds is ever unpickled."""

    def __init__(self, options: Any) -> None:
        """django-redis builds its serializers so."""

    def dumps(self, value: bytes) -> bytes:
        return value

    def loads(self, value: bytes) -> bytes:
        return value


def _server() -> BaseCache:
    return caches[ALIAS]


def _answered(call: Callable[[], T]) -> T:
    """Return the call's result. Raises CacheError for whatever the library, the network or the server has against it."""
    failures = _failures()
    try:
        return call()
    except failures as error:
        raise CacheError(f"The shared cache did not answer ({type(error).__name__}).") from error


def _failures() -> tuple[type[Exception], ...]:
    if not settings.REDIS_URL:
        return (OSError,)
    from django_redis.exceptions import ConnectionInterrupted  # noqa: PLC0415 - only a deployment with Redis has it
    from redis import RedisError  # noqa: PLC0415

    return (ConnectionInterrupted, RedisError, OSError)


def _seals(key: str, encoded: bytes) -> Any:
    """Yield the seal of a value under each secret key that counts, the newest first."""
    for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        mac = _keyed(secret).copy()
        mac.update(hashlib.sha256(key.encode()).digest() + encoded)
        yield mac.digest()[:_MAC_BYTES]


@lru_cache(maxsize=8)
def _keyed(secret: str | bytes) -> hmac.HMAC:
    return salted_hmac(_SALT, b"", secret=secret, algorithm="sha256")
