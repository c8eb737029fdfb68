"""Writes by compare-and-set, once for all cloud services: read, decide by the contract's rules, commit on condition, or again.

A commit whose answer was lost is looked up by its operation id, so it is neither repeated nor reported wrongly. Where that
cannot be told any more, because others have written since, the caller hears so.
"""

import random
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from northstar.errors import NorthstarError
from storage.backends.forks import renew_after_fork
from storage.backends.plans import Decided, Plan, Request, stamped
from storage.backends.service import (
    UNSTAMPED_EXPIRING,
    WRITE_SECONDS,
    Change,
    Outrun,
    Place,
    Service,
    Stored,
    Unanswered,
)
from storage.documents import ABSENT, Delete, Increment, Operation, Outcome, Put, Totals, Written
from storage.errors import BackendUnavailable, Throttled
from storage.group_commit import GroupCommit
from storage.values import encode

UNAVAILABLE_ATTEMPTS: Final = 3
LONG_PAUSES: Final = 4
"""Doublings of the pause with which the tries after an unavailable service begin."""
FIRST_PAUSE_SECONDS: Final = 0.002
LONGEST_PAUSE_SECONDS: Final = 0.1
COUNTERS_KEPT: Final = 1024
"""Counters whose callers share commits; the longest unused is forgotten. Two committers of one counter only conflict."""
REMEMBERED_BYTES: Final = 16 * 1024
"""Fields of a counter that is remembered, encoded: so all of them together take some megabytes, and not hundreds."""
INCREMENTS_AT_ONCE: Final = 24
"""Increments of one counter that share a commit: with a memory for each well inside every service's transaction."""
CLOCK_DRIFT: Final = timedelta(seconds=5)
"""What the clocks of two writers may differ by."""

Believed = dict[str, Stored]
"""What is stored, by key, as far as is known."""

_NOTHING_YET: Final = "The backend did not answer, and nothing had been written when it was looked for."
_SILENT: Final = "The backend did not answer: this write may have happened or not."
_UNKNOWN: Final = "The backend did not answer, and others have written since: this write may have happened or not."
_UNKNOWN_FIX: Final = "Read before you write again; a write with an operation id can be sent again safely."


@dataclass(frozen=True, slots=True)
class _Silent:
    """A write that was not answered, without a memory to tell of it: it had not happened when looked for, and may yet arrive.

    `answers` says what it answers, from one of its changes and what is stored of that.
    """

    changes: Sequence[Change]
    answers: Callable[[Change, Stored | None], list[Decided]]


class _NotYet(Unanswered):
    """A commit was not answered, and had not happened when looked for."""

    def __init__(self, silent: _Silent | None) -> None:
        super().__init__(_NOTHING_YET, fix=_UNKNOWN_FIX)
        self.silent = silent


def new_operation_id() -> str:
    """Return an id for a write whose caller gave none."""
    return secrets.token_hex(8)


