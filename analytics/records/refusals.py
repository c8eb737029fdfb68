"""What keeps a record from being counted, in one form: who says so, and the error that a single record answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from northstar.errors import FieldError, InvalidRequest, NorthstarError

MODE_GATE: Final = "mode"
LOCK_GATE: Final = "lock"
CONTRACT_GATE: Final = "contract"
BUDGET_GATE: Final = "budget"
GATES: Final = (MODE_GATE, LOCK_GATE, CONTRACT_GATE, BUDGET_GATE)
"""In the order in which they are asked."""
SHAPE: Final = "shape"
"""Not a gate: the record itself is no record."""


class ContractViolation(NorthstarError):
    """The record breaks an attribution contract in mode block; it was kept, and is not counted."""

    code, status, title = "CONTRACT_VIOLATION", 422, "Contract violation"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a record is not counted. `gate` is one of GATES, or SHAPE."""

    gate: str
    error: NorthstarError

    @property
    def code(self) -> str:
        return self.error.code

    def fields(self) -> dict[str, Any]:
        """What is kept of it beside the record."""
        kept: dict[str, Any] = {"gate": self.gate, "code": self.code, "detail": self.error.detail}
        if self.error.errors:
            kept["errors"] = [{"field": one.field, "code": one.code, "detail": one.detail} for one in self.error.errors]
        return kept


def malformed(errors: Sequence[FieldError], detail: str = "") -> Refusal:
    """The refusal of what is no record."""
    named = ", ".join(dict.fromkeys(one.field for one in errors[:5] if one.field)) or "see `errors`"
    told = detail or f"The record is not valid: {named}."
    return Refusal(SHAPE, InvalidRequest(told, fix="Correct the fields in `errors`.", errors=errors))
