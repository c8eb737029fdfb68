"""The lines of a log: how one atomic write becomes one line of JSON, and what is read back from it.

    {"key", "data", "version", "updated_at", "expires_at"?, "epoch", "operation_id"}    one document
    {"key", "deleted": true, "version", …}                                              its removal
    {"ops": [{"key", "data", …}, …], "updated_at", "epoch", "operation_id"}             several, atomically
    {"floor": 17}                                                                       later new keys start above 17
    {"remembered": [{"key", "version"}, …], "operation_id", "updated_at"}               outcomes, for a repeated operation id

`"remember": true` marks an operation id that the caller gave. `"added"` holds the deltas of an increment.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

from northstar.instants import instant_text
from storage.documents import Document, Fields, Outcome, Ref, Totals, Written
from storage.values import encode, restore_fields

Member = dict[str, Any]
"""What one operation says in a line."""

SINGLE: Final = -1
"""The place of a document in a line that holds nothing else."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Stamp:
    """What every operation of one write shares."""

    updated_at: str
    epoch: int
    operation_id: str
    remember: bool

    def members(self) -> Member:
        shared: Member = {"updated_at": self.updated_at, "epoch": self.epoch, "operation_id": self.operation_id}
        return {**shared, "remember": True} if self.remember else shared


@dataclass(frozen=True, slots=True)
class Entry:
    """What the index keeps of one operation. `gone_at` (microseconds) is the expiry, or the time of the removal."""

    key: bytes
    op: int
    version: int
    deleted: bool
    gone_at: int | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What one operation of a write answered."""

    key: str
    outcome: Outcome


def microseconds(instant: datetime) -> int:
    """Return a UTC time as whole microseconds since 1970."""
    return (instant - _EPOCH) // _MICROSECOND


def from_microseconds(count: int) -> datetime:
    """Undo `microseconds`."""
    return _EPOCH + count * _MICROSECOND


def put_member(key: str, data: bytes, version: int, expires_at: datetime | None, added: Fields | None = None) -> Member:
    """Say that a document has these encoded fields now; `added` are the deltas that led to them."""
    member: Member = {"key": key, "data": orjson.Fragment(data), "version": version}
    if expires_at is not None:
        member["expires_at"] = instant_text(expires_at)
    if added is not None:
        member["added"] = orjson.Fragment(encode(added))
    return member


def delete_member(key: str, version: int, *, existed: bool) -> Member:
    """Say that a document is gone, or that there was none to remove."""
    member: Member = {"key": key, "deleted": True, "version": version}
    return member if existed else {**member, "existed": False}


def write_line(members: Sequence[Member], stamp: Stamp) -> bytes:
    """Return the one line of an atomic write."""
    if len(members) == 1:
        return orjson.dumps(members[0] | stamp.members(), option=orjson.OPT_APPEND_NEWLINE)
    return orjson.dumps({"ops": list(members)} | stamp.members(), option=orjson.OPT_APPEND_NEWLINE)


def floor_line(floor: int) -> bytes:
    """Return the line that keeps versions above those of forgotten keys."""
    return orjson.dumps({"floor": floor}, option=orjson.OPT_APPEND_NEWLINE)


def remembered_line(raw: bytes) -> bytes:
    """Return the line that keeps the outcomes of the write in `raw`, without its documents."""
    line = parse(raw)
    kept = line.get("remembered") or [_remembered(answer) for answer in answers_of(raw)]
    remembered = {"remembered": kept, "updated_at": line["updated_at"], "operation_id": line["operation_id"]}
    return orjson.dumps(remembered, option=orjson.OPT_APPEND_NEWLINE)


def alone(raw: bytes, op: int) -> bytes:
    """Return the line of one document, taken out of the line that it was written in."""
    line = parse(raw)
    shared = {name: line[name] for name in ("updated_at", "epoch", "operation_id")}
    member = {name: value for name, value in member_at(line, op).items() if name not in {"added", "remember"}}
    return orjson.dumps(member | shared, option=orjson.OPT_APPEND_NEWLINE)


def tombstone_line(key: bytes, version: int, gone_at: int) -> bytes:
    """Return the line that keeps the version of a key without a document."""
    gone = instant_text(from_microseconds(gone_at))
    member: Member = {"key": key.decode(), "deleted": True, "version": version, "updated_at": gone}
    return orjson.dumps(member, option=orjson.OPT_APPEND_NEWLINE)


def parse(raw: bytes) -> Member:
    """Return the line as an object. Raises ValueError when it is no JSON, TypeError when it is no object."""
    line = orjson.loads(raw)
    if not isinstance(line, dict):
        raise TypeError("the line is no JSON object")
    return line


def members_of(line: Member) -> list[Member]:
    """Return what each operation of the line says."""
    members: list[Member] = line.get("ops") or line.get("remembered") or [line]
    return members


def member_at(line: Member, op: int) -> Member:
    """Return what the operation at a place of the line says."""
    member: Member = line if op == SINGLE else line["ops"][op]
    return member


def entries_of(line: Member) -> list[Entry]:
    """Return what the index keeps of a line. Raises ValueError, KeyError or TypeError for a line that is not ours."""
    if "floor" in line or "remembered" in line:
        return []
    places = enumerate(members_of(line), start=0 if "ops" in line else SINGLE)
    found = [_entry(member, op, line["updated_at"]) for op, member in places]
    return [entry for entry in found if entry is not None]


def _entry(member: Member, op: int, updated_at: str) -> Entry | None:
    key, version, deleted = member["key"], member["version"], member.get("deleted", False)
    if not isinstance(key, str) or not isinstance(version, int) or not (deleted or isinstance(member["data"], dict)):
        raise ValueError("the line has no key, version or data")
    if member.get("existed") is False:  # removed nothing: the line is only there for its operation id
        return None
    gone = updated_at if deleted else member.get("expires_at")
    return Entry(key.encode(), op, version, bool(deleted), microseconds(datetime.fromisoformat(gone)) if gone else None)


def answers_of(raw: bytes) -> list[Answer]:
    """Return what each operation of the line answered when it was written."""
    line = parse(raw)
    at = datetime.fromisoformat(line["updated_at"])
    return [Answer(member["key"], _outcome(member, raw, at)) for member in members_of(line)]


def _outcome(member: Member, raw: bytes, at: datetime) -> Outcome:
    if "existed" in member:
        return bool(member["existed"])
    if "deleted" in member:
        return True
    version: int = member["version"]
    if "totals" in member:
        return Totals(restore_fields(member["totals"], raw), version)
    if "added" in member:
        fields = restore_fields(member["data"], raw)
        return Totals({name: fields[name] for name in restore_fields(member["added"], raw)}, version)
    return Written(version, at)


def _remembered(answer: Answer) -> Member:
    match answer.outcome:
        case Totals(values, version):
            return {"key": answer.key, "version": version, "totals": orjson.Fragment(encode(values))}
        case bool(existed):
            return {"key": answer.key, "existed": existed}
        case Written(version):
            return {"key": answer.key, "version": version}


def document_of(line: Member, raw: bytes, op: int, ref: Ref) -> Document:
    """Return the document at a place of the line. Raises ValueError, KeyError or TypeError when it is another one."""
    member = member_at(line, op)
    if member["key"] != ref.key:
        raise ValueError("the line holds another key")
    expires_at = member.get("expires_at")
    return Document(
        ref,
        restore_fields(member["data"], raw),
        member["version"],
        datetime.fromisoformat(line["updated_at"]),
        datetime.fromisoformat(expires_at) if expires_at else None,
        line["epoch"],
        line["operation_id"],
    )
