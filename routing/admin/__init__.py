"""The back office's pages. Whatever they change goes through `routing.changes`, as the API does."""

from routing.admin import accounts, aliases, audit, keys, locks, outbox, routes, tenants
from routing.admin.stores import memory, metrics, streams, tables

__all__ = [
    "accounts",
    "aliases",
    "audit",
    "keys",
    "locks",
    "memory",
    "metrics",
    "outbox",
    "routes",
    "streams",
    "tables",
    "tenants",
]
