"""What agents keep, over REST: batches, results, the audit trail, and their own config."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import ClassVar, Final

from django.urls import URLPattern, path
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from northstar.api import IF_MATCH, IF_NONE_MATCH, page
from northstar.errors import AlreadyExists, NotFound, VersionConflict
from northstar.idempotency import IdempotentPost
from northstar.inputs import PAGE_SIZE
from rules.api.base import RulesView
from rules.api.bodies import (
    AgentConfigIn,
    AgentConfigOut,
    AgentConfigQuery,
    BatchStateIn,
    BatchStateOut,
    RulesAuditIn,
    RulesAuditOut,
    RulesAuditPageOut,
    RulesAuditQuery,
    RulesPageQuery,
    StepResultIn,
    StepResultOut,
    StepResultPageOut,
    record_answer,
)
from storage.api.expectations import document_expectation
from storage.cursors import seal, unseal
from storage.kinds.rules_errors import StoreError
from storage.kinds.rules_records import Listed

_PAGE: Final = [
    OpenApiParameter("limit", PAGE_SIZE, description="1 to 1000; 100 when left out."),
    OpenApiParameter("cursor", str, description="The `next_cursor` of the page before."),
]
_CONDITIONS: Final = [
    OpenApiParameter("If-Match", str, OpenApiParameter.HEADER, description="The ETag that it must have; else 412."),
    OpenApiParameter("If-None-Match", str, OpenApiParameter.HEADER, description="`*`: it must not exist; else 412."),
]


class Listing(RulesView):
    """A view that lists."""

    def after(self, cursor: str | None, *query: str) -> str | None:
        """Return the place that a cursor of this listing names. Raises InvalidCursor."""
        if cursor is None:
            return None
        place: str = unseal("rules", self.binding(self._store, *query), cursor)
        return place

    def listed(self, found: Listed, *query: str) -> Response:
        """Answer a page."""
        more = found.next_after
        cursor = seal("rules", self.binding(self._store, *query), more) if more is not None else None
        return page([record_answer(one) for one in found.items], cursor)


class BatchView(RulesView):
    """Where a batch stands."""

    scopes: ClassVar[dict[str, str]] = {"GET": "data:read", "PUT": "data:write"}
    conditions: ClassVar[Mapping[str, frozenset[str]]] = {"PUT": frozenset({IF_MATCH, IF_NONE_MATCH})}

    @extend_schema(operation_id="get_batch_state", responses={200: BatchStateOut})
    def get(self, request: Request, batch_id: str) -> Response:  # noqa: ARG002
        """Read where a batch stands, and which revision of the rules its steps read. The ETag is its version."""
        state = self.rules().get_batch_state(batch_id)
        if state is None:
            raise NotFound(f"There is no batch {batch_id!a}.")
        return Response(record_answer(state), headers={"ETag": f'"{state.version}"'})

    @extend_schema(
        operation_id="save_batch_state", request=BatchStateIn, responses={200: BatchStateOut}, parameters=_CONDITIONS
    )
    def put(self, request: Request, batch_id: str) -> Response:
        """Store where a batch stands. The first time pins the newest revision of the rules, unless one is named."""
        body, expect = self.body(BatchStateIn), document_expectation(request)
        with _create_only_told(f"The batch {batch_id!a} exists"):
            state = self.rules().save_batch_state(
                batch_id, body.state, expect=expect, rules_revision=body.rules_revision
            )
        return Response(record_answer(state), headers={"ETag": f'"{state.version}"'})


class ResultsView(IdempotentPost, Listing):
    """The results of a batch."""

    scopes: ClassVar[dict[str, str]] = {"GET": "data:read", "POST": "data:write"}

    @extend_schema(operation_id="list_processing_results", parameters=_PAGE, responses={200: StepResultPageOut})
    def get(self, request: Request, batch_id: str) -> Response:  # noqa: ARG002
        """List a batch's results, by step and time."""
        query, store = self.query(RulesPageQuery), self.rules()
        after = self.after(query.cursor, "results", batch_id)
        return self.listed(store.processing_results(batch_id, limit=query.limit, after=after), "results", batch_id)

    @extend_schema(operation_id="save_processing_result", request=StepResultIn, responses={201: StepResultOut})
    def post(self, request: Request, batch_id: str) -> Response:  # noqa: ARG002
        """Store what a step came to, as a row of its own."""
        body = self.body(StepResultIn)
        stored = self.rules().save_processing_result(batch_id, body.step, body.result, operation_id=self.operation_id)
        return Response(record_answer(stored), status=201)


