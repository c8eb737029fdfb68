"""Pages of database rows in the order of their ids, behind sealed cursors."""

from typing import Any, TypeVar

from django.db.models import Model, QuerySet

from storage.cursors import seal, unseal

Row = TypeVar("Row", bound=Model)


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
