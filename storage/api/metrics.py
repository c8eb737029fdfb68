"""Values of metrics: stored, found by time and tags, aggregated, the latest."""

from typing import ClassVar, Final

from django.urls import URLPattern, path
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from northstar.api import page
from northstar.errors import NotFound
from northstar.idempotency import IdempotentPost
from northstar.inputs import PAGE_SIZE, check_json_type, checked
from northstar.strict_json import parse
from storage.api.base import DataView
from storage.api.metric_bodies import (
    MetricIngestIn,
    MetricPageOut,
    MetricQuery,
    MetricValueIn,
    MetricValueOut,
    MetricValuesIn,
    MetricValuesOut,
    TagsQuery,
    bucket_answer,
    value_answer,
)
from storage.cursors import seal, unseal
from storage.kinds.metrics_store import MetricsStore

INGEST_JSON_BYTES: Final = 5 * 1024 * 1024
_MOMENT: Final = {"type": "string", "format": "date-time"}
_TAGS: Final = OpenApiParameter(
    "tags", str, description="`region:eu,plan:pro`, or a JSON object: only values that have all of these tags."
)
_END: Final = OpenApiParameter("end", _MOMENT, description="Only values before it.")


class MetricView(IdempotentPost, DataView):
    """The values of one metric."""

    scopes: ClassVar[dict[str, str]] = {"GET": "data:read", "POST": "data:write"}
    max_json_bytes: ClassVar[int] = INGEST_JSON_BYTES

    @extend_schema(operation_id="ingest_metric", request=MetricIngestIn, responses={201: MetricValuesOut})
    def post(self, request: Request, name: str) -> Response:  # noqa: ARG002
        """Store one value, or a list of up to 1000."""
        values = [value.new() for value in self._given()]
        stored = self.open("metrics_store").ingest(name, values, operation_id=self.operation_id)
        return Response({"items": [value_answer(value) for value in stored]}, status=201)

    def _given(self) -> list[MetricValueIn]:
        check_json_type(self.request)
        body = parse(self.raw_body())
        if isinstance(body, list):
            return checked(MetricValuesIn, {"values": body}, "body").values
        if not isinstance(body, dict):
            return checked(MetricValuesIn, {"values": [body]}, "body").values
        return (
            checked(MetricValuesIn, body, "body").values if "values" in body else [checked(MetricValueIn, body, "body")]
        )

    @extend_schema(
        operation_id="query_metric",
        parameters=[
            OpenApiParameter("start", _MOMENT, description="Only values from it on."),
            _END,
            _TAGS,
            OpenApiParameter(
                "bucket", str, description="Aggregate per bucket of this length: `30s`, `5m`, `1h`, `7d`."
            ),
            OpenApiParameter(
                "aggregate", str, description="`count`, `sum`, `min`, `max`, `avg`, `p95`, …, separated by commas."
            ),
            OpenApiParameter("limit", PAGE_SIZE, description="1 to 1000; 100 when left out."),
            OpenApiParameter("cursor", str, description="The `next_cursor` of the page before."),
        ],
        responses={200: MetricPageOut},
    )
    def get(self, request: Request, name: str) -> Response:  # noqa: ARG002
        """List values in the order of their event times, or aggregates of them, over all of them or per bucket.

        A page may hold fewer items than `limit`, even none, and yet have a `next_cursor`: one call reads at most 64,000 values.
        """
        query = self.query(MetricQuery)
        aggregates, length = query.aggregates, query.length
        metrics = self.open("metrics_store")
        binding = _binding(metrics, name, query)
        after = unseal("metrics", binding, query.cursor) if query.cursor is not None else None
        if aggregates is None:
            values = metrics.query(name, query.span(after), query.tags, limit=query.limit)
            items, next_after = [value_answer(value) for value in values.values], values.next_after
        else:
            span = query.span(after)
            found = metrics.aggregate(name, aggregates, span, query.tags, bucket=length, limit=query.limit)
            items, next_after = [bucket_answer(bucket) for bucket in found.buckets], found.next_after
        return page(items, seal("metrics", binding, next_after) if next_after is not None else None)


class LatestView(DataView):
    """The latest value of one metric."""

    scopes: ClassVar[dict[str, str]] = {"GET": "data:read"}

    @extend_schema(operation_id="latest_metric", parameters=[_TAGS, _END], responses={200: MetricValueOut})
    def get(self, request: Request, name: str) -> Response:  # noqa: ARG002
        """Read the value with the latest event time, whenever it arrived."""
        query = self.query(TagsQuery)
        found = self.open("metrics_store").latest(name, query.tags, end=query.end)
        if found is None:
            raise NotFound(f"The metric {name!a} has no such value.", fix="Metric names and tags are exact.")
        return Response(value_answer(found))


def _binding(metrics: MetricsStore, name: str, query: MetricQuery) -> tuple[str, ...]:
    return (str(metrics.served_by.route_id), *metrics.scope.parts, name, *query.binding)


urlpatterns: list[URLPattern] = [
    path("storage/metrics/<str:name>", MetricView.as_view(), name="metric"),
    path("storage/metrics/<str:name>/latest", LatestView.as_view(), name="metric-latest"),
]
