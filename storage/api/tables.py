"""Records of tables: one, many, counted, listed."""

from collections.abc import Mapping
from typing import ClassVar, Final, Literal

from django.urls import URLPattern, path
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from northstar.api import IF_MATCH, IF_NONE_MATCH, expected_version, page
from northstar.errors import AlreadyExists, NotFound, VersionConflict
from northstar.idempotency import IdempotentPost
from northstar.inputs import PAGE_SIZE
from storage.api import addresses  # noqa: F401 - registers the converter <key:…>
from storage.api.base import DataView
from storage.api.expectations import document_expectation
from storage.api.table_bodies import (
    BatchIn,
    BatchOut,
    IncrementIn,
    RecordIn,
    RecordOut,
    RecordPageOut,
    RecordsQuery,
    TotalsOut,
    outcome_answer,
    record_answer,
)
from storage.cursors import seal, unseal
from storage.documents import ABSENT, ANY
from storage.kinds.tabular_store import Record, TabularStore

BATCH_JSON_BYTES: Final = 5 * 1024 * 1024
_READS_AND_WRITES: Final = {"GET": "data:read", "PUT": "data:write", "DELETE": "data:write", "POST": "data:write"}
_IF_MATCH: Final = OpenApiParameter(
    "If-Match", str, OpenApiParameter.HEADER, description="The ETag that the record must have; else 412."
)
_IF_NONE_MATCH: Final = OpenApiParameter(
    "If-None-Match", str, OpenApiParameter.HEADER, description="`*`: the record must not exist; else 412."
)


class RecordView(DataView):
    """One record. Its key is the rest of the address, decoded once and taken literally."""

    scopes: ClassVar[dict[str, str]] = {name: _READS_AND_WRITES[name] for name in ("GET", "PUT", "DELETE")}
    conditions: ClassVar[Mapping[str, frozenset[str]]] = {
        "PUT": frozenset({IF_MATCH, IF_NONE_MATCH}),
        "DELETE": frozenset({IF_MATCH}),
    }

    @extend_schema(operation_id="get_record", responses={200: RecordOut})
    def get(self, request: Request, table: str, key: str) -> Response:  # noqa: ARG002
        """Read a record. The ETag is its version."""
        record = self.open("tabular_store").get(table, key)
        if record is None:
            raise NotFound(f"The table {table!a} has no record {key!a}.")
        return answer(record)

    @extend_schema(
        operation_id="upsert_record",
        request=RecordIn,
        responses={200: RecordOut, 201: RecordOut},
        parameters=[_IF_MATCH, _IF_NONE_MATCH],
    )
    def put(self, request: Request, table: str, key: str) -> Response:
        """Replace the whole record, or create it. `If-Match` and `If-None-Match: *` make it conditional."""
        expect = document_expectation(request)
        tables = self.open("tabular_store")
        try:
            record = tables.upsert(table, key, self.body(RecordIn).data, expect=expect)
        except AlreadyExists:
            raise VersionConflict(
                f"The record {key!a} exists, and If-None-Match asks that it does not.",
                fix="Read it, then use If-Match.",
            ) from None
        return answer(record, status=201 if expect is ABSENT else 200)

    @extend_schema(operation_id="delete_record", responses={204: None}, parameters=[_IF_MATCH])
    def delete(self, request: Request, table: str, key: str) -> Response:
        """Remove a record; 204 also when there was none."""
        expected = expected_version(request)
        self.open("tabular_store").delete(table, key, expect=ANY if expected is None else expected)
        return Response(status=204)


class IncrementView(IdempotentPost, RecordView):
    """The counters of one record. A record whose own key ends in /increment is at the same address, for the other methods."""

    scopes: ClassVar[dict[str, str]] = _READS_AND_WRITES

    @extend_schema(operation_id="increment_record", request=IncrementIn, responses={200: TotalsOut})
    def post(self, request: Request, table: str, key: str) -> Response:  # noqa: ARG002
        """Add to numeric fields in one atomic step; over a ceiling nothing changes and the answer is 429."""
        body = self.body(IncrementIn)
        totals = self.open("tabular_store").increment(
            table, key, body.deltas, ceilings=body.ceilings, floors=body.floors, operation_id=self.operation_id
        )
        values = {"key": key, "totals": totals.values, "version": totals.version}
        return Response(values, headers={"ETag": f'"{totals.version}"'})

    @extend_schema(exclude=True)
    def get(self, request: Request, table: str, key: str) -> Response:
        """As that of the record whose key ends in /increment."""
        return super().get(request, table, f"{key}/increment")

    @extend_schema(exclude=True)
    def put(self, request: Request, table: str, key: str) -> Response:
        """As that of the record whose key ends in /increment."""
        return super().put(request, table, f"{key}/increment")

    @extend_schema(exclude=True)
    def delete(self, request: Request, table: str, key: str) -> Response:
        """As that of the record whose key ends in /increment."""
        return super().delete(request, table, f"{key}/increment")


class RecordsView(DataView):
    """The records of one table, in the byte order of their keys."""

    scopes: ClassVar[dict[str, str]] = {"GET": "data:read"}

    @extend_schema(
        operation_id="list_records",
        parameters=[
            OpenApiParameter("prefix", str, description="Only keys that start with it."),
            OpenApiParameter("limit", PAGE_SIZE, description="1 to 1000; 100 when left out."),
            OpenApiParameter("cursor", str, description="The `next_cursor` of the page before."),
        ],
        responses={200: RecordPageOut},
    )
    def get(self, request: Request, table: str) -> Response:  # noqa: ARG002
        """List records in the byte order of their UTF-8 keys."""
        query = self.query(RecordsQuery)
        tables = self.open("tabular_store")
        binding = _binding(tables, table, query.prefix)
        after = unseal("records", binding, query.cursor) if query.cursor is not None else None
        found = tables.list_by_prefix(table, query.prefix, limit=query.limit, after=after)
        next_cursor = seal("records", binding, found.next_after) if found.next_after is not None else None
        return page([record_answer(record) for record in found.records], next_cursor)


class BatchView(IdempotentPost, DataView):
    """Many records of one table, each with an outcome of its own."""

    scopes: ClassVar[dict[str, str]] = {"POST": "data:write"}
    max_json_bytes: ClassVar[int] = BATCH_JSON_BYTES

    @extend_schema(operation_id="write_records", request=BatchIn, responses={200: BatchOut})
    def post(self, request: Request, table: str) -> Response:  # noqa: ARG002
        """Write up to 1000 records, each for itself, and answer an outcome per item."""
        items = [item.item() for item in self.body(BatchIn).items]
        outcomes = self.open("tabular_store").batch(table, items)
        return Response({"items": [outcome_answer(outcome) for outcome in outcomes]})


def answer(record: Record, status: Literal[200, 201] = 200) -> Response:
    """Answer with a record and its ETag."""
    return Response(record_answer(record), status=status, headers={"ETag": f'"{record.version}"'})


def _binding(tables: TabularStore, table: str, prefix: str) -> tuple[str, ...]:
    return (str(tables.served_by.route_id), *tables.scope.parts, table, prefix)


urlpatterns: list[URLPattern] = [
    path("storage/tables/<str:table>/records", RecordsView.as_view(), name="records"),
    path("storage/tables/<str:table>/records/<key:key>/increment", IncrementView.as_view(), name="record-increment"),
    path("storage/tables/<str:table>/records/<key:key>", RecordView.as_view(), name="record"),
    path("storage/tables/<str:table>/batch", BatchView.as_view(), name="records-batch"),
]
