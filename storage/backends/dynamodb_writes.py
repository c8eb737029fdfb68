"""Single writes in one native call each, with the contract's condition; what it cannot decide goes on by compare-and-set."""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from storage.backends.compare_and_set import CompareAndSet, new_operation_id
from storage.backends.decisions import check_expectation, sums
from storage.backends.dynamodb_client import Connection
from storage.backends.dynamodb_errors import ConditionFailed, RequestInvalid
from storage.backends.dynamodb_increments import native_update, totals_of
from storage.backends.dynamodb_items import item_of, key_of, microseconds, partition_name, stored_in
from storage.backends.dynamodb_precedence import Precedence
from storage.backends.dynamodb_tables import Tables
from storage.backends.dynamodb_values import Typed
from storage.backends.sending import pause_after, sent
from storage.backends.service import Outrun, Place, Stored, Unanswered, instant_of
from storage.backends.versions import Versions
from storage.documents import (
    ABSENT,
    ANY,
    Delete,
    Expect,
    Increment,
    Number,
    Operation,
    Outcome,
    Put,
    Totals,
    Value,
    Written,
)
from storage.values import checked

NATIVE_TRIES: Final = 4
"""Of an increment: as its delta suggests, as the refusal showed the document, and again where others changed it meanwhile."""

BLIND_TRIES: Final = 10
"""Of a put without expectation, which a later version has overtaken on the way: the next is later still."""
SOON: Final = 3
"""So many of them without a pause."""

_PRESENT: Final = "attribute_not_exists(gone) AND (attribute_not_exists(expires) OR expires > :now)"
_REPLACE: Final = "attribute_not_exists(version) OR version < :version"
_CREATE: Final = "attribute_not_exists(version) OR (version < :version AND (attribute_exists(gone) OR expires <= :now))"
_REPLACE_VERSION: Final = f"version = :expected AND {_PRESENT}"
_REMOVE: Final = f"version < :version AND {_PRESENT}"

Send = Callable[[str, datetime], Outcome]
"""Sends the write once, with this operation id at this moment."""


