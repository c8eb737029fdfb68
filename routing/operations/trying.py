"""Does the service behind a route answer?"""

from dataclasses import dataclass
from time import perf_counter

from northstar.errors import NorthstarError
from routing.snapshot import ResolvedRoute
from storage.guard import Caller, ServedBy
from storage.keys import Scope
from storage.opening import build_adapter


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """How a try went: each step with its milliseconds; `error` is redacted, empty when all went well."""

    ok: bool
    steps: tuple[tuple[str, float], ...]
    error_code: str = ""
    error: str = ""


def probe(route: ResolvedRoute, mode: str) -> ProbeReport:
    """Open the route's service, without keeping it, and ask whether it answers."""
    started = perf_counter()
    try:
        adapter = build_adapter(route, mode)  # its driver closes when nobody holds it
        served_by = ServedBy(route.id, route.revision, route.backend_type)
        scope = Scope(route.tenant_id, route.env, route.project_id)
        caller = Caller(route.resource_kind, served_by, scope, adapter.secrets)
        caller.run("ping", adapter.driver.ping, repeatable=True)
    except NorthstarError as error:
        return ProbeReport(False, (("ping", _since(started)),), error.code, error.told())
    return ProbeReport(True, (("ping", _since(started)),))


def _since(started: float) -> float:
    return round((perf_counter() - started) * 1000, 3)
