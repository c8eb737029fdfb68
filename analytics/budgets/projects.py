"""Projects: a tenant's place knows the projects that have counters, so that a sweep finds what is owed in each."""

from typing import Any

from analytics.budgets.names import PROJECTS
from analytics.budgets.places import Place, open_place
from analytics.budgets.plans import Plan
from analytics.budgets.remembered import Remembered
from northstar.context import RequestContext
from storage.documents import Put

_known = Remembered[bool]()


def remember_project(plan: Plan) -> None:
    """Note the plan's project with its tenant, once per process and before anything is taken: a crash leaves nothing unseen."""
    if plan.home is not None:
        note_project(plan.context, plan.home)


def note_project(context: RequestContext, project: str) -> None:
    """Note a project with its tenant, once per process."""
    tenant = open_place(context, None)
    if not _known.get(tenant, project):
        fields: dict[str, Any] = {"project": project}
        tenant.write([Put(PROJECTS + project, fields)])
        _known.keep(tenant, True, project)


def projects_of(tenant: Place) -> list[str]:
    """Return the projects of a tenant's environment that have counters, in order."""
    return [record.data["project"] for record in tenant.all(PROJECTS)]
