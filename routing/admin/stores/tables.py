"""The records of a table, by the prefix of their keys."""

from typing import ClassVar

from django.http import HttpResponse

from northstar.errors import NotFound
from routing.admin.stores.pages import StorePage, store_page
from routing.admin.stores.visits import PAGE_SIZE, Visit
from routing.admin_site import STORES


@store_page
class TablesPage(StorePage):
    """Read-only: a record is changed by the application that owns it."""

    slug = "tables"
    title = "Tables"
    section = STORES
    lead = "Records of a table in the order of their keys."
    kind = "tabular_store"
    views: ClassVar[dict[str, str]] = {"record": "record"}

    def show(self, visit: Visit) -> HttpResponse:
        """List a table's records."""
        query = {"table": visit.asked("table"), "prefix": visit.asked("prefix")}
        tables = visit.open()
        if not query["table"]:
            return visit.answer("stores/tables", query=query)
        after = visit.after(*query.values())
        found = tables.list_by_prefix(query["table"], query["prefix"], limit=PAGE_SIZE, after=after)
        rows = [(record, visit.address("record", table=query["table"], key=record.key)) for record in found.records]
        pager = visit.pager(after, found.next_after, query)
        return visit.answer("stores/tables", query=query, rows=rows, pager=pager)

    def record(self, visit: Visit) -> HttpResponse:
        """Show one record whole."""
        table, key = visit.asked("table"), visit.asked("key")
        record = visit.open().get(table, key)
        if record is None:
            raise NotFound(f"The table {table!a} has no record {key!a}.", fix="It may have been removed meanwhile.")
        return visit.answer("stores/record", f"{table}: {key}", record=record, back=visit.address(table=table))
