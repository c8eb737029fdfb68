"""From what was sent to the row that is kept: checked, timed, fingerprinted, tagged; what is wrong has its refusal beside it."""

import json
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any, Final

import orjson
from uuid_utils import uuid7

from analytics.records.bodies import Unreadable, is_plain
from analytics.records.bots import bot_named
from analytics.records.instants import times_of
from analytics.records.refusals import Refusal, malformed
from analytics.records.shapes import Errors, wrong_fields
from northstar.context import NO_SURFACE, RequestContext
from northstar.errors import FieldError, NorthstarError
from northstar.instants import instant_text
from northstar.rendering import dumps
from storage.errors import ValueTooLarge
from storage.kinds.analytics_rows import Row
from storage.values import check_fields

NOT_FINGERPRINTED: Final = frozenset({"sent_at", "tenant_id", "env", "mode", "project_id"})
"""What may differ when a record is sent again: when it was sent, and what only repeats the context."""
SUBMITTED_BYTES: Final = 16 * 1024
"""Of what was sent and is no record, that stand in its row."""
SHOWN: Final = (
    "analytics_id",
    "tenant_id",
    "env",
    "mode",
    "project_id",
    "app",
    "surface",
    "platform",
    "session_id",
    "request_id",
    "run_id",
    "step_id",
    "utm_source",
    "utm_medium",
    "utm_campaign",
    "utm_content",
    "utm_term",
    "payload",
    "status",
    "error_message",
)
"""Fields that every row has, None where nothing is known."""
CONTEXT_FIELDS: Final = frozenset({"tenant_id", "env", "mode", "project_id"})


@dataclass(frozen=True, slots=True)
class Submission:
    """What the records of one request share. `token` names it, also when it is carried out later or once more."""

    context: RequestContext
    token: str
    received: datetime
    sent_at: str | None = None


@dataclass(slots=True)
class Draft:
    """A record on its way. `claim` is what its row must be the first to have; `refusal` why it will not be counted."""

    position: int
    sent: Any
    row: Row
    claim: str
    refusal: Refusal | None = None
    quarantined: bool = False
    size: int = 0

    @property
    def analytics_id(self) -> str:
        found: str = self.row["analytics_id"]
        return found

    @property
    def outcome(self) -> str:
        if self.refusal:
            return "rejected"
        return "quarantined" if self.quarantined else "stored"


def drafts_of(submission: Submission, records: list[Any], ids: list[str]) -> list[Draft]:
    """Return a draft of each record. `ids` are for those that bring none, or none that can be one."""
    wrong = wrong_fields(records)
    maker = _Maker(submission)
    return [
        maker.refused(position, sent, ids[position], wrong[position])
        if position in wrong
        else maker.draft(position, sent, ids[position])
        for position, sent in enumerate(records)
    ]


def refused_claim(submission: Submission, draft: Draft) -> str:
    """What the row of a draft has that must leave its record's id to others."""
    return f"u/{submission.token}-{draft.position}"


def new_ids(count: int) -> list[str]:
    """Ids of the kind that lie together in a store when they were made together."""
    return [str(uuid7()) for _ in range(count)]


