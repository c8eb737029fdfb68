"""What writes would do to the documents that were read: every request decided before anything is sent."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import orjson

from northstar.errors import NorthstarError
from storage.backends.decisions import check_expectation, operation_id_reused, sums
from storage.backends.service import REMEMBERED, UNSTAMPED, UNSTAMPED_EXPIRING, Change, Memory, Stored, version_at
from storage.documents import Delete, Increment, Operation, Outcome, Put, Totals, Written
from storage.values import check_size, decode, encode

_UNSTAMPED: Final = (UNSTAMPED, UNSTAMPED_EXPIRING)
_ANSWERED: Final[dict[type, str]] = {Put: "written", Delete: "existed", Increment: "totals"}


@dataclass(frozen=True, slots=True)
class Request:
    """One write: all of its steps or none. `named` says that the caller gave the operation id, so its answer is remembered."""

    steps: tuple[Operation, ...]
    operation_id: str
    named: bool

    @property
    def keys(self) -> list[str]:
        return [step.key for step in self.steps]


Decided = list[Outcome] | NorthstarError


class Plan:
    """Decides requests one after the other, each seeing those before it, and collects the changes that they need."""

    def __init__(
        self, stored: Mapping[str, Stored], memories: Mapping[str, Memory], *, now: datetime, epoch: int, counts: bool
    ) -> None:
        self._stored = stored
        self._known = dict(memories)
        self._now = now
        self._epoch = epoch
        self._counts = counts
        self._after: dict[str, Stored] = {}
        self.memories: list[Memory] = []

    @property
    def changes(self) -> list[Change]:
        return [Change(key, self._stored.get(key), after) for key, after in self._after.items()]

    def decide(self, request: Request) -> Decided:
        """Return what the request would answer; its error when it is refused, and then nothing of it is collected."""
        try:
            known = self._known.get(request.operation_id) if request.named else None
            return _repeated(request, known) if known else self._decide(request)
        except NorthstarError as error:
            return error

    def _decide(self, request: Request) -> list[Outcome]:
        after: dict[str, Stored] = {}
        outcomes = [self._step(step, request, after) for step in request.steps]
        if request.named:
            memory = Memory(request.operation_id, _encoded(request, outcomes), self._now + REMEMBERED)
            self._known[request.operation_id] = memory  # the same id may come again at the same time
            self.memories.append(memory)
        self._after |= after
        return outcomes

    def _step(self, step: Operation, request: Request, after: dict[str, Stored]) -> Outcome:
        operation_id = request.operation_id
        state = self._after.get(step.key) or self._stored.get(step.key)
        present = state is not None and state.present(self._now)
        if not isinstance(step, Increment):
            check_expectation(step.key, step.expect, version=state.version if state else 0, present=present)
        match step:
            case Put():
                made = self._made(state, operation_id, dict(step.fields), step.expires_at)
                after[step.key] = made
                return Written(made.version, made.updated_at)
            case Delete():
                if present or len(request.steps) > 1:  # the other steps are only right while it is still absent
                    after[step.key] = replace(self._made(state, operation_id, {}, None), gone=True)
                return present
            case Increment():
                fields = dict(state.fields) if state and present else {}
                totals = sums(step, fields)
                fields |= totals
                check_size(encode(fields))
                made = self._made(state, operation_id, fields, state.expires_at if state and present else None)
                after[step.key] = made
                return Totals(totals, made.version)

    def _made(
        self, state: Stored | None, operation_id: str, fields: dict[str, Any], expires_at: datetime | None
    ) -> Stored:
        version = UNSTAMPED if expires_at is None else UNSTAMPED_EXPIRING
        if self._counts:
            version = version_at(self._now, above=state.version if state else 0)
        return Stored(version, fields, self._now, expires_at, self._epoch, operation_id)


def stamped(outcomes: Sequence[Outcome], written: Written) -> list[Outcome]:
    """Return the outcomes with the version and time that the service gave the commit, where they were not known before."""
    return [_stamped(outcome, written) for outcome in outcomes]


def _stamped(outcome: Outcome, written: Written) -> Outcome:
    match outcome:
        case Written(mark) if mark in _UNSTAMPED:
            return Written(written.version + mark, written.updated_at)
        case Totals(values, mark) if mark in _UNSTAMPED:
            return Totals(values, written.version + mark)
    return outcome


def _repeated(request: Request, memory: Memory) -> list[Outcome]:
    """Return the first outcomes, if they are those of the same write."""
    answers = orjson.loads(memory.answers)
    asked = [[step.key, _ANSWERED[type(step)]] for step in request.steps]
    if asked != [[answer["key"], _kind_of(answer)] for answer in answers]:
        raise operation_id_reused(request.operation_id)
    outcomes = [_outcome(answer) for answer in answers]
    return stamped(outcomes, memory.written) if memory.written else outcomes


def _encoded(request: Request, outcomes: Sequence[Outcome]) -> str:
    answers = [dict(_answer(step.key, outcome)) for step, outcome in zip(request.steps, outcomes, strict=True)]
    return orjson.dumps(answers).decode()


def _answer(key: str, outcome: Outcome) -> Iterator[tuple[str, Any]]:
    yield "key", key
    match outcome:
        case Written(version, updated_at):
            yield "version", version
            yield "written", updated_at.isoformat()
        case Totals(values, version):
            yield "version", version
            yield "totals", orjson.Fragment(encode(values))
        case existed:
            yield "existed", existed


def _kind_of(answer: Mapping[str, Any]) -> str:
    return next(kind for kind in _ANSWERED.values() if kind in answer)


def _outcome(answer: Mapping[str, Any]) -> Outcome:
    if "existed" in answer:
        return bool(answer["existed"])
    if "written" in answer:
        return Written(answer["version"], datetime.fromisoformat(answer["written"]))
    return Totals(decode(orjson.dumps(answer["totals"])), answer["version"])
