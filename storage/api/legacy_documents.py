"""The earlier engines' addresses for streams and tables, mapped onto the same views. They stand at the root of the site."""

from typing import ClassVar

from django.urls import URLPattern, path
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from northstar.errors import FieldError, InvalidRequest
from northstar.idempotency import IdempotentPost
from storage.api import addresses  # noqa: F401 - registers the converter <key:…>
from storage.api.base import DataView
from storage.api.streams import EarlierAppendView, EarlierEventsView
from storage.api.table_bodies import EarlierUpsertIn, RecordOut
from storage.api.tables import answer


class EarlierUpsertView(IdempotentPost, DataView):
    """The earlier engines' upsert of one record."""

    scopes: ClassVar[dict[str, str]] = {"POST": "data:write"}

    @extend_schema(operation_id="earlier_upsert_record", request=EarlierUpsertIn, responses={200: RecordOut})
    def post(self, request: Request, table: str) -> Response:  # noqa: ARG002
        """Put a record, as PUT /api/v1/storage/tables/{table}/records/{key} does."""
        body = self.body(EarlierUpsertIn)
        if body.table_name not in {None, table}:
            detail = "It differs from the table of the address."
            raise InvalidRequest(
                "The body names another table than the address.",
                fix="Send the same name, or leave table_name out.",
                errors=[FieldError("table_name", "mismatch", detail)],
            )
        tables = self.open("tabular_store")
        return answer(tables.upsert(table, body.key, body.data, operation_id=self.operation_id))


urlpatterns: list[URLPattern] = [
    path("timeline/<key:stream_id>/append", EarlierAppendView.as_view(), name="earlier-append"),
    path("timeline/<key:stream_id>/events", EarlierEventsView.as_view(), name="earlier-events"),
    path("storage/tabular/<str:table>/upsert", EarlierUpsertView.as_view(), name="earlier-upsert"),
]
