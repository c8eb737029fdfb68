"""What agents keep beside the rules: where a batch stands, the result of each step, the audit trail, and their own config.

The audit trail is append-only: an entry is written once, and no operation of this module or any other changes or removes one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from uuid_utils import uuid7

from northstar.context import RequestContext
from northstar.errors import AlreadyExists, Conflict, FieldError, IdempotencyMismatch, VersionConflict
from northstar.instants import instant_text
from storage.documents import ABSENT, ANY, Document, Expect, Expectation, Ref
from storage.kinds.rules_documents import RulesDocuments
from storage.kinds.rules_errors import RulesRefused, StoreError
from storage.kinds.rules_exact import written
from storage.kinds.rules_layout import AGENTS, AUDIT, RESULTS, batch_ref, day_partition

ATTEMPTS: Final = 16
CONFIG_PREFIX: Final = "CONFIG#"
_MICROSECOND: Final = timedelta(microseconds=1)

Exact = Any
"""None, bool, int, str, Decimal, bytes, datetime, list or dict of these, nested: never a float."""


@dataclass(frozen=True, slots=True)
class BatchState:
    """Where a batch stands. `rules_revision` is the one that all of its steps read."""

    batch_id: str
    state: Mapping[str, Exact]
    rules_revision: int
    version: int
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class StepResult:
    """What one run of one step of a batch came to. A step that ran twice has two."""

    batch_id: str
    step: int
    result: Mapping[str, Exact]
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One entry of the audit trail, as it will be for ever."""

    entry_id: str
    at: datetime
    actor: str
    request_id: str
    entry: Mapping[str, Exact]


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """One revision of an agent's config."""

    agent: str
    revision: int
    config: Mapping[str, Exact]
    saved_by: str
    saved_at: datetime


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of a listing. `next_after` is what to go on after, None on the last page."""

    items: Sequence[Any] = field(default=())
    next_after: str | None = None


def check_exact(value: Any, where: str = "") -> None:
    """Refuse a float wherever it stands: it was rounded before it came. Raises RulesRefused."""
    if isinstance(value, float):
        detail = "It is a float, which has been rounded. Send the number as text, such as '12.50'."
        raise RulesRefused(f"{where or 'The value'}: {detail}", errors=[FieldError(where, "float", detail)])
    if isinstance(value, Mapping):
        for name, item in value.items():
            check_exact(item, f"{where}.{name}" if where else str(name))
    elif isinstance(value, list | tuple):
        for place, item in enumerate(value):
            check_exact(item, f"{where}.{place}")


class RulesRecords:
    """The records of one scope. Every method raises StoreError, and RulesRefused for a float."""

    def __init__(self, documents: RulesDocuments, context: RequestContext) -> None:
        self._documents = documents
        self._context = context

    def save_batch(self, batch_id: str, state: Mapping[str, Exact], *, pin: Any, expect: Expect) -> BatchState:
        """Store a batch's state. `pin(stored)` says which revision its steps read, given the one that is stored, if any."""
        check_exact(state, "state")
        ref = batch_ref(batch_id)
        for _ in range(ATTEMPTS):
            stored = self._documents.get(ref)
            fields = {
                "state": dict(state),
                "rules_revision": pin(stored.fields["rules_revision"] if stored else None),
                "saved_by": self._context.actor,
            }
            found: Expect = stored.version if stored else ABSENT
            try:
                written = self._documents.put(ref, fields, expect=found if expect is ANY else expect)
            except StoreError as error:
                if expect is ANY and error.code in {AlreadyExists.code, VersionConflict.code}:
                    continue
                raise
            return BatchState(batch_id, state, fields["rules_revision"], written.version, written.updated_at)
        raise StoreError(Conflict(f"The batch {batch_id!a} is written by others all the time."))

    def batch(self, batch_id: str) -> BatchState | None:
        """Return where a batch stands, or None."""
        document = self._documents.get(batch_ref(batch_id))
        if document is None:
            return None
        fields = document.fields
        return BatchState(batch_id, fields["state"], fields["rules_revision"], document.version, document.updated_at)

    def save_result(
        self, batch_id: str, step: int, result: Mapping[str, Exact], *, operation_id: str = ""
    ) -> StepResult:
        """Store what a step came to, as a row of its own."""
        if not 1 <= step <= 9999:
            detail = f"{step} is no step: 1 to 9999 are."
            raise RulesRefused(detail, errors=[FieldError("step", "range", detail)])
        check_exact(result, "result")
        fields = {"step": step, "result": dict(result), "saved_by": self._context.actor}
        partition = ("BATCH", batch_id)
        stored = self._put_once(RESULTS, partition, f"STEP#{step:04}#{{at}}", fields, operation_id)
        return StepResult(batch_id, step, result, _instant(stored.key.rpartition("#")[2]))

    def results(self, batch_id: str, *, limit: int, after: str | None) -> Listed:
        """Return results by step and time."""
        page = self._documents.scan(RESULTS, ("BATCH", batch_id), limit=limit, cursor=after)
        items = [
            StepResult(batch_id, one.fields["step"], one.fields["result"], _instant(one.ref.key.rpartition("#")[2]))
            for one in page.documents
        ]
        return Listed(items, page.cursor)

    def append_audit(
        self,
        entry: Mapping[str, Exact],
        *,
        entry_id: str | None = None,
        at: datetime | None = None,
        operation_id: str = "",
    ) -> AuditEntry:
        """Append an entry. Its key is its time and its id: a second one with both is refused (StoreError, ALREADY_EXISTS)."""
        check_exact(entry, "entry")
        moment = (at or datetime.now(UTC)).astimezone(UTC)
        name = entry_id or str(uuid7())
        _check_entry_id(name)
        fields = {
            "entry_id": name,
            "entry": dict(entry),
            "actor": self._context.actor,
            "request_id": self._context.request_id,
            "operation": operation_id,
        }
        ref = Ref(AUDIT, day_partition(moment.date()), f"{instant_text(moment)}#{name}")
        stored = self._put_named(ref, fields, operation_id)
        if stored is not None:
            return _entry(stored)
        return AuditEntry(name, moment, self._context.actor, self._context.request_id, entry)

    def audit(self, day: date, *, limit: int, after: str | None) -> Listed:
        """Return one day's entries (UTC), by time."""
        page = self._documents.scan(AUDIT, day_partition(day), limit=limit, cursor=after)
        return Listed([_entry(one) for one in page.documents], page.cursor)

    def save_config(self, agent: str, config: Mapping[str, Exact], *, expect: Expect) -> AgentConfig:
        """Store the next revision of an agent's config; the same config as the newest is that one."""
        check_exact(config, "config")
        for _ in range(ATTEMPTS):
            newest = self.config(agent)
            _check_config_expected(agent, newest, expect)
            if newest is not None and written(newest.config) == written(config):
                return newest
            revision = newest.revision + 1 if newest else 1
            fields = {"config": dict(config), "saved_by": self._context.actor}
            try:
                saved = self._documents.put(_config_ref(agent, revision), fields, expect=ABSENT)
            except StoreError as error:
                if error.code == AlreadyExists.code:
                    continue
                raise
            return AgentConfig(agent, revision, config, self._context.actor, saved.updated_at)
        raise StoreError(Conflict(f"The config of {agent!a} is written by others all the time."))

    def config(self, agent: str, revision: int | None = None) -> AgentConfig | None:
        """Return a revision of an agent's config, the newest unless one is named; None where there is none."""
        if revision is not None:
            document = self._documents.get(_config_ref(agent, revision))
            return _config(agent, document) if document else None
        page = self._documents.scan(AGENTS, ("AGENT", agent), prefix=CONFIG_PREFIX, limit=1, reverse=True)
        return _config(agent, page.documents[0]) if page.documents else None

    def configs(self, agent: str, *, limit: int, after: str | None) -> Listed:
        """Return the revisions of an agent's config, the newest first."""
        page = self._documents.scan(
            AGENTS, ("AGENT", agent), prefix=CONFIG_PREFIX, limit=limit, reverse=True, cursor=after
        )
        return Listed([_config(agent, one) for one in page.documents], page.cursor)

    def _put_once(
        self, collection: str, partition: tuple[str, ...], key: str, fields: Mapping[str, Any], operation_id: str
    ) -> Ref:
        """Store a document under the first free moment from now on, and return where it lies."""
        moment = datetime.now(UTC)
        for _ in range(ATTEMPTS):
            ref = Ref(collection, partition, key.format(at=instant_text(moment)))
            try:
                stored = self._put_named(ref, {**fields, "operation": operation_id}, operation_id)
            except StoreError as error:
                if error.code != AlreadyExists.code:
                    raise
                moment += _MICROSECOND
                continue
            return stored.ref if stored else ref
        raise StoreError(Conflict("Others write at the same moment, again and again."))

    def _put_named(self, ref: Ref, fields: Mapping[str, Any], operation_id: str) -> Document | None:
        """Store a new document, and return what the operation has stored, if it is named: here, or in an earlier attempt.

        Nobody heard of an attempt whose answer was lost: it lies under a moment and a name of its own.
        """
        try:
            self._documents.put(ref, fields, expect=ABSENT, operation_id=operation_id)
        except StoreError as error:
            if error.code != IdempotencyMismatch.code:
                raise
            earlier = self._documents.all(ref.collection, ref.partition)
            stored = next((one for one in earlier if one.fields.get("operation") == operation_id), None)
            if stored is None:
                raise
            return stored
        return self._documents.get(ref) if operation_id else None


