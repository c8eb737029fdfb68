"""Partial responses: the `fields` parameter keeps what it names, so a client that forgets a field misses it here as well."""

import re
from typing import Any

from tests.servers.gcs_errors import GcsError, bad_request

TOKEN = re.compile(r"[A-Za-z0-9_*]+|[/,()]")
Mask = dict[str, "Mask"]
"""Names that stay; what is below a name without names stays whole."""


def selected(value: Any, fields: str | None) -> Any:
    """Return what `fields` keeps of a resource, such as `items(name,size),nextPageToken`. Raises a 400 for bad syntax."""
    return value if fields is None else _kept(value, parse(fields))


def _kept(value: Any, mask: Mask) -> Any:
    if not mask:
        return value
    if isinstance(value, list):
        return [_kept(item, mask) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: _kept(value[name], mask.get(name, mask.get("*", {}))) for name in value if name in mask or "*" in mask
    }


def parse(fields: str) -> Mask:
    """Read the syntax: names with commas between, `/` and `(…)` for what is below a name, `*` for every name."""
    tokens = TOKEN.findall(fields)
    if "".join(tokens) != fields.replace(" ", "") or not tokens:
        raise _invalid(fields)
    try:
        mask = _list(tokens)
    except IndexError:
        raise _invalid(fields) from None
    if tokens:
        raise _invalid(fields)
    return mask


def _list(tokens: list[str]) -> Mask:
    mask: Mask = {}
    while True:
        name, below = _item(tokens)
        mask[name] = {**mask.get(name, {}), **below}
        if not tokens or tokens[0] != ",":
            return mask
        tokens.pop(0)


def _item(tokens: list[str]) -> tuple[str, Mask]:
    name = tokens.pop(0)
    if name in {"/", ",", "(", ")"}:
        raise IndexError
    if tokens and tokens[0] == "/":
        tokens.pop(0)
        return name, dict([_item(tokens)])
    if tokens and tokens[0] == "(":
        tokens.pop(0)
        below = _list(tokens)
        if tokens.pop(0) != ")":
            raise IndexError
        return name, below
    return name, {}


def _invalid(fields: str) -> GcsError:
    return bad_request(f"Invalid field selection {fields}", reason="invalidParameter")
