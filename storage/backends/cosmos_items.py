"""Documents as items of a Cosmos container: fields under one property, the envelope beside it, and patches that change them.

An item of a document that was deleted keeps its envelope alone for a day; it has no `sort`, so no scan meets it.
`size` is never less than the encoded size of the fields: increments add what they might, other writes set what it is.
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from math import ceil, floor
from typing import Any, Final

from northstar.instants import instant_text
from storage.backends.cosmos_names import id_of, key_of, memory_id_of, sort_of
from storage.backends.cosmos_values import SAFE_INTEGER, packed, unpacked
from storage.backends.service import REMEMBERED, Memory, Stored
from storage.documents import DOCUMENT_BYTES, Document, Increment, Put, Ref
from storage.errors import BackendRejected
from storage.values import encode

Item = dict[str, Any]

PATCH_OPERATIONS: Final = 10
"""Operations of one patch (Microsoft, "Partial document update": supported modes and limits)."""
SPARED: Final = timedelta(hours=1)
"""How much later than its expiry an item is reaped: no clock of ours is that far behind."""
FOREVER: Final = -1
_TRACE: Final[Item] = {"expires_at": "", "ttl": ceil((REMEMBERED + SPARED).total_seconds())}
_MOST_TTL: Final = 2**31 - 1
_NEVER: Final = "never"
"""An expiry that lies after every time, as texts are compared; that of a trace, the empty text, lies before."""
LONGEST_INTEGER: Final = 24
"""Bytes of JSON that a field of a whole number within 53 bits has, without its name."""
_PLAIN_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
"""Field names that patches and predicates can spell without escapes."""


def item_of(pk: str, key: str, stored: Stored) -> Item:
    """Return the item of a document, or the trace of a deleted one."""
    item = {"id": id_of(key), "pk": pk, "version": stored.version, "written": _written(stored)}
    return item | ({**_TRACE} if stored.gone else {"sort": sort_of(key), **_contents(stored)})


def stored_of(item: Mapping[str, Any]) -> Stored:
    """Return what an item says. Raises BackendRejected for one that this driver never wrote."""
    try:
        gone, written = "fields" not in item, item["written"]
        return Stored(
            version=item["version"],
            fields={} if gone else unpacked(item["fields"]),
            updated_at=datetime.fromisoformat(written["at"]),
            expires_at=None if gone or item["expires_at"] == _NEVER else datetime.fromisoformat(item["expires_at"]),
            epoch=written["epoch"],
            operation_id=written["operation_id"],
            gone=gone,
            token=item["_etag"],
        )
    except (KeyError, TypeError, ValueError):
        raise BackendRejected("The container holds an item that Northstar has not written.") from None


def document_of(ref: Ref, item: Mapping[str, Any], now: datetime) -> Document | None:
    """Return the document of an item, or None for an expired or a deleted one."""
    stored = stored_of(item)
    if not stored.present(now):
        return None
    return Document(
        ref, stored.fields, stored.version, stored.updated_at, stored.expires_at, stored.epoch, stored.operation_id
    )


def key_in(item: Mapping[str, Any]) -> str:
    """Return the key of a document's item."""
    return key_of(item["sort"])


def memory_item_of(pk: str, memory: Memory) -> Item:
    return {
        "id": memory_id_of(memory.operation_id),
        "pk": pk,
        "answers": memory.answers,
        "until": instant_text(memory.until),
        "ttl": _TRACE["ttl"],
    }


def memory_of(operation_id: str, item: Mapping[str, Any]) -> Memory:
    return Memory(operation_id, item["answers"], datetime.fromisoformat(item["until"]))


class Patch:
    """A conditional change of one item: `operations`, and the `predicate` under which they are done."""

    def __init__(self, operations: list[Item], conditions: list[str]) -> None:
        self.operations = operations
        self.predicate = "FROM c WHERE " + " AND ".join(conditions)


