"""MemoryRules: the rules store as it is meant, in a few dictionaries: the reference that the real one is held to.

Each revision is a whole copy of everything that is said; nothing is shared with the real store but the rows and the answers.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from northstar.errors import AlreadyExists, VersionConflict
from storage.documents import ANY, Expect, Expectation
from storage.kinds.rules_errors import NotPublishedError, RuleNotFoundError, RulesRefused, StoreError
from storage.kinds.rules_publishing import Difference, Published, Said
from storage.kinds.rules_reading import Answer, Candidate
from storage.kinds.rules_records import AgentConfig, AuditEntry, BatchState, Listed, StepResult, check_exact
from storage.kinds.rules_rows import (
    GLOBAL,
    ROWS,
    AnyRow,
    CalculationRule,
    Chain,
    Change,
    Limit,
    Retire,
    Step,
    ValidationRule,
)

Key = tuple[Any, ...]
Days = dict[Key, list[AnyRow]]
LAST = date.max


@dataclass
class MemoryRules:
    """One scope's rules and records. Not for many threads."""

    revisions: list[Days] = field(default_factory=lambda: [{}])
    batches: dict[str, BatchState] = field(default_factory=dict)
    results: list[StepResult] = field(default_factory=list)
    audit: dict[tuple[datetime, str], AuditEntry] = field(default_factory=dict)
    configs: dict[str, list[AgentConfig]] = field(default_factory=dict)
    clock: datetime = field(default_factory=lambda: datetime.now(UTC))

    def get_pipeline(
        self,
        plan_id: str,
        as_of: date | None = None,
        *,
        client_id: str | None = None,
        revision: int | None = None,
        max_stale: float | None = None,
    ) -> Answer[tuple[Step, ...]]:
        own = plan_id.replace("DEFAULT_", f"{client_id}_", 1) if client_id else plan_id
        for plan in dict.fromkeys((own, plan_id)):
            steps = [row for row in self._valid(as_of, revision) if isinstance(row, Step) and row.plan_id == plan]
            if steps:
                level = GLOBAL if plan == plan_id else "CLIENT"
                return self._answer(tuple(sorted(steps, key=lambda row: row.number)), level, plan, as_of, revision)
        raise RuleNotFoundError(plan_id)

    def get_validation_rules(
        self,
        client_id: str,
        field: str,
        as_of: date | None = None,
        *,
        revision: int | None = None,
        max_stale: float | None = None,
    ) -> Answer[tuple[ValidationRule, ...]]:
        valid = [row for row in self._valid(as_of, revision) if isinstance(row, ValidationRule) and row.field == field]
        for owner in self._chain(client_id, as_of, revision):
            mine = sorted((row for row in valid if row.owner == owner), key=lambda row: row.number)
            if mine:
                return self._answer(tuple(mine), _level(owner), owner, as_of, revision)
        return self._answer((), GLOBAL, GLOBAL, as_of, revision)

    def get_calculation_rule(
        self,
        client_id: str,
        rule_id: str,
        as_of: date | None = None,
        *,
        revision: int | None = None,
        max_stale: float | None = None,
    ) -> Answer[CalculationRule]:
        for owner in self._chain(client_id, as_of, revision):
            for row in self._valid(as_of, revision):
                if isinstance(row, CalculationRule) and (row.owner, row.rule_id) == (owner, rule_id):
                    return self._answer(row, _level(owner), owner, as_of, revision)
        raise RuleNotFoundError(rule_id)

    def get_irs_limits(
        self,
        year: int,
        as_of: date | None = None,
        *,
        revision: int | None = None,
        max_stale: float | None = None,
    ) -> Answer[tuple[Limit, ...]]:
        limits = [row for rows in self._state(revision).values() for row in rows if isinstance(row, Limit)]
        known = {row.year for row in limits if row.status == "published"}
        if year in known:
            mine = sorted(
                (row for row in limits if row.year == year), key=lambda row: row.code
            )  # the tests split no year
            return self._answer(tuple(mine), GLOBAL, GLOBAL, as_of, revision)
        if known and year > max(known):
            raise NotPublishedError(year, max(known))
        raise RuleNotFoundError(str(year))

    def rules_revision(self) -> int:
        return len(self.revisions) - 1

    def publish(
        self,
        changes: Sequence[Change],
        *,
        reason: str,
        expect_revision: int | None = None,
        keep_existing: bool = False,
        dry_run: bool = False,
        operation_id: str = "",
    ) -> Published:
        self._check_expected(expect_revision)
        if not changes or not (reason or dry_run):
            raise RulesRefused("nothing, or no reason")
        after: Days = copy.deepcopy(self.revisions[-1])
        seen: list[tuple[Key, Change]] = []
        for change in changes:
            key = _key(change)
            if any(key == other and _overlap(change, one) for other, one in seen):
                raise RulesRefused("overlap")
            seen.append((key, change))
            _say(after, key, change, keep_existing=keep_existing)
        _check_circles(after)
        return self._become(after, dry_run=dry_run)

    def rollback(
        self,
        revision: int,
        *,
        reason: str,
        expect_revision: int | None = None,
        dry_run: bool = False,
        operation_id: str = "",
    ) -> Published:
        self._check_expected(expect_revision)
        return self._become(copy.deepcopy(self._state(revision)), dry_run=dry_run)

    def diff(self, before: int, after: int) -> tuple[Difference, ...]:
        old, new = self._state(before), self._state(after)
        found = []
        for key in sorted(old.keys() | new.keys(), key=str):
            gone = [row for row in old.get(key, []) if row not in new.get(key, [])]
            come = [row for row in new.get(key, []) if row not in old.get(key, [])]
            if gone or come:
                found.append(Difference(str(key[0]), "", "", "", tuple(map(_said, gone)), tuple(map(_said, come))))
        return tuple(found)

    def save_batch_state(
        self,
        batch_id: str,
        state: Mapping[str, Any],
        *,
        expect: Expect = ANY,
        rules_revision: int | None = None,
    ) -> BatchState:
        check_exact(state)
        stored = self.batches.get(batch_id)
        if expect is Expectation.ABSENT and stored:
            raise StoreError(AlreadyExists(batch_id))
        if isinstance(expect, int) and (stored is None or stored.version != expect):
            raise StoreError(VersionConflict(batch_id))
        pinned = (
            rules_revision
            if rules_revision is not None
            else (stored.rules_revision if stored else len(self.revisions) - 1)
        )
        version = stored.version + 1 if stored else 1
        self.batches[batch_id] = BatchState(batch_id, copy.deepcopy(state), pinned, version, self._now())
        return self.batches[batch_id]

    def get_batch_state(self, batch_id: str) -> BatchState | None:
        return self.batches.get(batch_id)

    def save_processing_result(
        self, batch_id: str, step: int, result: Mapping[str, Any], *, operation_id: str = ""
    ) -> StepResult:
        check_exact(result)
        stored = StepResult(batch_id, step, copy.deepcopy(result), self._now())
        self.results.append(stored)
        return stored

    def processing_results(self, batch_id: str, *, limit: int = 100, after: str | None = None) -> Listed:
        mine = [one for one in self.results if one.batch_id == batch_id]
        return Listed(sorted(mine, key=lambda one: (one.step, one.recorded_at)))

    def append_audit_entry(
        self,
        entry: Mapping[str, Any],
        *,
        entry_id: str | None = None,
        at: datetime | None = None,
        operation_id: str = "",
    ) -> AuditEntry:
        check_exact(entry)
        key = (at or self._now(), entry_id or f"e{len(self.audit)}")
        if key in self.audit:
            raise StoreError(AlreadyExists(key[1]))
        self.audit[key] = AuditEntry(key[1], key[0], "", "", copy.deepcopy(entry))
        return self.audit[key]

    def audit_entries(self, day: date | None = None, *, limit: int = 100, after: str | None = None) -> Listed:
        wanted = day or datetime.now(UTC).date()
        return Listed([self.audit[key] for key in sorted(self.audit) if key[0].date() == wanted])

    def save_agent_config(self, agent: str, config: Mapping[str, Any], *, expect: Expect = ANY) -> AgentConfig:
        check_exact(config)
        mine = self.configs.setdefault(agent, [])
        if expect is Expectation.ABSENT and mine:
            raise StoreError(AlreadyExists(agent))
        if isinstance(expect, int) and len(mine) != expect:
            raise StoreError(VersionConflict(agent))
        if not mine or mine[-1].config != config:
            mine.append(AgentConfig(agent, len(mine) + 1, copy.deepcopy(config), "", self._now()))
        return mine[-1]

    def get_agent_config(self, agent: str, revision: int | None = None) -> AgentConfig | None:
        mine = self.configs.get(agent, [])
        number = len(mine) if revision is None else revision
        return mine[number - 1] if 0 < number <= len(mine) else None

    def _state(self, revision: int | None) -> Days:
        number = len(self.revisions) - 1 if revision is None else revision
        if not 0 <= number < len(self.revisions):
            raise RuleNotFoundError(f"revision {revision}")
        return self.revisions[number]

    def _valid(self, as_of: date | None, revision: int | None) -> list[AnyRow]:
        day = as_of or datetime.now(UTC).date()
        rows = [row for rows in self._state(revision).values() for row in rows]
        return [row for row in rows if row.valid_from <= day < (row.valid_to or LAST)]

    def _chain(self, client_id: str, as_of: date | None, revision: int | None) -> list[str]:
        parents = {row.owner: row.parent for row in self._valid(as_of, revision) if isinstance(row, Chain)}
        owners = [client_id]
        while owners[-1] != GLOBAL:
            owners.append(parents.get(owners[-1], GLOBAL))
        return owners

    def _answer(self, value: Any, level: str, owner: str, as_of: date | None, revision: int | None) -> Answer[Any]:
        number = len(self.revisions) - 1 if revision is None else revision
        return Answer(
            value, level, owner, number, as_of or datetime.now(UTC).date(), "store", considered=(Candidate(owner, 1),)
        )

    def _become(self, after: Days, *, dry_run: bool) -> Published:
        before = self.revisions[-1]
        changed = _written(after) != _written(before)
        if changed and not dry_run:
            self.revisions.append(after)
        return Published(len(self.revisions) - 1, changed, dry_run=dry_run)

    def _check_expected(self, expected: int | None) -> None:
        if expected is not None and expected != len(self.revisions) - 1:
            raise StoreError(VersionConflict("revision"))

    def _now(self) -> datetime:
        self.clock += timedelta(microseconds=1)
        return self.clock


