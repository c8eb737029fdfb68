"""Promises: what a tenant's projects may use together, held against what the tenant may use itself."""

from typing import Any, Final

from analytics.budgets.amounts import text
from analytics.budgets.errors import Oversubscribed
from analytics.budgets.names import PROJECT, PROMISES, TENANT, USER, policy_key
from analytics.budgets.places import Place, open_place
from analytics.budgets.policies import Policy, stored_policy
from northstar.context import RequestContext
from northstar.errors import AlreadyExists, Conflict, VersionConflict
from storage.documents import ABSENT, Put

ATTEMPTS: Final = 8


def check_promises(context: RequestContext, policy: Policy, project: str | None) -> None:
    """Note what a project is promised, and refuse what would promise more than there is. Raises Oversubscribed.

    Limits are compared where the windows are the same. One document holds what all projects are promised, so that two of them
    that are raised at once cannot both fit. It is written before the policy: a crash in between leaves a promise that the
    next change of the project's budget puts right.
    """
    tenant = open_place(context, None)
    if policy.level == TENANT:
        _check_tenant(tenant, policy)
    elif policy.level == USER:
        _check_user(context, policy, project)
    elif project is not None:
        _note(tenant, policy, project)


def _note(tenant: Place, policy: Policy, project: str) -> None:
    for _ in range(ATTEMPTS):
        promises, version = _promises(tenant, policy)
        promised = {**promises, project: {"limit": policy.hard_limit or 0, "window": _window(policy)}}
        parent = _parent(tenant, policy, TENANT)
        raised = (policy.hard_limit or 0) > _limit(promises.get(project), policy)
        if parent and raised and not policy.oversubscribe:
            _compare(parent, _sum(promised, policy))
        try:
            tenant.write([Put(_key(policy), {"projects": promised}, version or ABSENT)])
        except (AlreadyExists, VersionConflict):
            continue
        return
    raise Conflict("The budgets of this tenant's projects are changed by several people at once.", fix="Try again.")


def _check_tenant(tenant: Place, policy: Policy) -> None:
    _compare(policy, _sum(_promises(tenant, policy)[0], policy))


def _check_user(context: RequestContext, policy: Policy, project: str | None) -> None:
    """A user's limit is one of many: it may not be higher than what all of them share."""
    if policy.oversubscribe or policy.hard_limit is None:
        return
    above = [(None, TENANT)] if project is None else [(None, TENANT), (project, PROJECT)]
    for place, level in above:
        parent = _parent(open_place(context, place), policy, level)
        if parent and _window(parent) == _window(policy):
            _compare(parent, policy.hard_limit)


def _compare(parent: Policy, promised: int) -> None:
    if parent.hard_limit is not None and not parent.oversubscribe and promised > parent.hard_limit:
        raise Oversubscribed(
            f"The {parent.level}'s budget of {parent.provider} {parent.metric} is {text(parent.hard_limit)}; "
            f"{text(promised)} would be promised from it."
        )


def _parent(place: Place, policy: Policy, level: str) -> Policy | None:
    record = place.get(policy_key(policy.provider, policy.metric, level))
    return stored_policy(record.data, record.version) if record else None


def _promises(tenant: Place, policy: Policy) -> tuple[dict[str, Any], int]:
    record = tenant.get(_key(policy))
    return (record.data["projects"], record.version) if record else ({}, 0)


def _sum(promises: dict[str, Any], policy: Policy) -> int:
    return sum(_limit(promise, policy) for promise in promises.values())


def _limit(promise: Any, policy: Policy) -> int:
    return promise["limit"] if promise and promise["window"] == _window(policy) else 0


def _window(policy: Policy) -> str:
    return f"{policy.rule.text} {policy.rule.zone} {policy.rule.anchor}"


def _key(policy: Policy) -> str:
    return f"{PROMISES}{policy.provider}:{policy.metric}"
