"""Which indexes a query needs: those that every field has by itself, or one that somebody must have made."""

from collections.abc import Iterable, Iterator

from tests.servers.firestore_errors import needs_index
from tests.servers.firestore_field_settings import ASCENDING, CONTAINS, DESCENDING, FieldSettings
from tests.servers.firestore_fields import NAME, FieldPath
from tests.servers.firestore_filters import CONTAINS_OPERATORS, INEQUALITIES, flatten
from tests.servers.firestore_query import PreparedQuery


def check_indexes(
    query: PreparedQuery, settings: FieldSettings, aggregated: Iterable[FieldPath] = (), *, strict: bool
) -> None:
    """Refuse a query over fields without the indexes for it, a scan of keys downwards and, when `strict`, any query that
    needs more than the indexes of single fields."""
    equal = {each.path for each in flatten(query.filter) if each.operator not in INEQUALITIES} - {NAME}
    needed = [*_needed(query, equal), *((path, {ASCENDING, DESCENDING}) for path in aggregated)]
    if not needed and query.orders[-1].descending:
        raise needs_index("Firestore does not support descending key scans")
    collection = query.selection.collection
    for path, kinds in needed:
        if not kinds & settings.indexes_of(collection, path):
            raise needs_index(f"{' or '.join(sorted(kinds))} on {'.'.join(path)} of {collection}, which is exempt")
    used = {path for path, _ in needed}
    if strict and used and (query.selection.deep or not _is_automatic(query, equal, used)):
        raise needs_index(f"one on {', '.join('.'.join(path) for path in sorted(used))} of {collection}")


def _needed(query: PreparedQuery, equal: set[FieldPath]) -> Iterator[tuple[FieldPath, set[str]]]:
    """Yield each field that is filtered or ordered, with the indexes of which one serves that."""
    for each in flatten(query.filter):
        if each.path in equal:
            yield each.path, {CONTAINS} if each.operator in CONTAINS_OPERATORS else {ASCENDING, DESCENDING}
    for order in query.orders:
        if order.path not in equal | {NAME}:
            yield order.path, {DESCENDING if order.descending else ASCENDING}


def _is_automatic(query: PreparedQuery, equal: set[FieldPath], used: set[FieldPath]) -> bool:
    """Each field has an index up and one down, in one collection. Those of equalities are merged, in the order of names."""
    if used == equal:
        return not query.orders[-1].descending
    return len(used) == 1 and len({order.descending for order in query.orders}) == 1
