"""Routes come in from a file, under the rules of any change."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from northstar.errors import InvalidRequest, NorthstarError
from routing.admission import RouteDraft
from routing.audit import Cause
from routing.changes import put_route
from routing.exporting import RouteKey, keep_sealed, unset_references
from routing.models import Route
from routing.operations.plans import Step, Thing, refused, route_name, take_step


@dataclass(frozen=True, slots=True)
class Asked:
    """One route of a file: where it stands there, and the draft, or why there is none. `rationale` is the file's own."""

    place: str
    draft: RouteDraft | NorthstarError
    rationale: str = ""


def import_routes(asked: Iterable[Asked], cause: Cause, *, dry_run: bool) -> Iterator[Step]:
    """Put each route as POST /routing/routes would, and yield a step for each. One that is refused holds up no other.

    The cause's rationale stands for those that bring none.
    """
    seen: dict[RouteKey, str] = {}
    for one in asked:
        if isinstance(one.draft, NorthstarError):
            yield refused(Thing("route", one.place), one.draft)
            continue
        key = (one.draft.resource_kind, one.draft.tenant_id, one.draft.env, one.draft.project_id)
        thing = Thing("route", route_name(*key), one.draft.backend_type)
        if first := seen.get(key):
            detail = f"{one.place} has the same four-part key as {first}."
            yield refused(thing, InvalidRequest(detail, fix="Keep one of the two."))
            continue
        seen[key] = one.place
        why = replace(cause, rationale=one.rationale or cause.rationale)
        yield _put(thing, key, one.draft, why, dry_run=dry_run)


def _put(thing: Thing, key: RouteKey, draft: RouteDraft, cause: Cause, *, dry_run: bool) -> Step:
    kind, tenant, env, project = key
    stored = Route.objects.filter(resource_kind=kind, tenant=tenant, env=env, project_id=project).first()
    config = keep_sealed(key, draft.backend_type, draft.config, stored)
    put = replace(draft, config=config)
    return take_step(thing, lambda: put_route(put, cause), dry_run=dry_run, notes=unset_references(config))