def replacing(step: Put, stored: Stored) -> Patch:
    """Put `stored` in the place of the unexpired version that the step expects."""
    values = {"version": stored.version, "written": _written(stored), **_contents(stored)}
    return Patch([_set(name, value) for name, value in values.items()], _present(stored, step.expect))


def removing(expect: object, stored: Stored) -> Patch:
    """Leave a trace of the unexpired document; `expect` is its version, or ANY. The version grows by one."""
    values = {"written": _written(stored), **_TRACE}
    operations = [_NEXT_VERSION, *[_set(name, value) for name, value in values.items()]]
    return Patch(
        [*operations, {"op": "remove", "path": "/sort"}, {"op": "remove", "path": "/fields"}], _present(stored, expect)
    )


def adding(step: Increment, stored: Stored) -> Patch | None:
    """Add whole numbers within their bounds and within 53 bits; None where a patch cannot say the increment."""
    growth = sum(len(name) + LONGEST_INTEGER for name in step.deltas)
    operations = [_NEXT_VERSION, _set("written", _written(stored)), {"op": "incr", "path": "/size", "value": growth}]
    conditions = [*_present(stored), "IS_OBJECT(c.fields)", f"c.size <= {DOCUMENT_BYTES - growth}"]
    for name, delta in step.deltas.items():
        if type(delta) is not int or not _PLAIN_NAME.fullmatch(name):
            return None
        low, high = _range(step, name, delta)
        if low > high:
            return None
        operations.append({"op": "incr", "path": f"/fields/{name}", "value": delta})
        conditions.append(_within(name, low, high))
    return Patch(operations, conditions) if len(operations) <= PATCH_OPERATIONS else None


_NEXT_VERSION: Final[Item] = {"op": "incr", "path": "/version", "value": 1}


def _contents(stored: Stored) -> Item:
    return {
        "fields": packed(stored.fields),
        "size": len(encode(stored.fields)),
        "expires_at": _NEVER if stored.expires_at is None else instant_text(stored.expires_at),
        "ttl": _ttl(stored.expires_at, stored.updated_at),
    }


def _within(name: str, low: int, high: int) -> str:
    """The field lies within the range, or is missing and 0 does. Comparing what is no number is undefined, and so not true."""
    field = f'c.fields["{name}"]'
    bounds = [f"{field} >= {low}"] if low > -SAFE_INTEGER else []
    bounds += [f"{field} <= {high}"] if high < SAFE_INTEGER or not bounds else []
    found = " AND ".join(bounds)
    return f"(NOT IS_DEFINED({field}) OR ({found}))" if low <= 0 <= high else found


def _range(step: Increment, name: str, delta: int) -> tuple[int, int]:
    """Return the least and the greatest value that the field may have before."""
    most = min(floor(step.ceilings.get(name, SAFE_INTEGER)), SAFE_INTEGER)
    least = max(ceil(step.floors.get(name, -SAFE_INTEGER)), -SAFE_INTEGER)
    return max(least - delta, -SAFE_INTEGER), min(most - delta, SAFE_INTEGER)


def _present(now: Stored, expect: object = None) -> list[str]:
    """The document is there when `now` is written, and has the version that is expected, or else an older one than `now`.

    So a call that was given up, and done by compare-and-set, is not done again when it comes late.
    """
    version = f"c.version = {expect}" if type(expect) is int else f"c.version < {now.version}"
    return [version, f'c.expires_at > "{instant_text(now.updated_at)}"']


def _written(stored: Stored) -> Item:
    return {"at": instant_text(stored.updated_at), "epoch": stored.epoch, "operation_id": stored.operation_id}


def _set(name: str, value: Any) -> Item:
    return {"op": "set", "path": f"/{name}", "value": value}


def _ttl(expires_at: datetime | None, now: datetime) -> int:
    """Return the seconds after which the service may reap the item."""
    if expires_at is None:
        return FOREVER
    seconds = _seconds(expires_at - now) + _seconds(SPARED)
    return seconds if seconds <= _MOST_TTL else FOREVER


def _seconds(span: timedelta) -> int:
    return max(ceil(span / timedelta(seconds=1)), 1)
