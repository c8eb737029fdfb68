"""create_persistence(context): the rules store, the cache and the files of one context, wired from its routes."""

from typing import Final, NamedTuple

from django.conf import settings

from northstar.context import RequestContext
from rules.cache import RulesCache
from rules.files import FileStore
from storage.keys import Scope
from storage.kinds.rules_store import RulesStore
from storage.opening import open_store

SHELF: Final = "rules"
"""Of the shared cache, where rules lie."""


class Persistence(NamedTuple):
    """What agents depend on."""

    rules: RulesStore
    cache: RulesCache
    files: FileStore


def create_persistence(context: RequestContext) -> Persistence:
    """Return the three of a context: a route of rules_store and one of object_store must be there.

    The cache is the deployment's Redis; without one, it is the process's own. Raises as `storage.opening.open_store`.
    """
    return Persistence(
        open_rules(context), RulesCache(Scope.of(context)), FileStore(open_store("object_store", context))
    )


def open_rules(context: RequestContext) -> RulesStore:
    """Return the rules store of a context, with the cache that processes share where there is one. Raises as `open_store`."""
    store: RulesStore = open_store("rules_store", context)
    return store.with_cache(RulesCache(store.scope, SHELF)) if settings.REDIS_URL else store
