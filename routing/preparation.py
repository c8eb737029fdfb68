"""Create what the services behind routes need before the first request: tables, containers, folders."""

from collections.abc import Iterator
from dataclasses import dataclass

from northstar.errors import NorthstarError
from routing.resolve import snapshot
from routing.snapshot import ResolvedRoute
from storage.guard import Caller, ServedBy
from storage.keys import Scope
from storage.opening import build_adapter


@dataclass(frozen=True, slots=True)
class Preparation:
    """A route whose service was prepared, or why it could not be."""

    route: ResolvedRoute
    error: NorthstarError | None = None


def prepare_routes(
    *, tenant: str | None = None, env: str | None = None, kind: str | None = None
) -> Iterator[Preparation]:
    """Prepare the service of each enabled route of this tenant, environment and kind; None stands for all.

    What exists already is left as it is, so this may run again at any time. One failure holds up no other route.
    """
    now = snapshot()
    wanted = (tenant, env, kind)
    for route in sorted(now.routes.values(), key=lambda route: route.id):
        facts = (route.tenant_id, route.env, route.resource_kind)
        if all(asked in {None, fact} for asked, fact in zip(wanted, facts, strict=True)):
            yield _prepared(route, now.modes[route.tenant_id])


def _prepared(route: ResolvedRoute, mode: str) -> Preparation:
    try:
        adapter = build_adapter(route, mode)  # its driver closes when nobody holds it
        served_by = ServedBy(route.id, route.revision, route.backend_type)
        scope = Scope(route.tenant_id, route.env, route.project_id)
        caller = Caller(route.resource_kind, served_by, scope, adapter.secrets)
        caller.run("prepare", adapter.driver.prepare, repeatable=True)
    except NorthstarError as error:
        return Preparation(route, error)
    return Preparation(route)
