"""User metadata in a service's headers: plain where it can be read there, else packed into one value; ours beside it."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Final

from storage.errors import BackendRejected

OWN: Final = "northstar_"
"""Starts our own names; no user's name stands in the headers if it begins like this."""
SHA256: Final = "northstar_sha256"
EPOCH: Final = "northstar_epoch"
WRITE: Final = "northstar_write"
"""Tells one write from another of the same bytes: a write whose answer was lost finds itself by it."""
_PACKED: Final = "northstar_metadata"
_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")
"""Names that every service keeps as they are: Azure takes C# identifiers, and all fold case."""
_VALUE: Final = re.compile(r"[!-~]+( [!-~]+)*")
"""Values that no header and no signature changes: visible ASCII with single spaces inside, and not empty."""
_SEPARATOR: Final = "\0"
"""Never part of a name or value: control characters are refused."""


def encode_metadata(metadata: Mapping[str, str], own: Mapping[str, str]) -> dict[str, str]:
    """Return the headers' names and values, all ASCII, below 2 KB for any metadata that the contract allows."""
    if all(_is_plain(name, value) for name, value in metadata.items()):
        return {**metadata, **own}
    text = _SEPARATOR.join(part for pair in metadata.items() for part in pair)
    return {_PACKED: urlsafe_b64encode(text.encode()).decode(), **own}


def decode_metadata(headers: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the user's metadata, and our own. Raises BackendRejected when another program has damaged it."""
    lower = {name.lower(): value for name, value in headers.items()}
    own = {name: value for name, value in lower.items() if name.startswith(OWN)}
    packed = own.pop(_PACKED, None)
    if packed is None:
        return {name: value for name, value in lower.items() if name not in own}, own
    try:
        parts = urlsafe_b64decode(packed).decode().split(_SEPARATOR)
        return dict(zip(parts[::2], parts[1::2], strict=True)), own
    except ValueError:
        raise BackendRejected(
            f"The object's metadata {_PACKED} is damaged.", fix="Store the object again; leave that name to Northstar."
        ) from None


def _is_plain(name: str, value: str) -> bool:
    return bool(_NAME.fullmatch(name) and _VALUE.fullmatch(value)) and not name.startswith(OWN)
