"""Documents as items of one table, readable in the console: the fields under one attribute, the envelope beside them.

| attribute | type | holds |
|---|---|---|
| `pk`, `sk` | S | collection and partition as one name; the key as it is, so that DynamoDB's order is the contract's |
| `doc` | M | the fields in DynamoDB's own types |
| `json` | B | instead of `doc`: their encoding, where own types would be too large |
| `version` | N | microseconds since 1970 of the write, pushed above the version before |
| `updated` | N | microseconds since 1970, where that is not the version |
| `expires` | N | microseconds since 1970 |
| `epoch`, `operation` | N, S | the route's revision and the operation id that wrote it |
| `gone` | BOOL | the trace of a deleted document |
| `reap` | N | seconds since 1970 after which DynamoDB may remove the item: its TTL attribute |

Answers to operation ids are items of partitions of their own beside it: `answers` (S), `expires`, `reap`.
"""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from storage.backends.dynamodb_values import Typed, fits, restored_fields, typed_fields
from storage.backends.names import SEPARATOR, joined
from storage.backends.service import REMEMBERED, Memory, Stored, instant_of
from storage.documents import Document, Partition, Ref, Value
from storage.values import decode, encode

Item = dict[str, Typed]

REAP_ATTRIBUTE: Final = "reap"
REAP_AFTER: Final = timedelta(hours=1)
"""How long an expired item stays at least: more than clocks can differ."""

_PARTITION_BYTES: Final = 2048
_MEMORIES: Final = f"{SEPARATOR}%o"
"""Ends the partition of memories; no part of a joined name is `%o`."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_SECOND: Final = timedelta(seconds=1)


def partition_name(collection: str, partition: Partition) -> str:
    return joined((collection, *partition), max_bytes=_PARTITION_BYTES - len(_MEMORIES))


def key_of(partition: str, key: str) -> Item:
    return {"pk": {"S": partition}, "sk": {"S": key}}


def memory_key_of(partition: str, operation_id: str) -> Item:
    return key_of(partition + _MEMORIES, hashlib.sha256(operation_id.encode()).hexdigest())


def microseconds(moment: datetime) -> Typed:
    return {"N": str((moment - _EPOCH) // _MICROSECOND)}


def item_of(partition: str, key: str, stored: Stored) -> Item:
    """Return the document or trace as it is stored."""
    item = key_of(partition, key) | {
        "version": {"N": str(stored.version)},
        "epoch": {"N": str(stored.epoch)},
        "operation": {"S": stored.operation_id},
    }
    if stored.updated_at != instant_of(stored.version):
        item["updated"] = microseconds(stored.updated_at)
    if stored.gone:
        item |= {"gone": {"BOOL": True}, REAP_ATTRIBUTE: _reaped(stored.updated_at + REMEMBERED)}
        return item
    if fits(stored.fields):
        item["doc"] = typed_fields(stored.fields)
    else:
        item["json"] = {"B": encode(stored.fields)}
    if stored.expires_at is not None:
        item |= {"expires": microseconds(stored.expires_at), REAP_ATTRIBUTE: _reaped(stored.expires_at)}
    return item


def stored_in(item: Mapping[str, Typed]) -> Stored:
    """Return what the item holds, a trace included. Raises BackendRejected for one that Northstar never writes."""
    gone = "gone" in item
    return Stored(
        version=int(item["version"]["N"]),
        fields={} if gone else _fields(item),
        updated_at=_moment(item.get("updated") or item["version"]),
        expires_at=_moment(item["expires"]) if "expires" in item else None,
        epoch=int(item["epoch"]["N"]),
        operation_id=item["operation"]["S"],
        gone=gone,
    )


def document_in(ref: Ref, item: Mapping[str, Typed] | None, now: datetime) -> Document | None:
    """Return the document in an item, or None where there is none at this moment."""
    stored = stored_in(item) if item else None
    if stored is None or not stored.present(now):
        return None
    return Document(
        ref, stored.fields, stored.version, stored.updated_at, stored.expires_at, stored.epoch, stored.operation_id
    )


def memory_item(partition: str, memory: Memory) -> Item:
    return memory_key_of(partition, memory.operation_id) | {
        "answers": {"S": memory.answers},
        "expires": microseconds(memory.until),
        REAP_ATTRIBUTE: _reaped(memory.until),
    }


def memory_in(item: Mapping[str, Typed], operation_id: str, now: datetime) -> Memory | None:
    """Return the memory in an item, or None when it has lapsed."""
    until = _moment(item["expires"])
    return Memory(operation_id, item["answers"]["S"], until) if until > now else None


def _reaped(moment: datetime) -> Typed:
    return {"N": str((moment - _EPOCH + REAP_AFTER) // _SECOND)}


def _fields(item: Mapping[str, Typed]) -> dict[str, Value]:
    packed = item.get("json")
    return decode(bytes(packed["B"])) if packed else restored_fields(item["doc"])


def _moment(attribute: Typed) -> datetime:
    return instant_of(int(attribute["N"]))
