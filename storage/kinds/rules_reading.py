"""Reading rules: which one somebody gets on a day, from whom, in which revision, and why.

A client's own rule wins, then that of whoever it falls back to, at last GLOBAL's. All candidates come in one round trip; the
choice is made here. A fallback between client and GLOBAL is data: the first read in a process that meets one asks once more.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, date, datetime
from typing import Any, Final, Generic, Literal, TypeVar, cast

from pydantic import ValidationError

from storage.kinds.rules_documents import RulesDocuments
from storage.kinds.rules_errors import DamagedRules, NotPublishedError, RevisionGone, RuleNotFoundError, RulesRefused
from storage.kinds.rules_history import Entry, Sheet
from storage.kinds.rules_knowledge import Asked, Found, Knowledge, Tier
from storage.kinds.rules_layout import LEVELS, YEARS, Unit, chain_unit
from storage.kinds.rules_rows import (
    CALCULATION,
    GLOBAL,
    LIMIT,
    MARK,
    ROWS,
    STEP,
    VALIDATION,
    AnyRow,
    CalculationRule,
    Limit,
    Step,
    ValidationRule,
)

MOST_LINKS: Final = 16
"""Of a chain from a client to GLOBAL."""
DEFAULT_PLAN: Final = "DEFAULT_"
"""What begins the plans that a client may have one of its own instead of."""

T = TypeVar("T", bound=AnyRow)
V = TypeVar("V")
Level = Literal["CLIENT", "GLOBAL"] | str


@dataclass(frozen=True, slots=True)
class Candidate:
    """Somebody whose rule was looked for. `entries` is how many are valid on that day."""

    owner: str
    entries: int


@dataclass(frozen=True, slots=True)
class Answer(Generic[V]):
    """What a read found, and how it came to be.

    `resolved_from` is CLIENT, GLOBAL or the level between the two (PLAN); `owner` names whose it is. `tier` says who had it:
    this process, the shared cache or the store. `stale`: the store is away, and this is what was known last.
    """

    value: V
    resolved_from: str
    owner: str
    revision: int
    as_of: date
    tier: Tier
    stale: bool = False
    considered: tuple[Candidate, ...] = field(default=())
    recorded_at: datetime | None = None
    """When the newest of what was found was recorded."""


class Reader:
    """Reads one scope's rules through what this process knows."""

    def __init__(self, documents: RulesDocuments, knowledge: Knowledge, asked: Asked, when: date | None) -> None:
        self._documents = documents
        self._knowledge = knowledge
        self._asked = asked
        if isinstance(when, datetime):
            raise RulesRefused("as_of is a moment, and rules count by the day.", fix="Pass a date: `.date()` of it.")
        self.day = when or datetime.now(UTC).date()

    def pipeline(self, plan_id: str, client_id: str | None) -> Answer[tuple[Step, ...]]:
        """Return the steps by number. Raises RuleNotFoundError where no step is valid on that day."""
        plans = [plan_id]
        if client_id and plan_id.startswith(DEFAULT_PLAN):
            plans.insert(0, f"{client_id}_{plan_id.removeprefix(DEFAULT_PLAN)}")
        found = self._found([Unit(STEP, plan) for plan in plans])
        answer = self._chosen(found, [(plan, Unit(STEP, plan)) for plan in plans], Step)
        if answer is None:
            raise RuleNotFoundError(f"There is no pipeline {plan_id!a} on {self.day}.", fix=_PUBLISH)
        return replace(answer, resolved_from="CLIENT" if len(plans) > 1 and answer.owner == plans[0] else GLOBAL)

    def validations(self, client_id: str, name: str) -> Answer[tuple[ValidationRule, ...]]:
        """Return the field's rules by number, an empty tuple where nobody has one."""
        found, owners = self._along_chain(client_id, lambda owner: Unit(VALIDATION, owner, name))
        answer = self._chosen(found, [(one, Unit(VALIDATION, one, name)) for one in owners], ValidationRule)
        if answer is not None:
            return answer
        return self._answer(found, (), GLOBAL, _candidates(owners))

    def calculation(self, client_id: str, rule_id: str) -> Answer[CalculationRule]:
        """Return the rule. Raises RuleNotFoundError where nobody of the chain has one on that day."""
        found, owners = self._along_chain(client_id, lambda owner: Unit(CALCULATION, owner, rule_id))
        answer = self._chosen(found, [(one, Unit(CALCULATION, one, rule_id)) for one in owners], CalculationRule)
        if answer is None:
            raise RuleNotFoundError(
                f"Nobody of {', '.join(owners)} has the rule {rule_id!a} on {self.day}.", fix=_PUBLISH
            )
        if len(answer.value) != 1:
            raise DamagedRules(f"Several rules {rule_id!a} of {answer.owner} are stored for {self.day}.")
        (rule,) = answer.value
        return Answer(**{**_fields(answer), "value": rule})

    def limits(self, year: int) -> Answer[tuple[Limit, ...]]:
        """Return the year's limits by code. Raises NotPublishedError for a year after the last known one, RuleNotFoundError."""
        unit = Unit(LIMIT, f"{year:04}")
        found = self._found([unit, YEARS])
        revision = self._revision(found)
        entries = self._sheet(found, unit).standing(revision)
        rows = tuple(_rows(LIMIT, entries, Limit))
        if any(row.status == "published" for row in rows):
            valid = tuple(self._counting(year, rows))
            return self._answer(found, valid, GLOBAL, _candidates([GLOBAL], len(valid)), entries)
        known = [int(entry.slot) for entry in self._sheet(found, YEARS).standing(revision)]
        if known and year > max(known):
            raise NotPublishedError(year, max(known))
        raise RuleNotFoundError(f"There are no limits for {year}.", fix=_PUBLISH)

    def _counting(self, year: int, rows: Sequence[Limit]) -> Iterable[Limit]:
        """Return one row per code: of a year that is over its last, of one to come its first.

        `rows` are in the order of their codes and first days.
        """
        if self.day.year == year:
            return [row for row in rows if row.valid_from <= self.day and (row.valid_to or date.max) > self.day]
        nearest = rows if self.day.year > year else reversed(rows)
        by_code = {row.code: row for row in nearest}
        return [by_code[code] for code in sorted(by_code)]

    def _found(self, units: Sequence[Unit]) -> Found:
        found = self._knowledge.sheets(self._documents, units, self._asked)
        revision = self._asked.revision
        if revision > found.snapshot.head.revision:
            raise RuleNotFoundError(
                f"There is no revision {revision}: the newest is {found.snapshot.head.revision}.",
                fix="Pin a revision that an answer named.",
            )
        return found

    def _along_chain(self, client_id: str, unit_of: Callable[[str], Unit]) -> tuple[Found, list[str]]:
        """Read the units of everybody in the client's chain, and return them with their owners, the client first."""
        links = list(dict.fromkeys((chain_unit(client_id), LEVELS)))
        guess = self._known_chain(client_id)
        found = self._found([*(unit_of(owner) for owner in guess), *links])
        owners = self._chain(found, client_id)
        tier = found.tier
        for _ in range(MOST_LINKS):  # once, unless the chain changes meanwhile
            if all(unit_of(owner) in found.sheets for owner in owners):
                break
            found = self._found([*(unit_of(owner) for owner in owners), *links])
            owners = self._chain(found, client_id)
            tier = tier if found.tier == "process" else found.tier
        return replace(found, tier=tier), owners

    def _known_chain(self, client_id: str) -> list[str]:
        """Return the client's chain as far as this process knows it: client and GLOBAL at least."""
        snapshot = self._knowledge.snapshot
        if snapshot is None or snapshot.head.revision < self._asked.revision:
            return list(dict.fromkeys((client_id, GLOBAL)))
        return self._chain(Found(snapshot, snapshot.sheets, "process", stale=False), client_id)

    def _chain(self, found: Found, client_id: str) -> list[str]:
        owners, owner, revision = [client_id], client_id, self._revision(found)
        while owner != GLOBAL and len(owners) < MOST_LINKS:
            valid = self._sheet(found, chain_unit(owner)).valid(revision, self.day)
            owner = next((entry.body["parent"] for entry in valid if entry.slot == owner), GLOBAL)
            if owner in owners:  # never published so; whoever damaged it must not make readers wait
                owner = GLOBAL
            owners.append(owner)
        return owners if owners[-1] == GLOBAL else [*owners, GLOBAL]

    def _chosen(
        self, found: Found, candidates: Sequence[tuple[str, Unit]], row_class: type[T]
    ) -> Answer[tuple[T, ...]] | None:
        """Return the rows of the first candidate that has any."""
        considered: list[Candidate] = []
        for owner, unit in candidates:
            if unit not in found.sheets:
                continue
            entries = self._sheet(found, unit).valid(self._revision(found), self.day)
            considered.append(Candidate(owner, len(entries)))
            if entries:
                rows = tuple(_rows(unit.kind, entries, row_class))
                return self._answer(found, rows, owner, tuple(considered), entries)
        return None

    def _answer(
        self,
        found: Found,
        value: V,
        owner: str,
        considered: tuple[Candidate, ...],
        entries: Sequence[Entry] = (),
    ) -> Answer[V]:
        recorded_at = max((entry.recorded_at for entry in entries), default=None)
        return Answer(
            value,
            level_of(owner),
            owner,
            self._revision(found),
            self.day,
            found.tier,
            found.stale,
            considered,
            recorded_at,
        )

    def _revision(self, found: Found) -> int:
        return self._asked.revision or found.snapshot.head.revision

    def _sheet(self, found: Found, unit: Unit) -> Sheet:
        """Return the unit's sheet, from its rows where the sheet does not go back as far as the revision that is read."""
        sheet, revision = found.sheets.get(unit, Sheet()), self._revision(found)
        return sheet if revision >= sheet.floor else whole_history(self._documents, unit, revision)


