"""What the calls of tables take and give."""

from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainValidator

from northstar.inputs import PageSize
from storage.documents import ANY
from storage.kinds.tabular_store import DeleteRecord, ItemOutcome, PutRecord, Record


def _number(given: Any) -> int | float | Decimal:
    match given:
        case bool():
            pass
        case int() | float():
            return given
        case str():
            return _decimal(given)
    raise ValueError("Send a number, or an exact decimal as text.")


def _decimal(text: str) -> Decimal:
    if not text.isascii() or "_" in text or text != text.strip():  # Python would take them
        raise ValueError("The text is no decimal number.")
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise ValueError("The text is no decimal number.") from None
    if not number.is_finite():
        raise ValueError("The number is not finite.")
    return number


# Plain: pydantic would try a decimal as an integer first, and so write out all of its zeros.
Amount = Annotated[int | float | Decimal, PlainValidator(_number, json_schema_input_type=int | float | str)]
Version = Annotated[int, Field(ge=1, strict=True)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class RecordIn(_Strict):
    """A record's data: they replace what was there."""

    data: dict[str, Any]


class EarlierUpsertIn(RecordIn):
    """A record as the earlier engines' clients send it. `table_name` repeats the table of the address."""

    table_name: str | None = None
    key: str


class IncrementIn(_Strict):
    """What to add to which top-level number fields, and the bounds that no sum may pass."""

    deltas: dict[str, Amount] = Field(min_length=1)
    ceilings: dict[str, Amount] = Field(default_factory=dict)
    floors: dict[str, Amount] = Field(default_factory=dict)


class PutItem(_Strict):
    """Write one record of a batch."""

    op: Literal["put"] = "put"
    key: str
    data: dict[str, Any]
    expected_version: Version | None = None

    def item(self) -> PutRecord:
        return PutRecord(self.key, self.data, expect=self.expected_version or ANY)


class DeleteItem(_Strict):
    """Remove one record of a batch."""

    op: Literal["delete"]
    key: str
    expected_version: Version | None = None

    def item(self) -> DeleteRecord:
        return DeleteRecord(self.key, expect=self.expected_version or ANY)


class BatchIn(_Strict):
    """1 to 1000 items, each applied for itself."""

    items: list[PutItem | DeleteItem]


class RecordsQuery(BaseModel):
    """Which records of a table."""

    prefix: str = ""
    limit: PageSize = 100
    cursor: str | None = None


class RecordOut(BaseModel):
    """A stored record."""

    key: str
    data: dict[str, Any]
    version: int
    updated_at: datetime


class RecordPageOut(BaseModel):
    """Records in the byte order of their keys."""

    items: list[RecordOut]
    next_cursor: str | None


class TotalsOut(BaseModel):
    """The incremented fields, and the record's version."""

    key: str
    totals: dict[str, Any]
    version: int


class OutcomeOut(BaseModel):
    """What became of one item of a batch. `error_code` is as in an error's body."""

    key: str
    outcome: Literal["stored", "deleted", "error"]
    version: int | None
    error_code: str | None
    detail: str | None


class BatchOut(BaseModel):
    """One outcome per item, in the order given."""

    items: list[OutcomeOut]


def record_answer(record: Record) -> dict[str, Any]:
    return {"key": record.key, "data": record.data, "version": record.version, "updated_at": record.updated_at}


def outcome_answer(outcome: ItemOutcome) -> dict[str, Any]:
    return {
        "key": outcome.key,
        "outcome": outcome.outcome,
        "version": outcome.version,
        "error_code": outcome.error.code if outcome.error else None,
        "detail": outcome.error.detail if outcome.error else None,
    }
