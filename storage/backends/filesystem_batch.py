"""What a batch of writes would do to one partition: each sees those before it, and nothing is stored until all are decided."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from northstar.errors import NorthstarError
from northstar.instants import instant_text
from storage.backends.decisions import check_expectation, operation_id_reused, sums
from storage.backends.filesystem_index import Index, IndexDamaged, Meta, Remembered, Row
from storage.backends.filesystem_lines import (
    SINGLE,
    Answer,
    Member,
    Stamp,
    answers_of,
    delete_member,
    from_microseconds,
    member_at,
    microseconds,
    parse,
    put_member,
    write_line,
)
from storage.backends.filesystem_log import LogFile
from storage.documents import Delete, Expect, Increment, Operation, Outcome, Put, Totals, Value, Written
from storage.values import check_size, decode, encode, restore_fields


@dataclass(frozen=True, slots=True)
class EncodedPut:
    """A Put whose fields are encoded already, outside the lock."""

    key: str
    data: bytes
    expect: Expect
    expires_at: datetime | None


Step = EncodedPut | Delete | Increment


@dataclass(frozen=True, slots=True)
class Request:
    """One write: all of its steps or none. `operation_id` is the caller's, empty when there is none."""

    steps: tuple[Step, ...]
    operation_id: str = ""


def step_of(operation: Operation) -> Step:
    """Prepare an operation for a request. Raises InvalidValue or InvalidKey."""
    if isinstance(operation, Put):
        return EncodedPut(operation.key, encode(operation.fields), operation.expect, operation.expires_at)
    return operation


@dataclass(frozen=True, slots=True)
class _State:
    """A key as the batch sees it. `source` has the fields, encoded or not, or says where in the log they lie."""

    version: int
    present: bool
    expires_at: datetime | None = None
    source: bytes | dict[str, Value] | Row | None = None


_Changes = dict[str, _State]


