"""Where the deployment's own settings come from: the environment, or, in a lab, a file that is generated once."""

import binascii
import os
import secrets
from base64 import b64decode, b64encode
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import environ
from django.core.exceptions import ImproperlyConfigured
from django.core.management.utils import get_random_secret_key

from northstar.origins import parse_origin

ENCRYPTION_KEY_BYTES: Final = 32
DEFAULT_PORT: Final = 8010
HIGHEST_PORT: Final = 65535
_NEW_KEYS: Final = (
    "Make one with: python -c \"import base64, os; print('k1:' + base64.b64encode(os.urandom(32)).decode())\""
)


class Environment(environ.Env):  # type: ignore[misc]  # the library has no types
    """Reads variables. One that does not parse raises ImproperlyConfigured naming it, never showing its value."""

    def get_value(self, var: str, cast: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Return the variable as `cast`."""
        try:
            return super().get_value(var, cast, *args, **kwargs)
        except (ValueError, TypeError):
            raise ImproperlyConfigured(f"{var} is not a valid {getattr(cast, '__name__', 'value')}.") from None


def port(env: environ.Env) -> int:
    """Return PORT, 8010 unless set. Raises ImproperlyConfigured when no server can listen there."""
    chosen: int = env.int("PORT") if env.str("PORT", default="") else DEFAULT_PORT
    if not 1 <= chosen <= HIGHEST_PORT:
        raise ImproperlyConfigured(f"PORT is {chosen}; 1 to {HIGHEST_PORT} are allowed.")
    return chosen


def origins(env: environ.Env, name: str, default: Sequence[str] = ()) -> list[str]:
    """Return a list of origins, `*` for any port. Raises ImproperlyConfigured for what is none."""
    listed: list[str] = env.list(name, default=list(default))
    for origin in listed:
        try:
            parse_origin(origin)
        except ValueError as error:
            raise ImproperlyConfigured(f"{name}: {origin!a} {error}.") from None
    return listed


def required(env: environ.Env, name: str, fix: str) -> str:
    """Return a variable that has no default. Raises ImproperlyConfigured naming it and what to set."""
    value = str(env.str(name, default="")).strip()
    if not value:
        raise ImproperlyConfigured(f"{name} is not set. {fix}")
    return value


def encryption_keys(text: str) -> dict[str, bytes]:
    """Read `id:base64,id:base64…`: each key has 32 bytes, the first one seals, all of them open.

    Raises ImproperlyConfigured naming the key's id, never its value.
    """
    ring: dict[str, bytes] = {}
    for entry in filter(None, map(str.strip, text.split(","))):
        key_id, _, encoded = entry.partition(":")
        if not key_id.isalnum() or not key_id.isascii() or key_id in ring:
            raise ImproperlyConfigured(
                f"NORTHSTAR_ENCRYPTION_KEYS: entry {len(ring) + 1} needs an id of its own, of letters and digits, then a colon."
            )
        ring[key_id] = _decoded(key_id, encoded)
    if not ring:
        raise ImproperlyConfigured(f"NORTHSTAR_ENCRYPTION_KEYS is not set. {_NEW_KEYS}")
    return ring


def _decoded(key_id: str, encoded: str) -> bytes:
    try:
        key = b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != ENCRYPTION_KEY_BYTES:
        raise ImproperlyConfigured(
            f"NORTHSTAR_ENCRYPTION_KEYS: key {key_id} is not the base64 of 32 bytes. {_NEW_KEYS}"
        )
    return key


def generated_secret_key(home: Path) -> str:
    """Return the lab's signing key, made by whichever process asks first."""
    return _generated(home / "secret_key", get_random_secret_key())


def generated_encryption_keys(home: Path) -> str:
    """Return the lab's key ring, made by whichever process asks first."""
    return _generated(home / "encryption_keys", "lab1:" + b64encode(secrets.token_bytes(ENCRYPTION_KEY_BYTES)).decode())


def _generated(path: Path, candidate: str) -> str:
    try:
        if not path.exists():
            _write_once(path, candidate)
        return path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise ImproperlyConfigured(f"NORTHSTAR_HOME ({path.parent}) cannot be used: {error.strerror}.") from None


def _write_once(path: Path, candidate: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    draft.touch(mode=0o600)
    draft.write_text(candidate, encoding="ascii")
    try:
        path.hardlink_to(draft)  # exactly one of several processes wins, and the file is never seen half written
    except FileExistsError:
        pass
    finally:
        draft.unlink()
