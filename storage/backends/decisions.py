"""What a write does to what it finds: the rules of the document contract that every driver applies alike."""

from collections.abc import Mapping
from typing import Any

from northstar.errors import AlreadyExists, IdempotencyMismatch, VersionConflict
from storage.documents import ABSENT, ANY, Expect, Increment, Number
from storage.errors import CeilingReached, FloorReached
from storage.values import add


def check_expectation(key: str, expect: Expect, *, version: int, present: bool) -> None:
    """Refuse a write that expected to find something else. Raises AlreadyExists or VersionConflict."""
    if expect is ANY:
        return
    if expect is ABSENT:
        if present:
            raise AlreadyExists(f"The key {key!a} exists already, with version {version}.")
    elif not present:
        raise VersionConflict(f"The key {key!a} does not exist; version {expect} was expected.")
    elif version != expect:
        raise VersionConflict(f"The key {key!a} has version {version}; version {expect} was expected.")


def sums(step: Increment, fields: Mapping[str, Any]) -> dict[str, Number]:
    """Return the totals of an increment of these fields. Raises InvalidValue, CeilingReached or FloorReached."""
    totals: dict[str, Number] = {}
    for name, delta in step.deltas.items():
        used = fields.get(name, 0)
        total = add(used, delta, name=name)
        if name in step.ceilings and total > step.ceilings[name]:
            raise CeilingReached(name, used, step.ceilings[name])
        if name in step.floors and total < step.floors[name]:
            raise FloorReached(name, used, step.floors[name])
        totals[name] = total
    return totals


def operation_id_reused(operation_id: str) -> IdempotencyMismatch:
    """The refusal of an operation id that another write has had."""
    return IdempotencyMismatch(
        f"The operation id {operation_id!a} was used for another write.", fix="Give each write its own."
    )
