"""A scan as queries of one partition: DynamoDB keeps its sort keys in the byte order of UTF-8, which is the contract's."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from storage.backends.dynamodb_client import Connection
from storage.backends.dynamodb_items import document_in, microseconds, partition_name
from storage.backends.dynamodb_values import Typed
from storage.documents import Document, Page, Partition, Ref

_PRESENT: Final = "attribute_not_exists(gone) AND (attribute_not_exists(expires) OR expires > :now)"
_MOST_ITEMS: Final = 1000
"""Of one query; DynamoDB ends it at 1 MB in any case."""
_LAST_CODE_POINT: Final = 0x10FFFF
_SURROGATES: Final = range(0xD800, 0xE000)


@dataclass(frozen=True, slots=True)
class Range:
    """Keys strictly between `after` and `before` that begin with `prefix`. Python compares text as UTF-8 bytes compare."""

    prefix: str
    after: str | None
    before: str | None

    @property
    def end(self) -> str | None:
        """The first key behind the range, None where it has no end."""
        ends = [end for end in (self.before, _behind(self.prefix)) if end is not None]
        return min(ends, default=None)

    @property
    def is_empty(self) -> bool:
        end, after = self.end, self.after
        return end is not None and (end <= self.prefix or (after is not None and end <= after))

    def condition(self) -> tuple[str, dict[str, Typed]]:
        """Return the key condition; DynamoDB takes one per key. One between two bounds includes the key `end` itself."""
        end = self.end
        if self.after is not None and self.after >= self.prefix:
            start, relation = self.after, ">"
        else:
            start, relation = self.prefix, ">="
        if not start:
            return (" AND sk < :end", {":end": {"S": end}}) if end is not None else ("", {})
        if end is None:
            return f" AND sk {relation} :start", {":start": {"S": start}}
        least = start + "\0" if relation == ">" else start
        return " AND sk BETWEEN :start AND :end", {":start": {"S": least}, ":end": {"S": end}}


def scan(
    connection: Connection,
    table_name: str,
    collection: str,
    partition: Partition,
    keys: Range,
    *,
    limit: int,
    reverse: bool,
) -> Page:
    """Return one page of the present documents of the range. Raises as reads do."""
    if keys.is_empty:
        return Page(())
    condition, values = keys.condition()
    now = datetime.now(UTC)
    query = {
        "TableName": table_name,
        "ConsistentRead": True,
        "KeyConditionExpression": "pk = :pk" + condition,
        "FilterExpression": _PRESENT,
        "ExpressionAttributeValues": values
        | {":pk": {"S": partition_name(collection, partition)}, ":now": microseconds(now)},
        "ScanIndexForward": not reverse,
    }
    documents: list[Document] = []
    for item in _items(connection, query, limit + 2):  # one more tells that there is more, and one may be `end`
        key = item["sk"]["S"]
        document = document_in(Ref(collection, partition, key), item, now) if key != keys.end else None
        if document is None:
            continue
        if len(documents) == limit:
            return Page(tuple(documents), documents[-1].ref.key)
        documents.append(document)
    return Page(tuple(documents))


def _items(connection: Connection, query: dict[str, Any], first: int) -> Iterator[dict[str, Typed]]:
    """Yield the items that match, query after query; each looks at more than the last, so that no many are made for few."""
    start: dict[str, Any] = {}
    looked_at = first
    while True:
        answer = connection.send("query", **query, Limit=looked_at, **start)
        yield from answer["Items"]
        if "LastEvaluatedKey" not in answer:
            return
        start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}
        looked_at = min(looked_at * 4, max(first, _MOST_ITEMS))


def _behind(prefix: str) -> str | None:
    """Return the first text behind all that begin with the prefix, None where there is none."""
    stem = prefix.rstrip(chr(_LAST_CODE_POINT))
    if not stem:
        return None
    code = ord(stem[-1]) + 1
    return stem[:-1] + chr(_SURROGATES.stop if code in _SURROGATES else code)
