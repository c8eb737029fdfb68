"""Budgets: what may be used, what is used, and counting it."""

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from django.urls import URLPattern, path
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from analytics.api.budget_answers import budget_answer, level_answer, usage_answer
from analytics.api.budget_bodies import (
    BudgetIn,
    BudgetOut,
    BudgetPageOut,
    BudgetQuery,
    BudgetsQuery,
    BudgetUsageOut,
    CheckOut,
    CheckQuery,
    UsageIn,
)
from analytics.budgets.amounts import micros, text
from analytics.budgets.checking import check_usage
from analytics.budgets.counting import record_usage
from analytics.budgets.figures import Figure, all_figures, figures_for, unused
from analytics.budgets.names import PROJECT, TENANT, USER
from analytics.budgets.setting import Target, set_policy
from analytics.budgets.shelves import Level
from northstar.api import IF_MATCH, IF_NONE_MATCH, page
from northstar.errors import FieldError, InvalidRequest, NotFound
from northstar.idempotency import IdempotentPost
from northstar.inputs import PAGE_SIZE
from storage.api.base import DataView
from storage.api.expectations import document_expectation
from storage.cursors import seal, unseal

_LEVEL: Final = OpenApiParameter(
    "level",
    str,
    enum=["tenant", "project", "user"],
    description="Which level; by default the innermost but the user's.",
)
_IF_MATCH: Final = OpenApiParameter(
    "If-Match", str, OpenApiParameter.HEADER, description="The ETag that the budget must have; else 412."
)
_IF_NONE_MATCH: Final = OpenApiParameter(
    "If-None-Match", str, OpenApiParameter.HEADER, description="`*`: the place must have no such budget; else 412."
)


class BudgetView(DataView):
    """One budget: a provider's metric, at one level."""

    scopes: ClassVar[dict[str, str]] = {"GET": "data:read", "PUT": "budgets:write"}
    conditions: ClassVar[Mapping[str, frozenset[str]]] = {"PUT": frozenset({IF_MATCH, IF_NONE_MATCH})}

    @extend_schema(operation_id="get_budget", parameters=[_LEVEL], responses={200: BudgetOut})
    def get(self, request: Request, provider: str, metric: str) -> Response:  # noqa: ARG002
        """Read a budget: its policy, what is used and reserved of it now, and every level that counts with it."""
        self.open("tabular_store")
        query = self.query(BudgetQuery)
        figures = figures_for(self.context, provider, metric)
        figure = _asked(figures, query.level)
        if figure is None or (figure.level.policy.implied and figure.updated_at is None):
            raise NotFound(f"There is no budget of {provider} {metric} here.", fix="Set one with PUT.")
        return self._answer(figure, figures)

    @extend_schema(
        operation_id="set_budget",
        request=BudgetIn,
        responses={200: BudgetOut, 201: BudgetOut},
        parameters=[_IF_MATCH, _IF_NONE_MATCH],
    )
    def put(self, request: Request, provider: str, metric: str) -> Response:
        """Set a budget's policy, whole. It is audited, and holds in every process within 5 seconds."""
        self.open("tabular_store")
        body = self.body(BudgetIn)
        project = self.context.project_id
        level = body.level or (PROJECT if project else TENANT)
        if body.user_id and level != USER:
            raise _wrong("user_id", "Only the level user is about one user.")
        target = Target(provider, metric, level, None if level == TENANT else project, body.user_id)
        policy = set_policy(self.context, target, body.terms(), expect=document_expectation(request))
        figures = figures_for(self.context, provider, metric)
        mine = [one for one in figures if one.level.name == level and one.level.policy.version == policy.version]
        figure = mine[0] if mine else unused(Level(level, target.project, body.user_id, policy))
        return self._answer(figure, figures, status=201 if policy.created_at == policy.updated_at else 200)

    def _answer(self, figure: Figure, figures: list[Figure], *, status: int = 200) -> Response:
        body = budget_answer(self.context, figure, figures)
        headers = {"ETag": f'"{body["version"]}"'} if body["version"] else {}
        return Response(body, status=status, headers=headers)


