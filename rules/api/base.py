"""RulesView: a REST view over one tenant's rules."""

from rules.persistence import open_rules
from storage.api.base import DataView
from storage.kinds.rules_store import RulesStore


class RulesView(DataView):
    """A view that opens the rules store of the request's context."""

    def rules(self) -> RulesStore:
        """Return the store, with the shared cache before it. Raises as `storage.opening.open_store`."""
        store = open_rules(self.context)
        self._served, self._store = store.served_by, store
        return store

    def binding(self, store: RulesStore, *query: str) -> tuple[str, ...]:
        """Return what a cursor of this listing is bound to."""
        return (str(store.served_by.route_id), *store.scope.parts, *query)
