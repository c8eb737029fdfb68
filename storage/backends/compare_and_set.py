"""Writes by compare-and-set, once for all cloud services: read, decide by the contract's rules, commit on condition, or again.

A commit whose answer was lost is looked up by its operation id, so it is neither repeated nor reported wrongly. Where that
cannot be told any more, because others have written since, the caller hears so.
"""

import random
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from northstar.errors import NorthstarError
from storage.backends.plans import Decided, Plan, Request, stamped
from storage.backends.service import WRITE_SECONDS, Change, Outrun, Place, Service, Stored, Unanswered
from storage.documents import ABSENT, Delete, Increment, Operation, Outcome, Put, Totals, Written
from storage.errors import BackendUnavailable, Throttled
from storage.group_commit import GroupCommit

UNAVAILABLE_ATTEMPTS: Final = 3
LONG_PAUSES: Final = 4
"""Doublings of the pause with which the tries after an unavailable service begin."""
FIRST_PAUSE_SECONDS: Final = 0.002
LONGEST_PAUSE_SECONDS: Final = 0.1
COUNTERS_KEPT: Final = 1024
"""Counters whose callers share commits; the longest unused is forgotten. Two committers of one counter only conflict."""
INCREMENTS_AT_ONCE: Final = 24
"""Increments of one counter that share a commit: with a memory for each well inside every service's transaction."""
CLOCK_DRIFT: Final = timedelta(seconds=5)
"""What the clocks of two writers may differ by."""

Believed = dict[str, Stored]
"""What is stored, by key, as far as is known."""

_UNKNOWN: Final = "The backend did not answer, and others have written since: this write may have happened or not."
_UNKNOWN_FIX: Final = "Read before you write again; a write with an operation id can be sent again safely."


def new_operation_id() -> str:
    """Return an id for a write whose caller gave none."""
    return secrets.token_hex(8)


class CompareAndSet:
    """The writes of one driver that no single native call can do."""

    def __init__(self, service: Service, *, epoch: int) -> None:
        self._service = service
        self._epoch = epoch
        self._counters: OrderedDict[tuple[Place, str], _Counter] = OrderedDict()
        self._lookup = threading.Lock()

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
        return self._counter(place, step.key).commits.submit(request)

    def finish(self, place: Place, step: Operation, operation_id: str, started: datetime) -> Outcome:
        """Finish a write whose native call was not answered: find out whether it has happened, and do it if it has not.

        `operation_id` is the driver's own, sent with the call; `started` is when. Raises as `write`, and Unanswered when it
        cannot be told.
        """
        stored, _ = self._service.load(place, [step.key], [])
        found = stored.get(step.key)
        if found and found.operation_id == operation_id:
            return _outcome_in(step, found)
        if found and not _untouched(step, found, started):
            raise Unanswered(_UNKNOWN, fix=_UNKNOWN_FIX)
        request = Request((step,), operation_id, named=False)
        (decided,) = self.run(place, [request], stored)[0]
        return _granted(decided)[0]

    def run(
        self, place: Place, requests: Sequence[Request], believed: Believed | None
    ) -> tuple[list[Decided], Believed]:
        """Decide and commit several requests together; return what each answers, and what is stored of their keys then.

        `believed` is what the keys are thought to hold, to save reading it. A refusal that rests on it is never believed.
        """
        started, failures, races = time.monotonic(), 0, 0
        while True:
            try:
                return self._attempt(place, requests, believed)
            except Outrun:
                races += 1
                if time.monotonic() - started > WRITE_SECONDS:
                    raise Throttled("Too many writers of one document: every attempt was outrun.") from None
                _pause(races)
            except BackendUnavailable as error:
                failures += 1
                late = time.monotonic() - started > WRITE_SECONDS
                if late or failures >= UNAVAILABLE_ATTEMPTS or isinstance(error, Unanswered):
                    raise
                _pause(failures + LONG_PAUSES)
            believed = None

    def _attempt(
        self, place: Place, requests: Sequence[Request], believed: Believed | None
    ) -> tuple[list[Decided], Believed]:
        keys = list(dict.fromkeys(key for request in requests for key in request.keys))
        names = [request.operation_id for request in requests if request.named]
        stored, memories = (believed, {}) if believed is not None else self._service.load(place, keys, names)
        counts = not self._service.commit_time_is_version
        plan = Plan(stored, memories, now=datetime.now(UTC), epoch=self._epoch, counts=counts)
        decided = [plan.decide(request) for request in requests]
        if believed is not None and any(isinstance(one, NorthstarError) for one in decided):
            raise Outrun
        if not plan.changes and not plan.memories:
            return decided, stored
        after, written = self._commit(place, plan)
        return [_stamped(one, written) for one in decided], stored | after

    def _commit(self, place: Place, plan: Plan) -> tuple[Believed, Written | None]:
        """Return what is stored of the changed keys now, and the version and time of the commit where there is only one."""
        changes = plan.changes
        try:
            after = self._service.commit(place, changes, plan.memories)
        except Unanswered as silence:
            return self._look(place, plan, silence)
        written = _commit_of(changes[0], after[0]) if after else None
        return {change.key: one for change, one in zip(changes, after, strict=True)}, written

    def _look(self, place: Place, plan: Plan, silence: Unanswered) -> tuple[Believed, Written | None]:
        """As `_commit`, when the commit has happened after all. Raises BackendUnavailable when it has not, else `silence`."""
        names = [memory.operation_id for memory in plan.memories]
        try:
            stored, memories = self._service.load(place, [change.key for change in plan.changes], names)
        except BackendUnavailable:
            raise silence from None
        if memories:
            raise Outrun  # done, by this try or an earlier call: the memory tells the answer
        for change in plan.changes:
            found = stored.get(change.key)
            if _landed(change, found):
                return stored, _commit_of(change, found) if found else None
        if names or all(_same(change.before, stored.get(change.key)) for change in plan.changes):
            raise BackendUnavailable("The backend did not answer; nothing was written.")
        raise Unanswered(_UNKNOWN, fix=_UNKNOWN_FIX)

    def _counter(self, place: Place, key: str) -> "_Counter":
        with self._lookup:
            counter = self._counters.get((place, key))
            if counter is None:
                counter = self._counters[place, key] = _Counter(self, place)
            self._counters.move_to_end((place, key))
            if len(self._counters) > COUNTERS_KEPT:
                self._counters.popitem(last=False)
            return counter


class _Counter:
    """The increments of one document in this process: they share commits, and remember what the last one left."""

    def __init__(self, writes: CompareAndSet, place: Place) -> None:
        self._writes = writes
        self._place = place
        self._believed: Believed | None = None
        self.commits: GroupCommit[Request, Totals] = GroupCommit(self._commit, INCREMENTS_AT_ONCE)

    def _commit(self, requests: list[Request]) -> list[Totals | Exception]:
        believed = None if any(request.named for request in requests) else self._believed
        self._believed = None
        decided, self._believed = self._writes.run(self._place, requests, believed)
        return [_totals(one) for one in decided]


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


def _landed(change: Change, found: Stored | None) -> bool:
    if found is None:  # deleted for good, by us as far as can be told
        return change.after.gone and change.before is not None
    return found.operation_id == change.after.operation_id


def _same(before: Stored | None, found: Stored | None) -> bool:
    if before is None or found is None:
        return before is found
    return (before.version, before.token) == (found.version, found.token)


def _stamped(decided: Decided, written: Written | None) -> Decided:
    return decided if written is None or isinstance(decided, NorthstarError) else stamped(decided, written)


def _outcome_in(step: Operation, found: Stored) -> Outcome:
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
