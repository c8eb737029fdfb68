"""DataView: a REST view over one tenant's store; its answers say which backend and route revision served them."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from northstar.api import ApiView
from storage.guard import ServedBy
from storage.opening import open_store


def served_headers(served: ServedBy) -> dict[str, str]:
    """Return the headers that name the backend and the route revision."""
    return {"X-Northstar-Backend": served.backend_type, "X-Northstar-Route-Revision": str(served.revision)}


class DataView(ApiView):
    """A view that opens stores through the one door.

    An answer that a replica region gave names it: `X-Northstar-Replica`. It may be older than the last write.
    """

    _served: ServedBy | None = None
    _store: Any = None

    def open(self, kind: str) -> Any:
        """Return the kind's store in the request's context. Raises as `storage.opening.open_store`."""
        store = open_store(kind, self.context)
        self._served, self._store = store.served_by, store
        return store

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        answer = super().finalize_response(request, response, *args, **kwargs)
        if self._served is not None:
            for name, value in served_headers(self._served).items():
                answer.headers[name] = value
        replica = getattr(self._store, "replica", None)
        if replica is not None:
            answer.headers["X-Northstar-Replica"] = replica
        return answer
