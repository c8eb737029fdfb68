"""The one layer above all drivers: scope, valid keys and values, retries, redaction, metering.

A kind speaks in keys of its own; the guard puts the scope in front of every partition, so no kind can forget the tenant
and no driver can be reached without one.
"""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Literal, TypeVar, cast

from northstar.errors import InvalidRequest, NorthstarError
from storage.config import MASK
from storage.documents import (
    ANY,
    BulkPut,
    Delete,
    Deltas,
    Document,
    DocumentDriver,
    Expect,
    Expectation,
    Fields,
    Increment,
    Limits,
    Operation,
    Outcome,
    Page,
    Partition,
    Put,
    Ref,
    Totals,
    Written,
)
from storage.errors import BackendRejected, BackendUnavailable
from storage.guard_checks import (
    check_appended,
    check_expect,
    check_increment,
    checked_atomic,
    checked_put,
    is_named,
)
from storage.keys import Scope, check_key, check_partition, check_prefix, check_text
from storage.metering import DEFECT, OK, record
from storage.usage import DELETED, NOTHING, Usage, of_get, of_get_many, of_put, of_put_many, of_scan, of_write

ATTEMPTS: Final = 3
FIRST_PAUSE_SECONDS: Final = 0.05
RETRY_SECONDS: Final = 10.0
"""No retry starts later than this after the operation began."""
PAGE_LIMIT: Final = 1000

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ServedBy:
    """Which route answers: shown in response headers, bound into cursors, stamped on metrics.

    `place` names where its data lie (`storage.opening.place_of`); empty where nobody will look for them there again.
    """

    route_id: int
    revision: int
    backend_type: str
    place: str = ""


@dataclass(frozen=True, slots=True)
class Caller:
    """Runs one driver call: metered, redacted, and retried where that is safe."""

    kind: str
    served_by: ServedBy
    scope: Scope
    secrets: tuple[str, ...] = ()

    def run(
        self,
        operation: str,
        call: Callable[[], T],
        *,
        repeatable: bool,
        spends: Usage = NOTHING,
        yields: Callable[[T], Usage] | None = None,
    ) -> T:
        """Return the call's result. A `repeatable` call is tried again, with jitter, while the backend is unavailable.

        Reads are repeatable, and writes that carry an operation id: the driver recognises those it has applied already.
        `spends` is what the call uses of the service whatever comes of it; `yields` tells it from the result.
        """
        result: Any = None
        error: NorthstarError | None = None
        outcome, started = DEFECT, time.perf_counter()
        try:
            result = _retried(call) if repeatable else call()
            outcome = OK
        except NorthstarError as refusal:
            self.redact(refusal)
            error, outcome = refusal, refusal.code
            raise
        finally:
            seconds = time.perf_counter() - started
            record(
                kind=self.kind,
                backend=self.served_by.backend_type,
                tenant=self.scope.tenant,
                route_id=self.served_by.route_id,
                operation=operation,
                seconds=seconds,
                outcome=outcome,
                used=yields(result) if yields and outcome == OK else spends,
                error=error,
            )
        return cast("T", result)

    def redact(self, error: NorthstarError) -> None:
        """Take the secrets of the route out of what an error says."""
        for secret in self.secrets:
            error.detail = error.detail.replace(secret, MASK)
            error.fix = error.fix.replace(secret, MASK)
            error.errors = tuple(replace(one, detail=one.detail.replace(secret, MASK)) for one in error.errors)
            error.args = (error.detail,)


def _retried(call: Callable[[], T]) -> T:
    started = time.monotonic()
    for attempt in range(1, ATTEMPTS):
        try:
            return call()
        except BackendUnavailable:
            pause = random.uniform(0, FIRST_PAUSE_SECONDS * 4**attempt)  # noqa: S311 - jitter, not a secret
            if time.monotonic() + pause - started > RETRY_SECONDS:
                raise
            time.sleep(pause)
    return call()


