"""Where rules lie: eight collections, and the partition and key of everything in them.

What is read together is a *unit*: a pipeline, the rules of one field or one calculation of one owner, the limits of a year, an
owner's fallback. A unit has one *sheet*, which answers every read, and *rows* beside it, one per step, rule or limit.
"""

from dataclasses import dataclass
from datetime import date
from typing import Final

from storage.documents import Partition, Ref
from storage.kinds.rules_rows import (
    CALCULATION,
    CHAIN,
    LIMIT,
    MARK,
    STEP,
    VALIDATION,
    AnyRow,
    CalculationRule,
    Chain,
    Limit,
    Step,
    ValidationRule,
)

PREFIX: Final = "bluestar-"
PIPELINES: Final = PREFIX + "processing-pipeline"
VALIDATIONS: Final = PREFIX + "validation-rules"
CALCULATIONS: Final = PREFIX + "calculation-rules"
LIMITS: Final = PREFIX + "irs-limits"
BATCHES: Final = PREFIX + "batch-state"
RESULTS: Final = PREFIX + "processing-results"
AUDIT: Final = PREFIX + "audit-log"
AGENTS: Final = PREFIX + "agent-config"

CLIENT: Final = "CLIENT"
META: Final[Partition] = ("RULES",)
"""In AGENTS: the head of the rule set, its revisions, and the directory of its units."""
HEAD: Final = Ref(AGENTS, META, "HEAD")
REVISION_PREFIX: Final = f"REVISION{MARK}"
UNIT_PREFIX: Final = f"UNIT{MARK}"


@dataclass(frozen=True, slots=True)
class Unit:
    """What is read together. `owner` is an owner's name, a plan's id or a year; `name` the field or rule, where there is one."""

    kind: str
    owner: str
    name: str = ""

    @property
    def text(self) -> str:
        """One name for the unit: no owner ends, and no name begins, with a mark."""
        return MARK.join((self.kind, self.owner, self.name))

    @classmethod
    def parse(cls, text: str) -> "Unit":
        """Undo `text`."""
        kind, _, rest = text.partition(MARK)
        owner, _, name = rest.rpartition(MARK)
        return cls(kind, owner, name)

    @property
    def sheet(self) -> Ref:
        """Where the unit's sheet lies."""
        collection, key = _SHEETS[self.kind]
        return Ref(collection, _partition(self), key.format(name=self.name))

    def row(self, slot: str, valid_from: date) -> Ref:
        """Where a row of the unit lies, as people find it in the vendor's console."""
        collection, key = _ROWS[self.kind]
        return Ref(collection, _partition(self), key.format(name=self.name, slot=slot, day=valid_from.isoformat()))

    @property
    def row_prefix(self) -> str:
        """What the keys of the unit's rows begin with."""
        return _ROWS[self.kind][1].partition("{slot}")[0].partition("{day}")[0].format(name=self.name)


LEVELS: Final = Unit(CHAIN, "*")
"""Whom the levels fall back to: few, and needed whole."""
YEARS: Final = Unit("years", "*")
"""The years that have figures."""

_SHEETS: Final = {
    STEP: (PIPELINES, "PIPELINE"),
    VALIDATION: (VALIDATIONS, "FIELD#{name}"),
    CALCULATION: (CALCULATIONS, "RULE#{name}"),
    LIMIT: (LIMITS, "LIMITS"),
    CHAIN: (CALCULATIONS, "PARENT"),
    YEARS.kind: (LIMITS, "YEARS"),
}
_ROWS: Final = {
    STEP: (PIPELINES, "STEP#{slot}"),
    VALIDATION: (VALIDATIONS, "FIELD#{name}#RULE#{slot}"),
    CALCULATION: (CALCULATIONS, "RULE#{name}#{day}"),
    LIMIT: (LIMITS, "LIMIT#{slot}"),
    CHAIN: (CALCULATIONS, "PARENT#{slot}#{day}"),
    YEARS.kind: (LIMITS, "YEAR#{slot}"),
}


def owner_partition(owner: str) -> Partition:
    """Return the partition of an owner: `CLIENT#acme-corp`, `CLIENT#GLOBAL`, `PLAN#gold`."""
    level, mark, name = owner.rpartition(MARK)
    return (level, name) if mark else (CLIENT, owner)


def _partition(unit: Unit) -> Partition:
    if unit.kind == LIMIT:
        return ("YEAR", unit.owner)
    if unit.owner == "*":
        return META
    return owner_partition(unit.owner)


def unit_of(row: AnyRow) -> Unit:
    """Return the unit that a row belongs to."""
    match row:
        case Step():
            return Unit(row.kind, row.plan_id)
        case ValidationRule():
            return Unit(row.kind, row.owner, row.field)
        case CalculationRule():
            return Unit(row.kind, row.owner, row.rule_id)
        case Limit():
            return Unit(row.kind, f"{row.year:04}")
        case Chain():
            return chain_unit(row.owner)


def chain_unit(owner: str) -> Unit:
    """Return the unit that says whom an owner falls back to."""
    return LEVELS if MARK in owner else Unit(CHAIN, owner)


def slot_of(row: AnyRow) -> str:
    """Return what tells rows of one unit apart: no two with the same slot are valid on the same day."""
    match row:
        case Step() | ValidationRule():
            return f"{row.number:04}"
        case Limit():
            return row.code
        case Chain():
            return row.owner
        case CalculationRule():
            return ""


def batch_ref(batch_id: str) -> Ref:
    """Where the state of a batch lies."""
    return Ref(BATCHES, ("BATCH", batch_id), "STATE")


def day_partition(day: date) -> Partition:
    """Return the partition of one day's audit entries."""
    return ("DATE", day.isoformat())


def revision_ref(number: int) -> Ref:
    """Where a revision of the rule set lies."""
    return Ref(AGENTS, META, f"{REVISION_PREFIX}{number:010}")


def directory_ref(unit: Unit) -> Ref:
    """Where it stands that there is such a unit."""
    return Ref(AGENTS, META, UNIT_PREFIX + unit.text)
