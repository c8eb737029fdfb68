"""RulesStore: payroll rules with two times, in revisions; batches, results, the audit trail and agents' config beside them.

Every read answers from one revision: the newest, or the one that a batch has pinned. `publish` is the only way in for rules.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, TypeVar

from django.conf import settings

from northstar.context import RequestContext
from storage.documents import ANY, Expect
from storage.guard import GuardedDocuments, ServedBy
from storage.keys import Scope
from storage.kinds.rules_documents import RulesDocuments
from storage.kinds.rules_errors import RuleNotFoundError
from storage.kinds.rules_history import Entry, Sheet
from storage.kinds.rules_knowledge import Asked, CacheInUse, SharedCache, knowledge_of, rules_published
from storage.kinds.rules_layout import AGENTS, META, REVISION_PREFIX, UNIT_PREFIX, YEARS, Unit, revision_ref
from storage.kinds.rules_publishing import Difference, Published, Publisher, Wish, differences
from storage.kinds.rules_reading import Answer, Reader, row_of, whole_history
from storage.kinds.rules_records import AgentConfig, AuditEntry, BatchState, Exact, Listed, RulesRecords, StepResult
from storage.kinds.rules_revisions import Revision, catch_up
from storage.kinds.rules_rows import (
    CALCULATION,
    LIMIT,
    STEP,
    VALIDATION,
    AnyRow,
    CalculationRule,
    Change,
    Limit,
    Step,
    ValidationRule,
)

V = TypeVar("V")


class RulesStore:
    """The rules and records of one scope. Errors are BlueStarErrors."""

    def __init__(self, documents: GuardedDocuments, context: RequestContext) -> None:
        self.context = context
        self._documents = RulesDocuments(documents)
        self._knowledge = knowledge_of(self._documents)
        self._cache: CacheInUse | None = None
        self._publisher = Publisher(self._documents, context)
        self._records = RulesRecords(self._documents, context)

    @property
    def served_by(self) -> ServedBy:
        return self._documents.served_by

    @property
    def scope(self) -> Scope:
        return self._documents.scope

    def with_cache(self, cache: SharedCache) -> "RulesStore":
        """Return the store with a cache that processes share between its own memory and the backend."""
        store = RulesStore.__new__(RulesStore)
        store.__dict__.update(self.__dict__)
        served, scope = self.served_by, self.scope
        store._cache = CacheInUse(cache, ":".join(("rules", str(served.route_id), str(served.revision), *scope.parts)))
        return store

    # Rules ---------------------------------------------------------------------------------------------------------------

    def get_pipeline(
        self,
        plan_id: str,
        as_of: date | None = None,
        *,
        client_id: str | None = None,
        revision: int | None = None,
        max_stale: float | None = None,
    ) -> Answer[tuple[Step, ...]]:
        """Return the steps of a plan, by number. A client's own plan (`{client}_BiWeeklyFri`) wins over `DEFAULT_BiWeeklyFri`.

        Raises RuleNotFoundError where no step is valid on that day (today, in UTC, unless one is named).
        """
        question = (STEP, plan_id, client_id, as_of)
        known: Answer[tuple[Step, ...]] | None = self._remembered(question, revision)
        return known or self._asked(question, lambda one: one.pipeline(plan_id, client_id), as_of, revision, max_stale)

    def get_validation_rules(
        self,
        client_id: str,
        field: str,
        as_of: date | None = None,
        *,
        revision: int | None = None,
        max_stale: float | None = None,
    ) -> Answer[tuple[ValidationRule, ...]]:
        """Return the rules of a field, by number: the client's, else those of its chain, else GLOBAL's, else none."""
        question = (VALIDATION, client_id, field, as_of)
        known: Answer[tuple[ValidationRule, ...]] | None = self._remembered(question, revision)
        return known or self._asked(question, lambda one: one.validations(client_id, field), as_of, revision, max_stale)

    def get_calculation_rule(
        self,
        client_id: str,
        rule_id: str,
        as_of: date | None = None,
        *,
        revision: int | None = None,
        max_stale: float | None = None,
    ) -> Answer[CalculationRule]:
        """Return the client's rule, else that of its chain, else GLOBAL's. Raises RuleNotFoundError where nobody has it."""
        question = (CALCULATION, client_id, rule_id, as_of)
        known: Answer[CalculationRule] | None = self._remembered(question, revision)
        return known or self._asked(
            question, lambda one: one.calculation(client_id, rule_id), as_of, revision, max_stale
        )

    def get_irs_limits(
        self,
        year: int,
        as_of: date | None = None,
        *,
        revision: int | None = None,
        max_stale: float | None = None,
    ) -> Answer[tuple[Limit, ...]]:
        """Return the limits of a year, by code. Raises NotPublishedError for a year whose figures are not known yet."""
        question = (LIMIT, year, as_of)
        known: Answer[tuple[Limit, ...]] | None = self._remembered(question, revision)
        return known or self._asked(question, lambda one: one.limits(year), as_of, revision, max_stale)

    def rules_revision(self) -> int:
        """Return the newest revision, asked of the store itself; a batch that pins it sees one snapshot through all its steps."""
        return self._knowledge.newest(self._documents)

    def _remembered(self, question: Any, revision: int | None) -> Any:
        """Return the answer if it was given before and is still right: a look into memory, nothing else."""
        known = self._knowledge
        answer = (
            known.snapshot.answers.get(question) if revision is None and known.is_fresh and known.snapshot else None
        )
        *_, as_of = question
        return answer if answer and (as_of or answer.as_of == datetime.now(UTC).date()) else None

    def _asked(
        self,
        question: Any,
        read: Callable[[Reader], Answer[V]],
        as_of: date | None,
        revision: int | None,
        max_stale: float | None,
    ) -> Answer[V]:
        if revision is not None and revision < 1:
            raise RuleNotFoundError(f"There is no revision {revision}.", fix="Pin a revision that an answer named.")
        most = settings.NORTHSTAR_RULES_STALE_SECONDS if max_stale is None else max_stale
        asked = Asked(revision or 0, most, self._cache)
        answer = read(Reader(self._documents, self._knowledge, asked, as_of))
        if revision is None and not answer.stale:
            self._knowledge.remember(question, answer, today=as_of is None)
        return answer

    # Revisions -----------------------------------------------------------------------------------------------------------

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
        """Publish rows, and take back others (`Retire`), as one revision: all of it or nothing is seen by readers.

        A row says what it says on its days; other days stay as they are, and so does what earlier revisions say. What stands
        already changes nothing. `keep_existing` only says something of days of which nothing is said. Raises RulesRefused, or
        StoreError (VERSION_CONFLICT when `expect_revision` is not the newest).
        """
        wish = Wish("publish", reason, expect_revision, dry_run, operation_id)
        return self._told(self._publisher.publish(changes, wish, keep_existing=keep_existing))

    def rollback(
        self,
        revision: int,
        *,
        reason: str,
        expect_revision: int | None = None,
        dry_run: bool = False,
        operation_id: str = "",
    ) -> Published:
        """Publish, as a new revision, what stood in an earlier one. Raises RuleNotFoundError, RevisionGone and as `publish`."""
        head = catch_up(self._documents)
        _check_there(revision, head.revision)
        wanted = {
            unit: self._sheet(unit, revision).standing(revision) for unit in self._changed(revision, head.revision)
        }
        wish = Wish(
            "rollback",
            reason,
            head.revision if expect_revision is None else expect_revision,
            dry_run,
            operation_id,
            revision,
        )
        return self._told(self._publisher.restate(wanted, wish))

    def promote(
        self,
        source: "RulesStore",
        *,
        reason: str,
        revision: int | None = None,
        expect_revision: int | None = None,
        dry_run: bool = False,
        operation_id: str = "",
    ) -> Published:
        """Publish here exactly what stands in another store (the newest revision there, or an older one)."""
        taken = source._known_revision(revision)
        head = catch_up(self._documents)
        units = {*source.units(), *self.units()}
        wanted = {unit: source._sheet(unit, taken).standing(taken) for unit in units}
        wish = Wish(
            "promote",
            reason,
            head.revision if expect_revision is None else expect_revision,
            dry_run,
            operation_id,
            taken,
        )
        return self._told(self._publisher.restate(wanted, wish))

    def revision(self, number: int) -> Revision:
        """Return one revision: who, when, why and what. Raises RuleNotFoundError."""
        document = self._documents.get(revision_ref(number))
        if document is None or number > catch_up(self._documents).revision:
            raise RuleNotFoundError(f"There is no revision {number}.")
        return Revision.of(document)

    def revisions(self, *, limit: int = 100, after: str | None = None) -> Listed:
        """Return revisions, the newest first."""
        catch_up(self._documents)
        page = self._documents.scan(AGENTS, META, prefix=REVISION_PREFIX, limit=limit, reverse=True, cursor=after)
        return Listed([Revision.of(one) for one in page.documents], page.cursor)

    def diff(self, before: int, after: int) -> tuple[Difference, ...]:
        """Return how the rules of two revisions differ, either of which may be the later one. Raises RuleNotFoundError."""
        found: list[Difference] = []
        for unit in sorted(self._changed(min(before, after), max(before, after)), key=lambda one: one.text):
            if unit != YEARS:
                sheet = self._sheet(unit, min(before, after))
                found += differences(unit, sheet.standing(before), sheet.standing(after))
        return tuple(found)

    def units(self, kind: str = "") -> list[Unit]:
        """Return everything that rules were ever published about, by name: all, or those of a kind of rows."""
        prefix = UNIT_PREFIX + (f"{kind}#" if kind else "")
        return [Unit.parse(one.fields["unit"]) for one in self._documents.all(AGENTS, META, prefix=prefix)]

    def rows(self, units: Sequence[Unit], revision: int | None = None) -> list[AnyRow]:
        """Return all rows of these units, of all days, as they stand in a revision (the newest unless one is named)."""
        pinned = self._known_revision(revision)
        sheets = self._publisher.sheets(units)
        found: list[AnyRow] = []
        for unit, sheet in sheets.items():
            entries = (sheet if pinned >= sheet.floor else whole_history(self._documents, unit, pinned)).standing(
                pinned
            )
            found += [row_of(unit.kind, entry) for entry in entries if unit != YEARS]
        return found

    def history(self, unit: Unit) -> list[Entry]:
        """Return all that was ever said of a unit and is kept, the newest revision first."""
        sheet = self._publisher.sheets([unit])[unit]
        return sorted(sheet.entries, key=lambda one: (-one.since, one.slot, one.begins))

    def _sheet(self, unit: Unit, revision: int) -> Sheet:
        sheet = self._publisher.sheets([unit])[unit]
        return sheet if revision >= sheet.floor else whole_history(self._documents, unit, revision)

    def _changed(self, before: int, after: int) -> set[Unit]:
        """Return the units that the revisions after `before`, up to `after`, have changed."""
        newest = catch_up(self._documents).revision
        for number in (before, after):
            _check_there(number, newest)
        return {change.unit for number in range(before + 1, after + 1) for change in self.revision(number).changes}

    def _known_revision(self, revision: int | None) -> int:
        """Return this revision, or the newest where none is named. Raises RuleNotFoundError for one that there is not."""
        newest = catch_up(self._documents).revision
        if revision is not None:
            _check_there(revision, newest)
        return newest if revision is None else revision

    def _told(self, published: Published) -> Published:
        if published.changed and not published.dry_run:
            self._knowledge.look_again()
            rules_published.send(sender=None, scope=self.scope)
        return published

    # Records -------------------------------------------------------------------------------------------------------------

    def save_batch_state(
        self,
        batch_id: str,
        state: Mapping[str, Exact],
        *,
        expect: Expect = ANY,
        rules_revision: int | None = None,
    ) -> BatchState:
        """Store where a batch stands. Its first save pins the newest revision of the rules, unless one is named.

        Raises RuleNotFoundError for a revision that there is not: its rules are nobody's yet.
        """

        def pin(stored: int | None) -> int:
            if rules_revision is not None:
                if rules_revision != stored:
                    _check_there(rules_revision, self.rules_revision())
                return rules_revision
            return stored if stored is not None else self.rules_revision()

        return self._records.save_batch(batch_id, state, pin=pin, expect=expect)

    def get_batch_state(self, batch_id: str) -> BatchState | None:
        """Return where a batch stands, or None."""
        return self._records.batch(batch_id)

    def save_processing_result(
        self, batch_id: str, step: int, result: Mapping[str, Exact], *, operation_id: str = ""
    ) -> StepResult:
        """Store what a step of a batch came to, as a row of its own."""
        return self._records.save_result(batch_id, step, result, operation_id=operation_id)

    def processing_results(self, batch_id: str, *, limit: int = 100, after: str | None = None) -> Listed:
        """Return the results of a batch, by step and time."""
        return self._records.results(batch_id, limit=limit, after=after)

    def append_audit_entry(
        self,
        entry: Mapping[str, Exact],
        *,
        entry_id: str | None = None,
        at: datetime | None = None,
        operation_id: str = "",
    ) -> AuditEntry:
        """Append to the audit trail. A second entry with the same time and id is refused: StoreError, ALREADY_EXISTS."""
        return self._records.append_audit(entry, entry_id=entry_id, at=at, operation_id=operation_id)

    def audit_entries(self, day: date | None = None, *, limit: int = 100, after: str | None = None) -> Listed:
        """Return the audit entries of one day (today, in UTC, unless one is named), by time."""
        return self._records.audit(day or datetime.now(UTC).date(), limit=limit, after=after)

    def save_agent_config(self, agent: str, config: Mapping[str, Exact], *, expect: Expect = ANY) -> AgentConfig:
        """Store the next revision of an agent's config. `expect` is the revision that stands."""
        return self._records.save_config(agent, config, expect=expect)

    def get_agent_config(self, agent: str, revision: int | None = None) -> AgentConfig | None:
        """Return an agent's config, the newest unless a revision is named, or None."""
        return self._records.config(agent, revision)

    def agent_configs(self, agent: str, *, limit: int = 100, after: str | None = None) -> Listed:
        """Return the revisions of an agent's config, the newest first."""
        return self._records.configs(agent, limit=limit, after=after)


def _check_there(revision: int, newest: int) -> None:
    if not 0 <= revision <= newest:
        raise RuleNotFoundError(
            f"There is no revision {revision}: the newest is {newest}.", fix="Name a revision that an answer named."
        )
