"""Shared commits: moves in one place that come while a write runs share the next: a counter that all use is written once for all.

A write of several is made of the increments of each counter added up. What it would be refused for is not told from it: then each
is written alone, and answers for itself. Merged and accepted, they could have come one after another: those that give back first.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from analytics.budgets.names import TABLE
from northstar.errors import NorthstarError
from storage.documents import ATOMIC_OPERATIONS, Deltas, Increment, Operation, Outcome, Totals
from storage.errors import BackendUnavailable
from storage.group_commit import GroupCommit
from storage.kinds.tabular_store import TabularStore

TOGETHER: Final = 24
"""Moves that share a write at most."""
LONGEST_WAIT_SECONDS: Final = 15.0
"""Behind a service that is silent each write before takes its time: who has waited longer is told so, and nothing was sent."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """One caller's operations, the store that it writes them to, and since when it waits."""

    store: TabularStore
    operations: Sequence[Operation]
    since: float


Commits = GroupCommit[Waiting, list[Outcome]]


def new_commits() -> Commits:
    """Return the shared commits of one place."""
    return GroupCommit(_commit, TOGETHER)


def waiting(store: TabularStore, operations: Sequence[Operation]) -> Waiting:
    """Return operations that are to be written now."""
    return Waiting(store, operations, time.monotonic())


def _commit(batch: list[Waiting]) -> list[list[Outcome] | Exception]:
    answers: list[list[Outcome] | Exception] = []
    for together in _chunks(batch):
        answers += _write(together)
    return answers


def _chunks(batch: list[Waiting]) -> list[list[Waiting]]:
    """Neighbours that fit one atomic write."""
    chunks: list[list[Waiting]] = []
    merged: dict[str, Operation] = {}
    for one in batch:
        joined = _joined(merged, one.operations) if chunks else None
        if joined is None:
            chunks.append([])
            joined = {operation.key: operation for operation in one.operations}
        chunks[-1].append(one)
        merged = joined
    return chunks


def _joined(merged: dict[str, Operation], more: Sequence[Operation]) -> dict[str, Operation] | None:
    """The operations with these added, None where they cannot share a write."""
    joined = dict(merged)
    for operation in more:
        before = joined.get(operation.key)
        if before is None:
            joined[operation.key] = operation
        elif isinstance(before, Increment) and isinstance(operation, Increment):
            if before.floors or operation.floors:
                return None  # a floor wants what is added first, a ceiling what is given back
            joined[operation.key] = _sum(before, operation)
        else:
            return None
    return joined if len(joined) <= ATOMIC_OPERATIONS else None


def _sum(one: Increment, other: Increment) -> Increment:
    names = {**one.deltas, **other.deltas}
    deltas = {name: _whole(one.deltas, name) + _whole(other.deltas, name) for name in names}
    bounded = {**one.ceilings, **other.ceilings}
    ceilings = {
        name: min(_whole(bounds, name) for bounds in (one.ceilings, other.ceilings) if name in bounds)
        for name in bounded
    }
    return replace(one, deltas=deltas, ceilings=ceilings)


def _write(together: list[Waiting]) -> list[list[Outcome] | Exception]:
    if len(together) == 1:
        return [_alone(together[0])]
    merged: dict[str, Operation] | None = {}
    for one in together:
        merged = _joined(merged or {}, one.operations)
    assert merged is not None
    keys = list(merged)
    try:
        outcomes = together[0].store.write(TABLE, list(merged.values()))
    except BackendUnavailable as error:  # whether it has happened is not known: nothing is sent again under its callers
        return [error for _ in together]
    except NorthstarError:
        return [_alone(one) for one in together]
    return list(_told(together, dict(zip(keys, outcomes, strict=True))))


def _alone(one: Waiting) -> list[Outcome] | Exception:
    if time.monotonic() - one.since > LONGEST_WAIT_SECONDS:
        return BackendUnavailable("The writes of this place before it took too long; this one was not sent.")
    try:
        return one.store.write(TABLE, one.operations)
    except NorthstarError as error:
        return error


def _told(together: list[Waiting], outcomes: dict[str, Outcome]) -> list[list[Outcome]]:
    """What each would have been told, had they come one after another."""
    after = dict(outcomes)
    answers: list[list[Outcome]] = []
    for one in reversed(together):
        answers.append([after[operation.key] for operation in one.operations])
        for operation in one.operations:
            totals = after[operation.key]
            if isinstance(operation, Increment) and isinstance(totals, Totals):
                before = {name: value - _whole(operation.deltas, name) for name, value in totals.values.items()}
                after[operation.key] = replace(totals, values=before)
    answers.reverse()
    return answers


def _whole(deltas: Deltas, name: str) -> int:
    return int(deltas.get(name, 0))