class CompareAndSet:
    """The writes of one driver that no single native call can do."""

    def __init__(self, service: Service, *, epoch: int) -> None:
        self._service = service
        self._epoch = epoch
        self._counters: OrderedDict[tuple[Place, str, bool], _Counter] = OrderedDict()
        self._lookup = threading.Lock()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Forget the commits of the parent's threads: they do not go on here, and nobody may wait for them."""
        self._lookup = threading.Lock()
        self._counters.clear()

    def write(self, place: Place, steps: Sequence[Operation], operation_id: str = "") -> list[Outcome]:
        """Apply all steps or none. The same operation id again answers as it did the first time.

        Raises what the first failing step raises alone, IdempotencyMismatch, Throttled, BackendUnavailable or BackendRejected.
        """
        request = Request(tuple(steps), operation_id or new_operation_id(), named=bool(operation_id))
        (decided,) = self.run(place, [request], {} if _creates(steps) else None)[0]
        return _granted(decided)

    def increment(self, place: Place, step: Increment, operation_id: str = "") -> Totals:
        """Apply one increment; those of one key that come at the same time share a commit. Raises as `write`."""
        request = Request((step,), operation_id or new_operation_id(), named=bool(operation_id))
        return self._counter(place, step.key, named=request.named).commits.submit((request, time.monotonic()))

    def finish(self, place: Place, step: Operation, operation_id: str, started: datetime) -> Outcome:
        """Finish a write whose native call was not answered: find out whether it has happened, and do it if it has not.

        `operation_id` is the driver's own, sent with the call; `started` is when. Raises as `write`, and Unanswered when it
        cannot be told: also when nobody answers any more.
        """
        try:
            return self._finish(place, step, operation_id, started)
        except Unanswered:
            raise
        except BackendUnavailable as error:
            raise Unanswered(_SILENT, fix=_UNKNOWN_FIX) from error

    def _finish(self, place: Place, step: Operation, operation_id: str, started: datetime) -> Outcome:
        stored, _ = self._service.load(place, [step.key], [])
        found = stored.get(step.key)
        if found and found.operation_id == operation_id:
            return _outcome_in(step, found)
        if found and not _untouched(step, found, started):
            raise Unanswered(_UNKNOWN, fix=_UNKNOWN_FIX)
        sent = Stored(0, {}, started, operation_id=operation_id, gone=isinstance(step, Delete))
        silent = _Silent([Change(step.key, found, sent)], lambda _, stored: [[_outcome_in(step, stored)]])
        request = Request((step,), operation_id, named=False)
        (decided,) = self.run(place, [request], stored, silent)[0]
        return _granted(decided)[0]

    def run(
        self, place: Place, requests: Sequence[Request], believed: Believed | None, silent: _Silent | None = None
    ) -> tuple[list[Decided], Believed]:
        """Decide and commit several requests together; return what each answers, and what is stored of their keys then.

        `believed` is what the keys are thought to hold, to save reading it. A refusal that rests on it is never believed.
        `silent` is an unanswered call of the only request. All requests are named, or none is: a memory tells of its commit.
        """
        started, failures, races = time.monotonic(), 0, 0
        unanswered = [silent] if silent else []
        while True:
            try:
                return self._attempt(place, requests, believed, unanswered)
            except Outrun:
                races += 1
                if time.monotonic() - started > WRITE_SECONDS:
                    raise Throttled("Too many writers of one document: every attempt was outrun.") from None
                _pause(races)
            except BackendUnavailable as error:
                failures += 1
                late = time.monotonic() - started > WRITE_SECONDS
                final = isinstance(error, Unanswered) and not isinstance(error, _NotYet)
                if late or final or failures >= UNAVAILABLE_ATTEMPTS:
                    raise
                if isinstance(error, _NotYet) and error.silent:
                    unanswered.append(error.silent)
                _pause(failures + LONG_PAUSES)
            believed = None

    def _attempt(
        self, place: Place, requests: Sequence[Request], believed: Believed | None, unanswered: Sequence[_Silent]
    ) -> tuple[list[Decided], Believed]:
        keys = list(dict.fromkeys(key for request in requests for key in request.keys))
        names = [request.operation_id for request in requests if request.named]
        stored, memories = (believed, {}) if believed is not None else self._service.load(place, keys, names)
        answered = _answers_of(unanswered, stored) if believed is None else None
        if answered:
            return answered, stored
        counts = not self._service.commit_time_is_version
        plan = Plan(stored, memories, now=datetime.now(UTC), epoch=self._epoch, counts=counts)
        decided = [plan.decide(request) for request in requests]
        if believed is not None and any(isinstance(one, NorthstarError) for one in decided):
            raise Outrun
        if not plan.changes and not plan.memories:
            return decided, stored
        return self._commit(place, plan, decided, stored)

    def _commit(
        self, place: Place, plan: Plan, decided: list[Decided], stored: Believed
    ) -> tuple[list[Decided], Believed]:
        changes = plan.changes
        try:
            after = self._service.commit(place, changes, plan.memories)
        except Unanswered as silence:
            return self._look(place, plan, decided, silence)
        written = _commit_of(changes[0], after[0]) if after else None
        now_stored = {change.key: one for change, one in zip(changes, after, strict=True)}
        return [_stamped(one, written) for one in decided], stored | now_stored

    def _look(
        self, place: Place, plan: Plan, decided: list[Decided], silence: Unanswered
    ) -> tuple[list[Decided], Believed]:
        """As `_commit`, when the commit has happened after all. Raises Outrun, _NotYet, or `silence` when nothing is seen."""
        names = [memory.operation_id for memory in plan.memories]
        try:
            stored, memories = self._service.load(place, [change.key for change in plan.changes], names)
        except BackendUnavailable:
            raise silence from None
        if memories:
            raise Outrun  # done, by this try or an earlier call: the memory tells the answer
        if names:
            raise _NotYet(None)  # and when it arrives, its memory will tell
        silent = _Silent(plan.changes, partial(_stamped_by, decided))
        answered = _answers_of([silent], stored)
        if answered:
            return answered, stored
        raise _NotYet(silent)

    def _counter(self, place: Place, key: str, *, named: bool) -> "_Counter":
        with self._lookup:
            counter = self._counters.get((place, key, named))
            if counter is None:
                counter = self._counters[place, key, named] = _Counter(self, place, named=named)
            self._counters.move_to_end((place, key, named))
            if len(self._counters) > COUNTERS_KEPT:
                self._counters.popitem(last=False)
            return counter