class Batch:
    """Decides writes against the index, and collects the bytes for the log and the rows for the index."""

    def __init__(self, index: Index, log: LogFile, meta: Meta, *, now: datetime, epoch: int) -> None:
        self.lines: list[bytes] = []
        self.rows: dict[str, Row] = {}
        self.remembered: list[Remembered] = []
        self.live = meta.live
        self.end = meta.upto
        self.now = microseconds(now)
        self._now = now
        self._updated_at = instant_text(now)
        self._floor = meta.floor
        self._epoch = epoch
        self._index = index
        self._log = log
        self._own_id = secrets.token_hex(6)
        self._looked_up: dict[str, Row | None] = {}
        self._states: _Changes = {}
        self._shares: dict[str, int] = {}
        self._answers: dict[str, list[Answer]] = {}

    def apply_all(self, requests: Sequence[Request]) -> list[list[Outcome] | NorthstarError]:
        """Decide several writes, each for itself, and return what each answers."""
        if len(requests) > 1:
            self._look_up(requests)
        return [self._answer(request) for request in requests]

    def _answer(self, request: Request) -> list[Outcome] | NorthstarError:
        step = request.steps[0]
        plain = type(step) is EncodedPut and len(request.steps) == 1 and not request.operation_id
        try:
            if plain and step.key in self._looked_up and step.key not in self._states:
                return [self._put_alone(step, self._looked_up[step.key])]  # type: ignore[arg-type]
            return self.apply(request)
        except NorthstarError as error:
            return error

    def _put_alone(self, step: EncodedPut, row: Row | None) -> Written:
        """As `apply`, for what bulks are made of: one put that nobody will repeat, of a key that nothing here has touched."""
        before, present = (self._floor, False) if row is None else (row.version, row.present(self.now))
        check_expectation(step.key, step.expect, version=before, present=present)
        version = before + 1
        stamp = Stamp(self._updated_at, self._epoch, f"{self._own_id}{len(self.lines):04x}", remember=False)
        line = write_line([put_member(step.key, step.data, version, step.expires_at)], stamp)
        length = len(line)
        gone_at = None if step.expires_at is None else microseconds(step.expires_at)
        self.rows[step.key] = Row(step.key.encode(), self.end, length, SINGLE, length, version, 0, gone_at)
        self._states[step.key] = _State(version, self._lasts(step.expires_at), step.expires_at, step.data)
        self.live += length - (row.share if row else 0)
        self._shares[step.key] = length
        self.lines.append(line)
        self.end += length
        return Written(version, self._now)

    def _look_up(self, requests: Sequence[Request]) -> None:
        """Read what many requests ask about at once: one statement for hundreds of keys."""
        keys = {step.key.encode() for request in requests for step in request.steps}
        found = self._index.rows(keys)
        self._looked_up |= {key.decode(): found.get(key) for key in keys}

    def apply(self, request: Request) -> list[Outcome]:
        """Decide one write and return what it answers. Raises what its first failing step raises; then nothing is collected."""
        if request.operation_id:
            answers = self._known(request.operation_id)
            if answers is not None:
                return _repeated(request, answers)
        changes: _Changes = {}
        decided = [self._decide(step, changes, named=bool(request.operation_id)) for step in request.steps]
        self._states |= changes
        outcomes = [outcome for _, outcome in decided]
        members = [member for member, _ in decided if member is not None]
        if members:
            self._collect(request, members, changes)
        if request.operation_id:
            self._answers[request.operation_id] = [
                Answer(step.key, outcome) for step, outcome in zip(request.steps, outcomes, strict=True)
            ]
        return outcomes

    def _known(self, operation_id: str) -> list[Answer] | None:
        if operation_id in self._answers:
            return self._answers[operation_id]
        found = self._index.remembered(operation_id, now=self.now)
        if found is None:
            return None
        try:
            return answers_of(self._log.read(found.offset, found.length))
        except (KeyError, TypeError, ValueError) as error:
            raise IndexDamaged from error

    def _decide(self, step: Step, changes: _Changes, *, named: bool) -> tuple[Member | None, Outcome]:
        state = changes.get(step.key) or self._states.get(step.key) or self._stored(step.key)
        match step:
            case EncodedPut():
                return self._put(step, state, changes)
            case Delete():
                return self._delete(step, state, changes, named=named)
            case Increment():
                return self._increment(step, state, changes)

    def _put(self, step: EncodedPut, state: _State, changes: _Changes) -> tuple[Member, Written]:
        check_expectation(step.key, step.expect, version=state.version, present=state.present)
        version = state.version + 1
        changes[step.key] = _State(version, self._lasts(step.expires_at), step.expires_at, step.data)
        return put_member(step.key, step.data, version, step.expires_at), Written(version, self._now)

    def _delete(self, step: Delete, state: _State, changes: _Changes, *, named: bool) -> tuple[Member | None, bool]:
        check_expectation(step.key, step.expect, version=state.version, present=state.present)
        if not state.present:  # worth a line only where a repetition must be recognised
            return delete_member(step.key, state.version, existed=False) if named else None, False
        changes[step.key] = _State(state.version + 1, present=False)
        return delete_member(step.key, state.version + 1, existed=True), True

    def _increment(self, step: Increment, state: _State, changes: _Changes) -> tuple[Member, Totals]:
        fields = self._fields(state) if state.present else {}
        values = sums(step, fields)
        fields |= values
        data = encode(fields)
        check_size(data)
        version, expires_at = state.version + 1, state.expires_at if state.present else None
        changes[step.key] = _State(version, present=True, expires_at=expires_at, source=fields)
        return put_member(step.key, data, version, expires_at, step.deltas), Totals(values, version)

    def _collect(self, request: Request, members: list[Member], changes: _Changes) -> None:
        remember = bool(request.operation_id)
        operation_id = request.operation_id or f"{self._own_id}{len(self.lines):04x}"
        line = write_line(members, Stamp(self._updated_at, self._epoch, operation_id, remember))
        share = len(line) // len(members)
        for op, member in enumerate(members):
            key = member["key"]
            if key in changes:
                place = op if len(members) > 1 else SINGLE
                self._save_row(key, changes[key], (self.end, len(line), place, share))
        if remember:
            self.remembered.append(Remembered(operation_id, self.now, self.end, len(line)))
        self.lines.append(line)
        self.end += len(line)

    def _save_row(self, key: str, state: _State, place: tuple[int, int, int, int]) -> None:
        deleted = state.source is None
        gone_at = self.now if deleted else microseconds(state.expires_at) if state.expires_at else None
        self.rows[key] = Row(key.encode(), *place, state.version, int(deleted), gone_at)
        share = place[-1]
        self.live += share - self._shares.get(key, 0)
        self._shares[key] = share

    def _stored(self, key: str) -> _State:
        row = self._looked_up[key] if key in self._looked_up else self._index.row(key.encode())
        if row is None:
            return _State(self._floor, present=False)
        self._shares[key] = row.share
        if not row.present(self.now):
            return _State(row.version, present=False)
        expires_at = None if row.gone_at is None else from_microseconds(row.gone_at)
        return _State(row.version, present=True, expires_at=expires_at, source=row)

    def _fields(self, state: _State) -> dict[str, Value]:
        source = state.source
        if isinstance(source, bytes):
            return decode(source)
        if isinstance(source, Row):
            try:
                raw = self._log.read(source.offset, source.length)
                return restore_fields(member_at(parse(raw), source.op)["data"], raw)
            except (KeyError, IndexError, TypeError, ValueError) as error:
                raise IndexDamaged from error
        return dict(source or {})

    def _lasts(self, expires_at: datetime | None) -> bool:
        return expires_at is None or microseconds(expires_at) > self.now


def _repeated(request: Request, answers: list[Answer]) -> list[Outcome]:
    """Return the first outcomes, if they are those of the same write."""
    asked = [(step.key, _ANSWERS[type(step)]) for step in request.steps]
    if asked != [(answer.key, type(answer.outcome)) for answer in answers]:
        raise operation_id_reused(request.operation_id)
    return [answer.outcome for answer in answers]


_ANSWERS: Final[dict[type, type]] = {EncodedPut: Written, Delete: bool, Increment: Totals}
