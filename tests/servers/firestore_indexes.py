"""Which indexes a query needs: those that every field has by itself, or one that somebody must have made."""

from collections.abc import Iterable

from tests.servers.firestore_errors import needs_index
from tests.servers.firestore_fields import NAME, FieldPath
from tests.servers.firestore_filters import INEQUALITIES, flatten
from tests.servers.firestore_limits import Exemption
from tests.servers.firestore_query import PreparedQuery


def check_indexes(
    query: PreparedQuery, exemptions: Iterable[Exemption], aggregated: Iterable[FieldPath] = (), *, strict: bool
) -> None:
    """Refuse a query over fields that are exempt from indexes, a scan of keys downwards and, when `strict`, any query
    that needs more than automatic indexes."""
    equal = {each.path for each in flatten(query.filter) if each.operator not in INEQUALITIES} - {NAME}
    ordered = [order for order in query.orders if order.path not in equal | {NAME}]
    if not ordered and not equal and query.orders[-1].descending:
        raise needs_index("Firestore does not support descending key scans")
    used = {*equal, *(order.path for order in ordered), *aggregated}
    collection = query.selection.collection
    for path in used:
        if any(each.covers(collection, path) for each in exemptions):
            raise needs_index(f"the field {'.'.join(path)} of {collection} is exempt from indexing")
    if strict and used and (query.selection.deep or not _is_automatic(query, equal, used)):
        raise needs_index(f"one on {', '.join('.'.join(path) for path in sorted(used))} of {collection}")


def _is_automatic(query: PreparedQuery, equal: set[FieldPath], used: set[FieldPath]) -> bool:
    """Each field has an index up and one down, in one collection. Those of equalities are merged, in the order of names."""
    if used == equal:
        return not query.orders[-1].descending
    return len(used) == 1 and len({order.descending for order in query.orders}) == 1
