"""Optimistic transactions: each reads one snapshot, and commits only when its reads would answer the same again."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

import grpc

from tests.servers.firestore_clock import Clock
from tests.servers.firestore_errors import Refused, invalid, unknown
from tests.servers.firestore_messages import Message
from tests.servers.firestore_store import Answer, Store, View

Probe = Callable[[View], Answer]
"""A read: finds documents in a view."""

IDLE_SECONDS = 60
LIFE_SECONDS = 270
"""A transaction ends when it was idle, or open, for so long (the service's page of quotas and limits)."""

CONTENTION = "Aborted due to cross-transaction contention: what this transaction read has been changed. Try it again."


@dataclass
class Transaction:
    """An open transaction. `snapshot` is the moment that it reads at, set by its first read."""

    id: bytes
    read_only: bool
    began: int
    used: int
    snapshot: int | None = None
    seen: list[tuple[Probe, object]] = field(default_factory=list)


class Transactions:
    """The transactions of one database."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._open: dict[bytes, Transaction] = {}
        self._closed: set[bytes] = set()
        self._numbers = itertools.count(1)

    @property
    def reading_the_past(self) -> bool:
        """Whether any open transaction needs to be told how documents were."""
        self._expire()
        return any(each.snapshot is not None for each in self._open.values())

    def begin(self, options: Message) -> bytes:
        """Start a transaction and return its id."""
        read_only = options.WhichOneof("mode") == "read_only"
        if read_only and options.read_only.HasField("read_time"):
            raise unknown("transactions at a read_time")
        retried = options.read_write.retry_transaction
        if retried and retried not in self._open and retried not in self._closed:
            raise invalid("Invalid transaction: the one to retry was never begun")
        name = f"{self._store.database}#{next(self._numbers)}".encode()
        now = self._clock.now()
        self._open[name] = Transaction(name, read_only, now, now)
        return name

    def get(self, name: bytes) -> Transaction:
        """Return an open transaction and note that it is used."""
        self._expire()
        if name not in self._open:
            raise invalid("Transaction is invalid or closed" if name in self._closed else "Invalid transaction")
        self._open[name].used = self._clock.now()
        return self._open[name]

    def close(self, name: bytes) -> None:
        """End a transaction. One that has ended is left alone; one that was never begun is refused."""
        if self._open.pop(name, None) is None and name not in self._closed:
            raise invalid("Invalid transaction")
        self._closed.add(name)
        if not any(each.snapshot is not None for each in self._open.values()):
            self._store.forget()

    def read(self, name: bytes | None, probe: Probe) -> Answer:
        """Answer a read, in a transaction at its snapshot, else of what is stored now."""
        if name is None:
            return probe(self._store.view())
        transaction = self.get(name)
        if transaction.snapshot is None:
            transaction.snapshot = self._clock.last_commit
        found = probe(self._store.view(transaction.snapshot))
        if not transaction.read_only:
            transaction.seen.append((probe, _versions(found)))
        return found

    def finish(self, name: bytes, *, writes: bool) -> None:
        """End a transaction for its commit: ABORTED unless all that it read is unchanged."""
        transaction = self.get(name)
        self.close(name)
        if transaction.read_only and writes:
            raise invalid("Cannot modify entities in a read-only transaction")
        present = self._store.view()
        if any(_versions(probe(present)) != seen for probe, seen in transaction.seen):
            raise Refused(grpc.StatusCode.ABORTED, CONTENTION)

    def _expire(self) -> None:
        now = self._clock.now()
        for each in list(self._open.values()):
            if now - each.used > IDLE_SECONDS * 1_000_000 or now - each.began > LIFE_SECONDS * 1_000_000:
                self.close(each.id)


def _versions(found: Answer) -> object:
    return [None if each is None else (each.name, each.update_time.ToMicroseconds()) for each in found.documents]