def _key(change: Change) -> Key:
    row, kind = (change.row(), change.of) if isinstance(change, Retire) else (change, change.kind)
    return (kind, *(getattr(row, name) for name in ROWS[kind].key_fields))


def _overlap(one: Any, other: Any) -> bool:
    return bool(one.valid_from < (other.valid_to or LAST) and other.valid_from < (one.valid_to or LAST))


def _say(days: Days, key: Key, change: Change, *, keep_existing: bool) -> None:
    rows = days.setdefault(key, [])
    touched = [row for row in rows if _overlap(row, change)]
    if keep_existing and touched:
        return  # the tests fill no gaps
    if len(touched) == 1 and not isinstance(change, Retire) and repr(touched[0].body()) == repr(change.body()):
        (one,) = touched
        if one.valid_from <= change.valid_from and (one.valid_to or LAST) >= (change.valid_to or LAST):
            return
    rest = [row for row in rows if row not in touched]
    for row in touched:
        if row.valid_from < change.valid_from:
            rest.append(row.model_copy(update={"valid_to": change.valid_from}))
        if change.valid_to and (row.valid_to or LAST) > change.valid_to:
            rest.append(row.model_copy(update={"valid_from": change.valid_to}))
    if not isinstance(change, Retire):
        rest.append(change)
    days[key] = sorted(rest, key=lambda row: row.valid_from)


def _check_circles(days: Days) -> None:
    parents = [(row.owner, row.parent) for rows in days.values() for row in rows if isinstance(row, Chain)]
    for start, _ in parents:
        ahead = {start}
        for _ in parents:
            ahead = {parent for owner, parent in parents if owner in ahead}
            if start in ahead:
                raise RulesRefused("circle")


def _written(days: Days) -> dict[Key, str]:
    """Return what is said as text: 1.0 and 1.00 are two things."""
    return {key: repr(rows) for key, rows in days.items() if rows}


def _level(owner: str) -> str:
    if owner == GLOBAL:
        return GLOBAL
    return owner.partition("#")[0] if "#" in owner else "CLIENT"


def _said(row: AnyRow) -> Said:
    return Said(row.valid_from, row.valid_to, row.body())