class _Maker:
    """Makes the drafts of one submission."""

    def __init__(self, submission: Submission) -> None:
        context = submission.context
        self._submission = submission
        self._received = instant_text(submission.received)
        self._context: Row = {
            "tenant_id": context.tenant_id,
            "env": context.env,
            "mode": context.mode,
            "project_id": context.project_id,
        }
        surface = None if context.surface_id == NO_SURFACE else context.surface_id
        told = {
            "app": context.app_id,
            "surface": surface,
            "request_id": context.request_id or None,
            "status": "success",
        }
        self._blank: Row = dict.fromkeys(SHOWN) | self._context | told

    def draft(self, position: int, sent: dict[str, Any], own_id: str) -> Draft:
        """The draft of a record of the right shape."""
        submission = self._submission
        sent_at = sent.get("sent_at") or submission.sent_at
        times = times_of(sent.get("timestamp"), sent_at, submission.received, self._received)
        if isinstance(times, FieldError):
            return self.refused(position, sent, own_id, (times,))
        payload = sent.get("payload")
        if not is_plain(payload):
            try:
                check_fields({"rows": [{"payload": payload}]})
            except ValueTooLarge:  # it goes to the object store
                pass
            except NorthstarError as error:
                return self.refused(position, sent, own_id, (FieldError("payload", "not_storable", error.detail),))
        row = self._row(sent, own_id)
        row["timestamp"], row["created_at"], row["corrected_at"] = times.timestamp, self._received, times.corrected
        if times.sent is not None:
            row["sent_at"], row["skew_ms"] = times.sent, times.skew_ms
        if times.clamp is not None:
            row["clamp"] = times.clamp
        row["fingerprint"], size = fingerprint_of(sent)
        return Draft(position, sent, row, "c/" + row["analytics_id"], size=size)

    def _row(self, sent: dict[str, Any], own_id: str) -> Row:
        row = self._blank | sent if None not in sent.values() else self._blank | _without_none(sent)
        row.pop("sent_at", None)
        if row["analytics_id"] is None:
            row["analytics_id"] = own_id
        if not CONTEXT_FIELDS.isdisjoint(sent):
            row |= self._context
        if "user_agent" in row and (bot := bot_named(row["user_agent"])):
            row["bot"] = bot
        return row

    def refused(self, position: int, sent: Any, own_id: str, errors: Errors) -> Draft:
        """The draft of what is no record: it is kept too, with what was sent and what is wrong with it."""
        if isinstance(sent, Unreadable):
            refusal = malformed(sent.error.errors, sent.error.detail)
            submitted: Any = _text(sent.raw.decode(errors="backslashreplace"))
        else:
            refusal, submitted = malformed(errors), _bounded(sent)
        given = sent.get("analytics_id") if isinstance(sent, dict) else None
        usable = isinstance(given, str) and all(one.field != "analytics_id" for one in errors)
        row = self._blank | {"analytics_id": given if usable else own_id, "status": "error", "submitted": submitted}
        row |= dict.fromkeys(("timestamp", "created_at", "corrected_at"), self._received)
        row["error_message"] = refusal.error.told()
        return Draft(position, sent, row, f"u/{self._submission.token}-{position}", refusal, size=_size(sent))


def _without_none(sent: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in sent.items() if value is not None}


def fingerprint_of(sent: dict[str, Any]) -> tuple[str, int]:
    """A hash of all that a record says, the same however its members are ordered, and how many bytes that has."""
    said = sent if None not in sent.values() else _without_none(sent)
    if not NOT_FINGERPRINTED.isdisjoint(said):
        said = {name: value for name, value in said.items() if name not in NOT_FINGERPRINTED}
    try:
        encoded = orjson.dumps(said, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # an integer beyond 64 bits
        encoded = json.dumps(said, sort_keys=True).encode()
    return blake2b(encoded, digest_size=16).hexdigest(), len(encoded)


def _bounded(sent: Any) -> Any:
    """What was sent, if a row can hold it; else its beginning as text."""
    try:
        if check_fields({"rows": [{"submitted": sent}]}) <= SUBMITTED_BYTES:
            return sent
        text = orjson.dumps(sent).decode()
    except (NorthstarError, TypeError):
        text = repr(sent)
    return _text(text)


def _text(text: str) -> str:
    """The beginning of a text, with what no store can hold shown as an escape."""
    good = text.encode(errors="backslashreplace").replace(b"\0", b"\\0")
    return good[:SUBMITTED_BYTES].decode(errors="ignore")


def raw_of(sent: Any) -> bytes:
    """What was sent, as JSON text or as it stood there."""
    return sent.raw if isinstance(sent, Unreadable) else dumps(sent)


def _size(sent: Any) -> int:
    return len(raw_of(sent))