class NativeWrites:
    """The writes whose caller gave no operation id. Each raises what the contract says, or as `CompareAndSet.finish`."""

    def __init__(
        self,
        connection: Connection,
        tables: Tables,
        writes: CompareAndSet,
        precedence: Precedence,
        versions: Versions,
        *,
        epoch: int,
    ) -> None:
        self._connection = connection
        self._tables = tables
        self._writes = writes
        self._precedence = precedence
        self._versions = versions
        self._epoch = epoch

    def put(self, place: Place, step: Put) -> Written:
        fields = checked(step.fields)

        def send(operation_id: str, now: datetime) -> Outcome:
            self._precedence.give(place, step.key)
            version = self._versions.next(now, above=step.expect if isinstance(step.expect, int) else 0)
            after = Stored(version, fields, now, step.expires_at, self._epoch, operation_id)
            self._put_item(place, step.key, after, *_put_condition(step.expect, version, now))
            self._versions.saw(version)
            return Written(version, now)

        for attempt in range(1, 1 + (BLIND_TRIES if step.expect is ANY else 1)):
            try:
                written = self._settled(place, step, send)
            except ConditionFailed as refusal:
                _check(step.key, step.expect, _found(refusal))
                self._versions.saw(int(refusal.found["version"]["N"]) if refusal.found else 0)
                time.sleep(pause_after(attempt) if attempt > SOON else 0)
            except Outrun:
                break
            else:
                assert isinstance(written, Written)
                return written
        (written,) = self._writes.write(place, [step])
        assert isinstance(written, Written)
        return written

    def delete(self, place: Place, step: Delete) -> bool:
        def send(operation_id: str, now: datetime) -> Outcome:
            version = self._versions.next(now, above=0 if step.expect is ANY else step.expect)
            trace = Stored(version, {}, now, epoch=self._epoch, operation_id=operation_id, gone=True)
            self._put_item(place, step.key, trace, *_delete_condition(step.expect, version, now))
            self._versions.saw(version)
            return True

        try:
            return self._settled(place, step, send) is True
        except ConditionFailed as refusal:
            found = _found(refusal)
            _check(step.key, step.expect, found)
            if found is None:
                return False
        except Outrun:
            pass
        return self._writes.write(place, [step]) == [True]

    def increment(self, place: Place, step: Increment) -> Totals:
        send = self._adding(place, step, None)
        for _ in range(NATIVE_TRIES):
            try:
                totals = self._settled(place, step, send)
            except ConditionFailed as refusal:
                found = _found(refusal)
                wanted = sums(step, found.fields if found else {})  # raises what the caller is told
                if found and instant_of(found.version) > datetime.now(UTC):
                    break  # no update is applied to a version that a clock ahead of this one has given
                send = self._adding(place, step, found.fields) if found else self._creating(place, step, wanted)
            except (Outrun, RequestInvalid):
                break
            else:
                assert isinstance(totals, Totals)
                return totals
        return self._writes.increment(place, step)

    def _adding(self, place: Place, step: Increment, fields: Mapping[str, Value] | None) -> Send:
        """Return how to add to the fields, as they were seen to be; None: not seen. It raises Outrun where no update can."""

        def send(operation_id: str, now: datetime) -> Outcome:
            update = native_update(step, fields, now=now, epoch=self._epoch, operation_id=operation_id)
            if update is None:
                raise Outrun
            self._precedence.give(place, step.key)
            key = key_of(partition_name(*place), step.key)
            table = self._tables.of(place.collection)
            answer = self._connection.send("update_item", TableName=table, Key=key, **update)
            return totals_of(step, answer["Attributes"])

        return send

    def _creating(self, place: Place, step: Increment, totals: dict[str, Number]) -> Send:
        """Return how to create the document, with the totals as its fields."""

        def send(operation_id: str, now: datetime) -> Outcome:
            version = self._versions.next(now)
            created = Stored(version, checked(totals), now, epoch=self._epoch, operation_id=operation_id)
            self._put_item(place, step.key, created, *_put_condition(ABSENT, version, now))
            return Totals(totals, version)

        return send

    def _settled(self, place: Place, step: Operation, send: Send) -> Outcome:
        """Send until it is answered; what surely was not applied is sent again. Raises ConditionFailed or Outrun as sent."""
        operation_id, started = new_operation_id(), datetime.now(UTC)
        try:
            return sent(lambda: send(operation_id, datetime.now(UTC)))
        except Unanswered:
            return self._writes.finish(place, step, operation_id, started)

    def _put_item(self, place: Place, key: str, after: Stored, condition: str, values: dict[str, Typed]) -> None:
        self._connection.send(
            "put_item",
            TableName=self._tables.of(place.collection),
            Item=item_of(partition_name(*place), key, after),
            ConditionExpression=condition,
            ExpressionAttributeValues=values,
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )


def _put_condition(expect: Expect, version: int, now: datetime) -> tuple[str, dict[str, Typed]]:
    if expect is ANY:
        return _REPLACE, {":version": {"N": str(version)}}
    if expect is ABSENT:
        return _CREATE, {":version": {"N": str(version)}, ":now": microseconds(now)}
    return _REPLACE_VERSION, {":expected": {"N": str(expect)}, ":now": microseconds(now)}


def _delete_condition(expect: Any, version: int, now: datetime) -> tuple[str, dict[str, Typed]]:
    if expect is ANY:
        return _REMOVE, {":version": {"N": str(version)}, ":now": microseconds(now)}
    return _REPLACE_VERSION, {":expected": {"N": str(expect)}, ":now": microseconds(now)}


def _found(refusal: ConditionFailed) -> Stored | None:
    """Return the document that was found instead, if one was there."""
    stored = stored_in(refusal.found) if refusal.found else None
    return stored if stored and stored.present(datetime.now(UTC)) else None


def _check(key: str, expect: Expect, found: Stored | None) -> None:
    check_expectation(key, expect, version=found.version if found else 0, present=found is not None)
