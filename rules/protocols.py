"""What agents may rely on: the store of the rules, the cache and the files, as types, which the tests' fakes fit as well.

Every method raises a BlueStarError and nothing of a library; see `rules.errors`.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Protocol

from storage.documents import ANY, Expect
from storage.kinds.rules_publishing import Difference, Published
from storage.kinds.rules_reading import Answer
from storage.kinds.rules_records import AgentConfig, AuditEntry, BatchState, Exact, Listed, StepResult
from storage.kinds.rules_rows import CalculationRule, Change, Limit, Step, ValidationRule


class Rules(Protocol):
    """The store. `storage.kinds.rules_store.RulesStore` says what each method promises."""

    def get_pipeline(
        self,
        plan_id: str,
        as_of: date | None = None,
        *,
        client_id: str | None = None,
        revision: int | None = None,
        max_stale: float | None = None,
    ) -> Answer[tuple[Step, ...]]: ...

    def get_validation_rules(
        self,
        client_id: str,
        field: str,
        as_of: date | None = None,
        *,
        revision: int | None = None,
        max_stale: float | None = None,
    ) -> Answer[tuple[ValidationRule, ...]]: ...

    def get_calculation_rule(
        self,
        client_id: str,
        rule_id: str,
        as_of: date | None = None,
        *,
        revision: int | None = None,
        max_stale: float | None = None,
    ) -> Answer[CalculationRule]: ...

    def get_irs_limits(
        self,
        year: int,
        as_of: date | None = None,
        *,
        revision: int | None = None,
        max_stale: float | None = None,
    ) -> Answer[tuple[Limit, ...]]: ...

    def rules_revision(self) -> int: ...

    def publish(
        self,
        changes: Sequence[Change],
        *,
        reason: str,
        expect_revision: int | None = None,
        keep_existing: bool = False,
        dry_run: bool = False,
        operation_id: str = "",
    ) -> Published: ...

    def rollback(
        self,
        revision: int,
        *,
        reason: str,
        expect_revision: int | None = None,
        dry_run: bool = False,
        operation_id: str = "",
    ) -> Published: ...

    def diff(self, before: int, after: int) -> tuple[Difference, ...]: ...

    def save_batch_state(
        self,
        batch_id: str,
        state: Mapping[str, Exact],
        *,
        expect: Expect = ANY,
        rules_revision: int | None = None,
    ) -> BatchState: ...

    def get_batch_state(self, batch_id: str) -> BatchState | None: ...

    def save_processing_result(
        self, batch_id: str, step: int, result: Mapping[str, Exact], *, operation_id: str = ""
    ) -> StepResult: ...

    def processing_results(self, batch_id: str, *, limit: int = 100, after: str | None = None) -> Listed: ...

    def append_audit_entry(
        self,
        entry: Mapping[str, Exact],
        *,
        entry_id: str | None = None,
        at: datetime | None = None,
        operation_id: str = "",
    ) -> AuditEntry: ...

    def audit_entries(self, day: date | None = None, *, limit: int = 100, after: str | None = None) -> Listed: ...

    def save_agent_config(self, agent: str, config: Mapping[str, Exact], *, expect: Expect = ANY) -> AgentConfig: ...

    def get_agent_config(self, agent: str, revision: int | None = None) -> AgentConfig | None: ...


class Cache(Protocol):
    """A cache of several processes. What it holds may be gone at any moment."""

    def get(self, key: str) -> Any:
        """Return the value, with every type as it was stored, or None. Raises CacheError."""

    def setex(self, key: str, ttl_seconds: int, value: Any) -> None:
        """Keep a value (not None) for this many seconds. Raises CacheError."""

    def delete(self, key: str) -> None:
        """Forget a value, if it is there. Raises CacheError."""


class Files(Protocol):
    """Files by path."""

    def read(self, path: str) -> bytes:
        """Return the file's bytes. Raises FileStoreError, NOT_FOUND where there is none."""

    def write(self, path: str, content: bytes | str) -> None:
        """Store a whole file in the place of what was there; text as UTF-8. Raises FileStoreError."""

    def move(self, source: str, target: str) -> None:
        """Let the file be at another path; done again after it broke off anywhere, it is completed. Raises FileStoreError."""

    def list_files(self, prefix: str = "") -> list[str]:
        """Return every path that begins so, however many, in the byte order of UTF-8. Raises FileStoreError."""
