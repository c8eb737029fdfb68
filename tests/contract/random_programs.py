"""Random programs over documents, and what each step answered in a form that is the same for every backend."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any, Final

from northstar.errors import NorthstarError
from storage.documents import (
    ABSENT,
    ANY,
    BulkPut,
    Delete,
    Document,
    Increment,
    Number,
    Operation,
    Page,
    Put,
    Totals,
)
from storage.guard import GuardedDocuments
from tests.contract.document_contract import COLLECTION, PARTITION, ref
from tests.contract.document_contract_values import exact

KEYS: Final = ["a", "a/b", "A", "a#", "\u00e9", "e\u0301", "b", "\N{GRINNING FACE}", "\uffff", "~", " "]
NUMBERS: Final[list[Number]] = [0, 1, -3, 2**53, 2**63, 0.5, 1.0, Decimal("0.10"), Decimal(7), 10**25]
CEILINGS: Final[list[Number]] = [3, 2**54, Decimal("9.5")]
FLOORS: Final[list[Number]] = [0, -4]
VALUES: Final = [
    None,
    True,
    "",
    "text",
    b"\0\xff",
    [],
    [1, [2.0]],
    {"$decimal": "1"},
    {"x": {"y": Decimal("1.5")}},
    *NUMBERS,
]
FIELDS: Final = ["n", "m", "a.b", "_x", "$"]
STALE: Final = 2**52 + 1
"""A version that no document of a program ever has."""


@dataclass
class Program:
    """Chooses one operation after the other, the same for the same seed; `versions` are those that its backend gave."""

    random: Random
    documents: GuardedDocuments
    versions: dict[str, int] = field(default_factory=dict)
    named: list[Callable[[], Any]] = field(default_factory=list)

    def step(self) -> Any:
        """Run one operation and return what it answered."""
        choices = [self._get, self._put, self._put, self._delete, self._increment, self._increment]
        choices += [self._scan, self._write, self._bulk, self._again]
        return self._answered(self.random.choice(choices)())

    def everything(self) -> Any:
        """Return all documents, page by page."""
        found: list[Any] = []
        cursor = None
        while True:
            page = self.documents.scan(COLLECTION, PARTITION, limit=3, cursor=cursor)
            found += [normal(document) for document in page.documents]
            cursor = page.cursor
            if cursor is None:
                return found

    def _answered(self, call: Callable[[], Any]) -> Any:
        try:
            answer = call()
        except NorthstarError as error:
            return type(error).__name__, {name: exact(value) for name, value in error.facts().items()}
        return normal(answer)

    def _get(self) -> Callable[[], Any]:
        keys = self.random.choices(KEYS, k=3)
        return lambda: self.documents.get_many([ref(key) for key in keys])

    def _put(self) -> Callable[[], Any]:
        put, named = self._random_put(self._key()), self._name()
        expected = self._expected(put)

        def call() -> Any:
            written = self.documents.put(
                ref(put.key), put.fields, expect=expected(), expires_at=put.expires_at, operation_id=named
            )
            self.versions[put.key] = written.version
            return written

        return self._remembered(call, named)

    def _delete(self) -> Callable[[], Any]:
        delete, named = self._random_delete(self._key()), self._name()
        expected = self._expected(delete)
        return self._remembered(
            lambda: self.documents.delete(ref(delete.key), expect=expected(), operation_id=named), named
        )

    def _increment(self) -> Callable[[], Any]:
        step, named = self._random_increment(self._key()), self._name()
        bounds: dict[str, Any] = {"ceilings": step.ceilings, "floors": step.floors}
        return self._remembered(
            lambda: self.documents.increment(ref(step.key), step.deltas, **bounds, operation_id=named), named
        )

    def _scan(self) -> Callable[[], Any]:
        options: dict[str, Any] = {"limit": self.random.choice([1, 2, 5, 100]), "reverse": self.random.random() < 0.5}
        for bound in ("prefix", "after", "before"):
            if self.random.random() < 0.4:
                options[bound] = self._key()
        return lambda: self.documents.scan(COLLECTION, PARTITION, **options)

    def _write(self) -> Callable[[], Any]:
        keys, named = self.random.sample(KEYS, self.random.randint(1, 4)), self._name()
        makers: list[Callable[[str], Operation]] = [self._random_put, self._random_increment, self._random_delete]
        operations = [self.random.choice(makers)(key) for key in keys]
        resolved = [self._resolved(operation) for operation in operations]
        return self._remembered(
            lambda: self.documents.write(COLLECTION, PARTITION, [one() for one in resolved], operation_id=named), named
        )

    def _bulk(self) -> Callable[[], Any]:
        puts = [self._random_put(self._key()) for _ in range(self.random.randint(1, 5))]
        bulk = [BulkPut(ref(put.key), put.fields, ANY, put.expires_at) for put in puts]
        return lambda: self.documents.put_many(bulk)

    def _again(self) -> Callable[[], Any]:
        """Send an earlier write again, with its operation id."""
        return self.random.choice(self.named) if self.named else self._get()

    def _remembered(self, call: Callable[[], Any], named: str) -> Callable[[], Any]:
        if named:
            self.named.append(call)
        return call

    def _random_put(self, key: str) -> Put:
        names = self.random.sample(FIELDS, self.random.randint(0, 3))
        fields = {name: self.random.choice(VALUES) for name in names}
        seconds = self.random.choice([None, None, 20, 50])
        expires_at = None if seconds is None else datetime.now(UTC) + timedelta(seconds=seconds)
        return Put(key, fields, self._expect(create=True), expires_at)

    def _random_delete(self, key: str) -> Delete:
        return Delete(key, self._expect(create=False))

    def _random_increment(self, key: str) -> Increment:
        names = self.random.sample(FIELDS, self.random.randint(1, 2))
        deltas = {name: self.random.choice(NUMBERS) for name in names}
        ceilings = {name: self.random.choice(CEILINGS) for name in names if self.random.random() < 0.3}
        floors = {name: self.random.choice(FLOORS) for name in names if self.random.random() < 0.3}
        return Increment(key, deltas, ceilings, floors)

    def _expect(self, *, create: bool) -> Any:
        """ANY, ABSENT, STALE, or 0 for the version that the key was last put with."""
        return self.random.choice([ANY, ANY, ABSENT if create else ANY, STALE, 0])

    def _expected(self, step: Put | Delete) -> Callable[[], Any]:
        """The expectation with the backend's own version in it, looked up when the step is run."""
        return lambda: self.versions.get(step.key, STALE) if step.expect == 0 else step.expect

    def _resolved(self, operation: Operation) -> Callable[[], Any]:
        if isinstance(operation, Increment):
            return lambda: operation
        expected = self._expected(operation)
        if isinstance(operation, Put):
            return lambda: Put(operation.key, operation.fields, expected(), operation.expires_at)
        return lambda: Delete(operation.key, expected())

    def _key(self) -> str:
        return self.random.choice(KEYS)

    def _name(self) -> str:
        return f"op-{self.random.randint(1, 10**9)}" if self.random.random() < 0.3 else ""


def normal(answer: Any) -> Any:
    """An answer without what backends may choose: versions and the times of writes."""
    if answer is None or isinstance(answer, bool):
        return answer
    if isinstance(answer, list):
        return [normal(one) for one in answer]
    if isinstance(answer, Page):
        return [normal(document) for document in answer.documents], answer.cursor
    if isinstance(answer, Totals):
        return "totals", exact(dict(answer.values))
    if isinstance(answer, Document):
        return answer.ref.key, exact(answer.fields), answer.expires_at
    return type(answer).__name__


def differences(programs: Mapping[str, Program], steps: int, travel: Callable[[int], None]) -> list[str]:
    """Run the programs side by side for so many steps, and return where they answered differently."""
    for number in range(steps):
        answers = {name: program.step() for name, program in programs.items()}
        expected, *others = answers.items()
        wrong = [f"step {number}: {expected} != {other}" for other in others if other[1] != expected[1]]
        if wrong:
            return wrong
        travel(number)
    contents = {name: program.everything() for name, program in programs.items()}
    (name, first), *rest = contents.items()
    return [f"at the end: {name}: {first} != {other}: {content}" for other, content in rest if content != first]