_PUBLISH: Final = "Publish one, or ask for another day or name."


def whole_history(documents: RulesDocuments, unit: Unit, revision: int) -> Sheet:
    """Return a unit's sheet made of its rows, which go back further. Raises RevisionGone where even they do not."""
    ref = unit.sheet
    rows = [Sheet.of(one.fields) for one in documents.all(ref.collection, ref.partition, prefix=unit.row_prefix)]
    floor = max((row.floor for row in rows), default=0)
    if revision < floor:
        raise RevisionGone(
            f"Of {unit.kind} {unit.owner} {unit.name} nothing is kept before revision {floor}.".replace("  ", " "),
            fix=f"Pin revision {floor} or a later one.",
        )
    entries = {entry.id: entry for row in rows for entry in row.entries}
    return Sheet(max((row.changed for row in rows), default=0), floor, tuple(entries.values()))


def level_of(owner: str) -> str:
    """Return the level of an owner: GLOBAL, PLAN and the like, or CLIENT."""
    level, mark, _ = owner.rpartition(MARK)
    return level if mark else (GLOBAL if owner == GLOBAL else "CLIENT")


def row_of(kind: str, entry: Entry) -> AnyRow:
    """Return the row that an entry holds. Raises DamagedRules for one that could not have been published."""
    try:
        return ROWS[kind].model_validate({**entry.body, "valid_from": entry.begins, "valid_to": entry.ends})
    except ValidationError:
        raise DamagedRules(f"A stored {kind} was damaged.") from None


def _fields(answer: Answer[Any]) -> dict[str, Any]:
    return {one.name: getattr(answer, one.name) for one in fields(answer)}


def _rows(kind: str, entries: Sequence[Entry], row_class: type[T]) -> list[T]:  # noqa: ARG001 - names what comes out
    return [cast("T", row_of(kind, entry)) for entry in entries]


def _candidates(owners: Sequence[str], entries: int = 0) -> tuple[Candidate, ...]:
    return tuple(Candidate(owner, entries) for owner in owners)