_Waiting = tuple[Request, float]
"""A request, and since when it waits."""


class _Counter:
    """The increments of one document in this process, named or not: they share commits.

    Those that are not named remember what the last one left, if it is small; a named one must read its memory, and so reads
    the document too.
    """

    def __init__(self, writes: CompareAndSet, place: Place, *, named: bool) -> None:
        self._writes = writes
        self._place = place
        self._named = named
        self._believed: Believed | None = None
        self.commits: GroupCommit[_Waiting, Totals] = GroupCommit(self._commit, INCREMENTS_AT_ONCE)

    def _commit(self, waiting: list[_Waiting]) -> list[Totals | Exception]:
        """Commit those that have not waited too long: behind a service that is silent, each commit before took its time."""
        longest = time.monotonic() - WRITE_SECONDS
        requests = [request for request, since in waiting if since > longest]
        believed, self._believed = self._believed, None
        if not requests:
            return [_not_sent() for _ in waiting]
        decided, left = self._writes.run(self._place, requests, believed)
        self._believed = left if not self._named and _is_small(left) else None
        answers = iter(decided)
        return [_totals(next(answers)) if since > longest else _not_sent() for _, since in waiting]


def _is_small(left: Believed) -> bool:
    return all(len(encode(stored.fields)) <= REMEMBERED_BYTES for stored in left.values())


def _not_sent() -> BackendUnavailable:
    return BackendUnavailable("The writes of this document before it took too long; this one was not sent.")


def _totals(decided: Decided) -> Totals | Exception:
    if isinstance(decided, NorthstarError):
        return decided
    (totals,) = decided
    assert isinstance(totals, Totals)
    return totals


def _granted(decided: Decided) -> list[Outcome]:
    if isinstance(decided, NorthstarError):
        raise decided
    return decided


def _creates(steps: Sequence[Operation]) -> bool:
    """Whether the write expects to find nothing at all, so that reading first would be a round trip for nothing."""
    return all(isinstance(step, Put) and step.expect is ABSENT for step in steps)


def _commit_of(change: Change, stored: Stored) -> Written:
    """The version and time that the service gave the commit of a change, if it is the service that counts."""
    return Written(stored.version - change.after.version, stored.updated_at)


def _answers_of(unanswered: Sequence[_Silent], stored: Believed) -> list[Decided] | None:
    """Return what the unanswered write answers if it has happened, None if not yet. Raises Unanswered if that cannot be told."""
    for silent in unanswered:
        for change in silent.changes:
            found = stored.get(change.key)
            if _landed(change, found):
                return silent.answers(change, found)
    if any(not _same(change.before, stored.get(change.key)) for silent in unanswered for change in silent.changes):
        raise Unanswered(_UNKNOWN, fix=_UNKNOWN_FIX)
    return None


def _landed(change: Change, found: Stored | None) -> bool:
    if found is None:  # deleted for good, by us as far as can be told
        return change.after.gone and change.before is not None
    known = change.after.version > UNSTAMPED_EXPIRING
    return found.operation_id == change.after.operation_id and (not known or found.version == change.after.version)


def _same(before: Stored | None, found: Stored | None) -> bool:
    if before is None or found is None:
        return before is found
    return (before.version, before.token) == (found.version, found.token)


def _stamped_by(decided: Sequence[Decided], change: Change, found: Stored | None) -> list[Decided]:
    """Return the answers of a commit with the version and time that one of its changes tells, as it is stored."""
    return [_stamped(one, _commit_of(change, found) if found else None) for one in decided]


def _stamped(decided: Decided, written: Written | None) -> Decided:
    return decided if written is None or isinstance(decided, NorthstarError) else stamped(decided, written)


def _outcome_in(step: Operation, found: Stored | None) -> Outcome:
    """Return what a step answered that left this; only a removal leaves nothing."""
    if found is None:
        return True
    match step:
        case Put():
            return Written(found.version, found.updated_at)
        case Delete():
            return found.gone
        case Increment():
            return Totals({name: found.fields[name] for name in step.deltas}, found.version)


def _untouched(step: Operation, found: Stored, started: datetime) -> bool:
    """Whether nobody, not even this write, has changed the document since the write was sent."""
    expect = None if isinstance(step, Increment) else step.expect
    return found.version == expect or found.updated_at < started - CLOCK_DRIFT


def _pause(times: int) -> None:
    longest = min(FIRST_PAUSE_SECONDS * 2**times, LONGEST_PAUSE_SECONDS)
    time.sleep(random.uniform(0, longest))  # noqa: S311 - jitter, not a secret
