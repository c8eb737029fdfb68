"""What a client is told of each record: exactly one of six outcomes, and why where it is not the best one."""

from dataclasses import dataclass
from typing import Any, Final

from analytics.records.drafts import Draft
from analytics.records.refusals import Refusal
from storage.kinds.analytics_rows import StoredRow

STORED: Final = "stored"
DUPLICATE: Final = "duplicate"
CONFLICT: Final = "conflict"
QUARANTINED: Final = "quarantined"
REJECTED: Final = "rejected"
SPOOLED: Final = "spooled"
OUTCOMES: Final = (STORED, DUPLICATE, CONFLICT, QUARANTINED, REJECTED, SPOOLED)


@dataclass(slots=True)
class Outcome:
    """What became of one record. `row_id` names its row, or the row that it repeats; none while it is spooled."""

    outcome: str
    analytics_id: str
    row_id: str | None = None
    refusal: Refusal | None = None
    findings: list[dict[str, Any]] | None = None
    conflicts_with: str | None = None

    def answer(self) -> dict[str, Any]:
        """The outcome as it is answered."""
        told: dict[str, Any] = {"outcome": self.outcome, "analytics_id": self.analytics_id, "row_id": self.row_id}
        if self.refusal:
            error = self.refusal.error
            told |= {"error_code": error.code, "gate": self.refusal.gate, "detail": error.detail, "fix": error.fix}
            told["errors"] = [{"field": one.field, "code": one.code, "detail": one.detail} for one in error.errors]
        if self.findings:
            told["findings"] = self.findings
        if self.conflicts_with:
            told |= {"error_code": "CONFLICT", "conflicts_with": self.conflicts_with}
        return told


def kept(draft: Draft, stored: StoredRow) -> Outcome:
    """The outcome of a record that has a row of its own now."""
    findings = draft.row.get("findings")
    return Outcome(stored.row["outcome"], draft.analytics_id, stored.row_id, draft.refusal, findings)


def repeated(draft: Draft, row_id: str) -> Outcome:
    """The outcome of a record that is stored already, exactly so."""
    return Outcome(DUPLICATE, draft.analytics_id, row_id)
