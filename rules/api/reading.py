"""Rules over REST: which one somebody gets on a day, from whom, in which revision."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from django.urls import URLPattern, path
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from northstar.errors import InvalidRequest
from rules.api.base import RulesView
from rules.api.bodies import (
    CalculationOut,
    LimitsOut,
    PipelineOut,
    RuleQuery,
    ValidationOut,
    answer_facts,
    row_answer,
)
from storage.api import addresses  # noqa: F401 - registers the converter <key:…>
from storage.kinds.rules_reading import Answer
from storage.kinds.rules_rows import GLOBAL, BaseRow

_DAY: Final = {"type": "string", "format": "date"}
_READING: Final = [
    OpenApiParameter("client_id", str, description="Whose rule; GLOBAL's when left out."),
    OpenApiParameter("as_of", _DAY, description="On which day; today (UTC) when left out."),
    OpenApiParameter("revision", int, description="In which revision of the rules; the newest when left out."),
    OpenApiParameter(
        "max_stale",
        int,
        description="With the store away: how old, in seconds, what was known last may be; 0 refuses.",
    ),
]


class PipelineView(RulesView):
    """The steps of a pipeline."""

    scopes: ClassVar[dict[str, str]] = {"GET": "data:read"}

    @extend_schema(operation_id="get_pipeline", parameters=_READING, responses={200: PipelineOut})
    def get(self, request: Request, plan_id: str) -> Response:  # noqa: ARG002
        """Read a pipeline's steps, by number. A client's own plan wins over the default one. The ETag is the rules' revision."""
        query = self.query(RuleQuery)
        client_id = None if query.client_id == GLOBAL else query.client_id
        found = self.rules().get_pipeline(plan_id, client_id=client_id, **_how(query))
        return _answer(found, {"plan_id": plan_id, "steps": _rows(found.value)})


class ValidationView(RulesView):
    """The validation rules of a field."""

    scopes: ClassVar[dict[str, str]] = {"GET": "data:read"}

    @extend_schema(operation_id="get_validation_rules", parameters=_READING, responses={200: ValidationOut})
    def get(self, request: Request, field: str) -> Response:  # noqa: ARG002
        """Read a field's rules: the client's, else those of its chain, else GLOBAL's, else none."""
        query = self.query(RuleQuery)
        found = self.rules().get_validation_rules(query.client_id, field, **_how(query))
        return _answer(found, {"field": field, "rules": _rows(found.value)})


class CalculationView(RulesView):
    """A calculation rule."""

    scopes: ClassVar[dict[str, str]] = {"GET": "data:read"}

    @extend_schema(operation_id="get_calculation_rule", parameters=_READING, responses={200: CalculationOut})
    def get(self, request: Request, rule_id: str) -> Response:  # noqa: ARG002
        """Read a rule: the client's, else that of its chain, else GLOBAL's; 404 where nobody has it on that day."""
        query = self.query(RuleQuery)
        found = self.rules().get_calculation_rule(query.client_id, rule_id, **_how(query))
        return _answer(found, {"rule": row_answer(found.value)})


class LimitsView(RulesView):
    """The limits of a year."""

    scopes: ClassVar[dict[str, str]] = {"GET": "data:read"}

    @extend_schema(
        operation_id="get_irs_limits",
        parameters=[OpenApiParameter("year", int, OpenApiParameter.PATH), *_READING],
        responses={200: LimitsOut},
    )
    def get(self, request: Request, year: str) -> Response:  # noqa: ARG002
        """Read a year's limits, by code. A year whose figures are not known yet is 404 NOT_PUBLISHED with `last_known_year`."""
        query = self.query(RuleQuery)
        found = self.rules().get_irs_limits(_year(year), **_how(query))
        return _answer(found, {"year": int(year), "limits": _rows(found.value)})


def _how(query: RuleQuery) -> dict[str, Any]:
    return {"as_of": query.as_of, "revision": query.revision, "max_stale": query.max_stale}


def _year(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) == len("2026") and text[0] != "0"):
        raise InvalidRequest(f"{text[:20]!a} is no year.", fix="Send four digits, such as 2026.")
    return int(text)


def _rows(rows: Sequence[BaseRow]) -> list[dict[str, Any]]:
    return [row_answer(row) for row in rows]


def _answer(answer: Answer[Any], value: Mapping[str, Any]) -> Response:
    return Response({**value, **answer_facts(answer)}, headers={"ETag": f'"{answer.revision}"'})


urlpatterns: list[URLPattern] = [
    path("storage/rules/pipelines/<key:plan_id>", PipelineView.as_view(), name="rules-pipeline"),
    path("storage/rules/validation/<key:field>", ValidationView.as_view(), name="rules-validation"),
    path("storage/rules/calculation/<key:rule_id>", CalculationView.as_view(), name="rules-calculation"),
    path("storage/rules/irs-limits/<str:year>", LimitsView.as_view(), name="rules-limits"),
]
