"""What the calls of metrics take and give."""

import json
from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, RootModel, StrictStr, model_validator

from northstar.errors import InvalidRequest
from northstar.inputs import PageSize, Timestamp
from northstar.strict_json import parse
from storage.api.table_bodies import Amount
from storage.kinds.metric_buckets import PLAIN, Bucket, parse_aggregates, parse_bucket
from storage.kinds.metric_reading import Span
from storage.kinds.metrics import TAGS, VALUES_PER_INGEST, MetricValue, NewValue


class MetricValueIn(BaseModel):
    """A value of a metric."""

    model_config = ConfigDict(extra="forbid")

    value: Amount = Field(description="A number, or an exact decimal as text.")
    ts: Timestamp | None = Field(None, description="When it was so. Default: now.")
    tags: dict[str, StrictStr] = Field(default_factory=dict, max_length=TAGS, description="Names and values, as text.")
    source: StrictStr | None = Field(None, description="What measured it.")

    def new(self) -> NewValue:
        return NewValue(self.value, self.ts, self.tags, self.source)


class MetricValuesIn(BaseModel):
    """Values in one call."""

    model_config = ConfigDict(extra="forbid")

    values: list[MetricValueIn] = Field(min_length=1, max_length=VALUES_PER_INGEST)


class MetricIngestIn(RootModel[MetricValueIn | list[MetricValueIn] | MetricValuesIn]):
    """One value, a list of values, or an object that holds the list."""


def _tags(given: Any) -> Any:
    """Return `region:eu,plan:pro`, or a JSON object of texts, as a dict."""
    if not isinstance(given, str):
        return given
    if given.startswith("{"):
        try:
            return parse(given.encode())
        except InvalidRequest as error:
            raise ValueError(f"The tags are no JSON object. {error.detail}") from None
    pairs = [pair.partition(":") for pair in given.split(",")]
    if not all(name and colon for name, colon, _ in pairs):
        raise ValueError("Send tags as name:value,name:value, or as a JSON object where a value holds a comma.")
    tags = {name: value for name, _, value in pairs}
    if len(tags) < len(pairs):
        raise ValueError("A tag stands twice: a value has one of each name.")
    return tags


Tags = Annotated[dict[str, StrictStr], Field(max_length=TAGS), BeforeValidator(_tags)]


class TagsQuery(BaseModel):
    """Which tags the values must have."""

    tags: Tags | None = None
    end: Timestamp | None = None


class MetricQuery(TagsQuery):
    """Which values of a metric, and what of them."""

    start: Timestamp | None = None
    bucket: str | None = None
    aggregate: str | None = None
    limit: PageSize = 100
    cursor: str | None = None

    @model_validator(mode="after")
    def _in_order(self) -> "MetricQuery":
        if self.start and self.end and self.start >= self.end:
            raise ValueError("start must be before end.")
        return self

    @property
    def aggregates(self) -> tuple[str, ...] | None:
        """What to compute; None when the values themselves are asked for. A bucket alone asks for all plain ones."""
        if self.aggregate is not None:
            return parse_aggregates(self.aggregate)
        return PLAIN if self.bucket is not None else None

    @property
    def length(self) -> timedelta | None:
        """The bucket's length."""
        return None if self.bucket is None else parse_bucket(self.bucket)

    def span(self, after: str | None) -> Span:
        return Span(self.start, self.end, after)

    @property
    def binding(self) -> tuple[str, ...]:
        """What a cursor of this query is good for."""
        tags = json.dumps(self.tags, sort_keys=True)
        return (str(self.start), str(self.end), tags, str(self.bucket), str(self.aggregate))


class MetricValueOut(BaseModel):
    """A stored value."""

    metric_name: str
    value: Amount
    ts: datetime
    tags: dict[str, str]
    source: str | None


class MetricValuesOut(BaseModel):
    """What a call has stored, in the order given."""

    items: list[MetricValueOut]


class MetricBucketOut(BaseModel):
    """Aggregates of a bucket's values, from `start` on and before `end`: those that were asked for, by their names."""

    model_config = ConfigDict(extra="allow")

    start: datetime | None
    end: datetime | None


class MetricPageOut(BaseModel):
    """Values, or buckets, in the order of their times."""

    items: list[MetricValueOut | MetricBucketOut]
    next_cursor: str | None


def value_answer(value: MetricValue) -> dict[str, Any]:
    return {
        "metric_name": value.metric_name,
        "value": value.value,
        "ts": value.ts,
        "tags": value.tags,
        "source": value.source,
    }


def bucket_answer(bucket: Bucket) -> dict[str, Any]:
    return {"start": bucket.start, "end": bucket.end, **bucket.values}