class GuardedDocuments:
    """The document contract inside one scope: the operations of `DocumentDriver`, with partitions relative to the scope."""

    def __init__(
        self,
        driver: DocumentDriver,
        *,
        scope: Scope,
        served_by: ServedBy,
        kind: str = "documents",
        secrets: tuple[str, ...] = (),
        lease: object = None,
    ) -> None:
        self.scope = scope
        self.served_by = served_by
        self._driver = driver
        self._lease = lease  # keeps the driver open for as long as this guard is in use
        self._prefix = scope.parts
        self._caller = Caller(kind, served_by, scope, secrets)

    @property
    def limits(self) -> Limits:
        """What the driver declares of its service."""
        return self._driver.limits

    @property
    def cache_anchor(self) -> object:
        """An object that lives as long as the driver: what a kind caches per process hangs on it, weakly."""
        return self._driver

    def get(self, ref: Ref) -> Document | None:
        inner = self._inner(ref)
        document = self._caller.run("get", lambda: self._driver.get(inner), repeatable=True, yields=of_get)
        return self._outer(document) if document else None

    def get_many(self, refs: Sequence[Ref]) -> list[Document | None]:
        inner = [self._inner(ref) for ref in refs]
        documents = self._caller.run(
            "get_many", lambda: self._driver.get_many(inner), repeatable=True, yields=of_get_many
        )
        return [self._outer(document) if document else None for document in documents]

    def put(
        self,
        ref: Ref,
        fields: Fields,
        *,
        expect: Expect = ANY,
        expires_at: datetime | None = None,
        operation_id: str = "",
    ) -> Written:
        inner = self._inner(ref)
        check_appended(ref.collection, Put(ref.key, fields, expect, expires_at))
        good = checked_put(fields, expect, expires_at)
        return self._caller.run(
            "put",
            lambda: self._driver.put(inner, good, expect=expect, expires_at=expires_at, operation_id=operation_id),
            repeatable=is_named(operation_id),
            spends=of_put(len(good.encoded)),
        )

    def delete(self, ref: Ref, *, expect: Literal[Expectation.ANY] | int = ANY, operation_id: str = "") -> bool:
        inner = self._inner(ref)
        check_appended(ref.collection, Delete(ref.key, expect))
        check_expect(expect)
        return self._caller.run(
            "delete",
            lambda: self._driver.delete(inner, expect=expect, operation_id=operation_id),
            repeatable=is_named(operation_id),
            spends=DELETED,
        )

    def increment(
        self,
        ref: Ref,
        deltas: Deltas,
        *,
        ceilings: Deltas | None = None,
        floors: Deltas | None = None,
        operation_id: str = "",
    ) -> Totals:
        inner = self._inner(ref)
        check_appended(ref.collection, Increment(ref.key, deltas))
        size = check_increment(deltas, ceilings or {}, floors or {})
        return self._caller.run(
            "increment",
            lambda: self._driver.increment(inner, deltas, ceilings=ceilings, floors=floors, operation_id=operation_id),
            repeatable=is_named(operation_id),
            spends=of_put(size),
        )

    def scan(
        self,
        collection: str,
        partition: Partition,
        *,
        prefix: str = "",
        after: str | None = None,
        before: str | None = None,
        limit: int = 100,
        reverse: bool = False,
        cursor: str | None = None,
    ) -> Page:
        inner = self._partition(collection, partition)
        check_prefix(prefix)
        for bound in (after, before, cursor):
            if bound is not None:
                check_key(bound, what="bound")
        if not 1 <= limit <= PAGE_LIMIT:
            raise InvalidRequest(f"limit is {limit}; 1 to {PAGE_LIMIT} are allowed.")
        page = self._caller.run(
            "scan",
            lambda: self._driver.scan(
                collection,
                inner,
                prefix=prefix,
                after=after,
                before=before,
                limit=limit,
                reverse=reverse,
                cursor=cursor,
            ),
            repeatable=True,
            yields=lambda page: of_scan(page.documents),
        )
        return Page(tuple(self._outer(document) for document in page.documents), page.cursor)

    def write(
        self, collection: str, partition: Partition, operations: Sequence[Operation], *, operation_id: str = ""
    ) -> list[Outcome]:
        inner = self._partition(collection, partition)
        for operation in operations:
            check_appended(collection, operation)
        good = checked_atomic(operations)
        return self._caller.run(
            "write",
            lambda: self._driver.write(collection, inner, good, operation_id=operation_id),
            repeatable=is_named(operation_id),
            spends=of_write(good),
        )

    def put_many(self, documents: Sequence[BulkPut]) -> list[Written | Exception]:
        """As the driver's; what breaks a rule has its error as its outcome, and the others are written."""
        refused: dict[int, Exception] = {}
        valid: dict[int, BulkPut] = {}
        inner: dict[tuple[str, Partition], Partition] = {}
        for position, document in enumerate(documents):
            ref = document.ref
            try:
                place = (ref.collection, ref.partition)
                if place not in inner:
                    inner[place] = self._partition(*place)
                check_key(ref.key)
                check_appended(ref.collection, Put(ref.key, document.fields, document.expect, document.expires_at))
                good = checked_put(document.fields, document.expect, document.expires_at)
            except NorthstarError as error:
                refused[position] = error
            else:
                ref = Ref(ref.collection, inner[place], ref.key)
                valid[position] = BulkPut(ref, good, document.expect, document.expires_at)
        puts = list(valid.values())
        stored = self._caller.run(
            "put_many", lambda: self._driver.put_many(puts), repeatable=False, spends=of_put_many(puts)
        )
        outcomes = refused | dict(zip(valid, stored, strict=True))
        return [outcomes[position] for position in range(len(documents))]

    def scrub(self, collection: str, partition: Partition) -> None:
        """Let nothing that was deleted or replaced stay in files of the driver itself. What a service keeps is its own."""
        inner, scrub = self._partition(collection, partition), getattr(self._driver, "scrub", None)
        if scrub is not None:
            self._caller.run("scrub", lambda: scrub(collection, inner), repeatable=True)

    def _partition(self, collection: str, partition: Partition) -> Partition:
        check_text(collection, what="collection", max_bytes=100)
        inner = self._prefix + partition
        check_partition(inner)
        return inner

    def _inner(self, ref: Ref) -> Ref:
        check_key(ref.key)
        return Ref(ref.collection, self._partition(ref.collection, ref.partition), ref.key)

    def _outer(self, document: Document) -> Document:
        depth = len(self._prefix)
        ref = document.ref
        if ref.partition[:depth] != self._prefix:
            raise BackendRejected("The backend answered with a document of another scope.")
        return replace(document, ref=Ref(ref.collection, ref.partition[depth:], ref.key))