class BudgetsView(DataView):
    """Every budget that applies in the context."""

    scopes: ClassVar[dict[str, str]] = {"GET": "data:read"}

    @extend_schema(
        operation_id="list_budgets",
        parameters=[
            OpenApiParameter("provider", str, description="Only this provider's."),
            OpenApiParameter("limit", PAGE_SIZE, description="1 to 1000; 100 when left out."),
            OpenApiParameter("cursor", str, description="The `next_cursor` of the page before."),
        ],
        responses={200: BudgetPageOut},
    )
    def get(self, request: Request) -> Response:  # noqa: ARG002
        """List the budgets that usage in this context counts in, by provider, metric and level."""
        query = self.query(BudgetsQuery)
        store = self.open("tabular_store")
        context = self.context
        binding = (str(store.served_by.route_id), *store.scope.parts, context.user_id or "", query.provider)
        after = unseal("budgets", binding, query.cursor) if query.cursor is not None else []
        found = [one for one in all_figures(context, query.provider) if _place(one) > after]
        items = [level_answer(context, one) for one in found[: query.limit]]
        more = len(found) > query.limit
        return page(items, seal("budgets", binding, _place(found[query.limit - 1])) if more else None)


class UsageView(IdempotentPost, DataView):
    """Usage of a budget."""

    scopes: ClassVar[dict[str, str]] = {"POST": "data:write"}

    @extend_schema(operation_id="count_usage", request=UsageIn, responses={201: BudgetUsageOut})
    def post(self, request: Request, provider: str, metric: str) -> Response:  # noqa: ARG002
        """Count usage at every level that has a budget, or at none; over a hard limit nothing is counted and the answer is
        429."""
        self.open("tabular_store")
        body = self.body(UsageIn)
        receipt = record_usage(self.context, provider, metric, body.amount, key=self.operation_id, at=body.at)
        figures = list(receipt.levels)
        if all(one.level.policy.metric != metric for one in figures):  # it has left every window of the metric's own
            figures = [*figures_for(self.context, provider, metric), *figures]
        figure = _asked([one for one in figures if one.level.policy.metric == metric], None)
        assert figure is not None
        return Response({**budget_answer(self.context, figure, figures), **usage_answer(receipt)}, status=201)


class CheckView(DataView):
    """The two limit checks."""

    scopes: ClassVar[dict[str, str]] = {"GET": "data:read"}

    @extend_schema(
        operation_id="check_budget",
        parameters=[
            OpenApiParameter("amount", str, description="What would be used; the smallest amount when left out."),
            OpenApiParameter("at", str, description="When; now when left out."),
        ],
        responses={200: CheckOut},
    )
    def get(self, request: Request, provider: str, metric: str) -> Response:  # noqa: ARG002
        """Say whether an amount would be let in now. It holds nothing: to be sure, reserve."""
        self.open("tabular_store")
        query = self.query(CheckQuery)
        amount = 1 if query.amount is None else micros(query.amount)
        checks = check_usage(self.context, provider, metric, amount, query.at)
        figures = [one.figure for one in checks]
        answer: dict[str, Any] = {
            "provider": provider,
            "metric": metric,
            "amount": text(amount),
            "allowed": all(one.fits for one in checks),
            "soft_limit_exceeded": any(one.soft_exceeded for one in figures),
            "hard_limit_exceeded": any(one.remaining == 0 for one in figures),
            "levels": [level_answer(self.context, one) for one in figures],
        }
        return Response(answer)


def _asked(figures: list[Figure], level: str | None) -> Figure | None:
    """The level asked for, else the innermost that is not a user's, else the user's."""
    if level is not None:
        return next((one for one in figures if one.level.name == level), None)
    found = [one for one in figures if one.level.name != USER] or figures
    return found[-1] if found else None


def _place(figure: Figure) -> list[str | int]:
    """Where a budget stands in the list. Joined to one text, `gpt-4` would come before the `gpt` that it follows."""
    policy = figure.level.policy
    return [policy.provider, policy.metric, figure.level.rank]


def _wrong(field: str, detail: str) -> InvalidRequest:
    return InvalidRequest(detail, fix="Correct the field in `errors`.", errors=[FieldError(field, "invalid", detail)])


urlpatterns: list[URLPattern] = [
    path("analytics/budgets", BudgetsView.as_view(), name="budgets"),
    path("analytics/budgets/<str:provider>/<str:metric>", BudgetView.as_view(), name="budget"),
    path("analytics/budgets/<str:provider>/<str:metric>/usage", UsageView.as_view(), name="budget-usage"),
    path("analytics/budgets/<str:provider>/<str:metric>/check", CheckView.as_view(), name="budget-check"),
]