def _check_entry_id(entry_id: str) -> None:
    if "#" in entry_id or not 0 < len(entry_id) <= 128:
        detail = "An entry's id has 1 to 128 characters and no '#'."
        raise RulesRefused(detail, errors=[FieldError("entry_id", "pattern", detail)])


def _check_config_expected(agent: str, newest: AgentConfig | None, expect: Expect) -> None:
    if expect is Expectation.ABSENT and newest is not None:
        raise StoreError(AlreadyExists(f"{agent!a} has a config."))
    if isinstance(expect, int) and (newest is None or newest.revision != expect):
        told = f"at revision {newest.revision}" if newest else "not there"
        raise StoreError(VersionConflict(f"The config of {agent!a} is {told}, not at {expect}."))


def _config_ref(agent: str, revision: int) -> Ref:
    return Ref(AGENTS, ("AGENT", agent), f"{CONFIG_PREFIX}{revision:010}")


def _config(agent: str, document: Document) -> AgentConfig:
    revision = int(document.ref.key.removeprefix(CONFIG_PREFIX))
    return AgentConfig(agent, revision, document.fields["config"], document.fields["saved_by"], document.updated_at)


def _entry(document: Document) -> AuditEntry:
    fields = document.fields
    return AuditEntry(
        fields["entry_id"],
        _instant(document.ref.key.partition("#")[0]),
        fields["actor"],
        fields["request_id"],
        fields["entry"],
    )


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)
