"""Pages of database rows in the order of their ids, behind sealed cursors."""

from collections.abc import Mapping
from typing import Any, TypeVar

from django.db.models import Model, QuerySet

from northstar.authentication import Credential
from northstar.context import RequestContext
from storage.cursors import seal, unseal

Row = TypeVar("Row", bound=Model)


def binding_of(credential: Credential, context: RequestContext, filters: Mapping[str, Any]) -> tuple[str, ...]:
    """Return whose list it is, and of what: a cursor is good for the same caller and the same filters only."""
    return (credential.key.key_id, context.tenant_id, *(f"{name}={filters[name]}" for name in sorted(filters)))


def read_page(
    rows: QuerySet[Row],
    *,
    purpose: str,
    binding: tuple[str, ...],
    limit: int,
    cursor: str | None,
    newest_first: bool = False,
) -> tuple[list[Row], str | None]:
    """Return a page of rows and the cursor of the next one, None on the last.

    Raises InvalidCursor for a cursor of another purpose or binding: other caller, other filters.
    """
    order, beyond = ("-pk", "pk__lt") if newest_first else ("pk", "pk__gt")
    if cursor is not None:
        last: Any = unseal(purpose, binding, cursor)
        rows = rows.filter(**{beyond: last})
    found = list(rows.order_by(order)[: limit + 1])
    if len(found) <= limit:
        return found, None
    page = found[:limit]
    return page, seal(purpose, binding, page[-1].pk)
