"""Sealed cursors: a place in a listing that its reader can keep and send back, but neither read into nor move elsewhere."""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as BadBase64
from functools import lru_cache
from typing import Any, Final

import orjson
from django.conf import settings
from django.utils.crypto import salted_hmac

from storage.errors import InvalidCursor

CURSOR_MARK: Final = "cur_"
"""Starts every cursor, so that it is never mistaken for an event id or a position."""

_MAC_BYTES: Final = 16
_SALT: Final = "northstar.cursor"


def seal(purpose: str, binding: tuple[str, ...], state: Any) -> str:
    """Return a URL-safe token of `A-Z a-z 0-9 _ -` that holds `state` (any JSON value) and is signed with SECRET_KEY.

    `purpose` says what is listed; `binding` says for whom and with which query, for example `(*scope.parts, table, prefix)`.
    The state is signed, not encrypted: put nothing into it that its reader may not see.
    """
    body = orjson.dumps(state)
    return CURSOR_MARK + _text(_mac(settings.SECRET_KEY, purpose, binding, body) + body)


def unseal(purpose: str, binding: tuple[str, ...], token: str) -> Any:
    """Return the state of a token that was sealed for the same purpose and binding. Raises InvalidCursor for any other."""
    raw = _bytes(token)
    signature, body = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
    for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        if hmac.compare_digest(signature, _mac(secret, purpose, binding, body)):
            return orjson.loads(body)
    raise _refused()


def _mac(secret: str | bytes, purpose: str, binding: tuple[str, ...], body: bytes) -> bytes:
    # A JSON array holds no raw NUL, so purpose, binding and body cannot run into each other.
    mac = _keyed(secret).copy()
    mac.update(orjson.dumps([purpose, *binding]) + b"\0" + body)
    return mac.digest()[:_MAC_BYTES]


@lru_cache(maxsize=8)
def _keyed(secret: str | bytes) -> hmac.HMAC:
    """The signature before its message: deriving the key costs more than the rest, and a page of events has a cursor each."""
    return salted_hmac(_SALT, b"", secret=secret, algorithm="sha256")


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def _bytes(token: str) -> bytes:
    text = token.removeprefix(CURSOR_MARK)
    try:
        raw = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    except (UnicodeEncodeError, BadBase64):
        raise _refused() from None
    if len(raw) <= _MAC_BYTES or CURSOR_MARK + _text(raw) != token:  # one spelling per cursor
        raise _refused()
    return raw


def _refused() -> InvalidCursor:
    return InvalidCursor(
        "The cursor was changed, or belongs to another listing.",
        fix="Send a cursor exactly as this listing gave it, with the same query; or leave it out to start at the beginning.",
    )