class AuditView(IdempotentPost, Listing):
    """The audit trail of rules: appended to and read, and nothing else."""

    scopes: ClassVar[dict[str, str]] = {"GET": "data:read", "POST": "data:write"}

    @extend_schema(
        operation_id="list_rules_audit",
        parameters=[
            OpenApiParameter(
                "date", {"type": "string", "format": "date"}, description="Which day; today (UTC) when left out."
            ),
            *_PAGE,
        ],
        responses={200: RulesAuditPageOut},
    )
    def get(self, request: Request) -> Response:  # noqa: ARG002
        """List one day's entries, by time."""
        query, store = self.query(RulesAuditQuery), self.rules()
        day = query.date or datetime.now(UTC).date()
        after = self.after(query.cursor, "audit", day.isoformat())
        return self.listed(store.audit_entries(day, limit=query.limit, after=after), "audit", day.isoformat())

    @extend_schema(operation_id="append_rules_audit", request=RulesAuditIn, responses={201: RulesAuditOut})
    def post(self, request: Request) -> Response:  # noqa: ARG002
        """Append an entry. A second one with the same `entry_id` and `at` is refused: 409 ALREADY_EXISTS."""
        body = self.body(RulesAuditIn)
        stored = self.rules().append_audit_entry(
            body.entry, entry_id=body.entry_id, at=body.at, operation_id=self.operation_id
        )
        return Response(record_answer(stored), status=201)


class AgentConfigView(RulesView):
    """An agent's config, in revisions."""

    scopes: ClassVar[dict[str, str]] = {"GET": "data:read", "PUT": "data:write"}
    conditions: ClassVar[Mapping[str, frozenset[str]]] = {"PUT": frozenset({IF_MATCH, IF_NONE_MATCH})}

    @extend_schema(
        operation_id="get_agent_config",
        parameters=[OpenApiParameter("revision", int, description="Which one; the newest when left out.")],
        responses={200: AgentConfigOut},
    )
    def get(self, request: Request, agent: str) -> Response:  # noqa: ARG002
        """Read an agent's config. The ETag is its revision."""
        config = self.rules().get_agent_config(agent, self.query(AgentConfigQuery).revision)
        if config is None:
            raise NotFound(f"The agent {agent!a} has no such config.")
        return Response(record_answer(config), headers={"ETag": f'"{config.revision}"'})

    @extend_schema(
        operation_id="save_agent_config", request=AgentConfigIn, responses={200: AgentConfigOut}, parameters=_CONDITIONS
    )
    def put(self, request: Request, agent: str) -> Response:
        """Store the next revision of an agent's config; the same config again is the same revision."""
        body, expect = self.body(AgentConfigIn), document_expectation(request)
        with _create_only_told(f"The agent {agent!a} has a config"):
            config = self.rules().save_agent_config(agent, body.config, expect=expect)
        return Response(record_answer(config), headers={"ETag": f'"{config.revision}"'})


@contextmanager
def _create_only_told(what: str) -> Iterator[None]:
    """Answer 412 where If-None-Match asks that nothing is there and something is."""
    try:
        yield
    except StoreError as error:
        if error.code != AlreadyExists.code:
            raise
        raise VersionConflict(
            f"{what}, and If-None-Match asks that it does not.", fix="Read it, then use If-Match."
        ) from None


urlpatterns: list[URLPattern] = [
    path("storage/rules/batches/<str:batch_id>", BatchView.as_view(), name="rules-batch"),
    path("storage/rules/batches/<str:batch_id>/results", ResultsView.as_view(), name="rules-results"),
    path("storage/rules/audit", AuditView.as_view(), name="rules-audit"),
    path("storage/rules/agents/<str:agent>/config", AgentConfigView.as_view(), name="rules-agent-config"),
]
