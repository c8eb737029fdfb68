"""Revisions of rules over REST: publish, look at them, compare, go back, take over from another environment."""

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar, Final

from django.urls import URLPattern, path
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from northstar.api import IF_MATCH, expected_version, page
from northstar.idempotency import IdempotentPost
from northstar.inputs import PAGE_SIZE
from rules.api.base import RulesView
from rules.api.bodies import (
    RulesDiffOut,
    RulesDiffQuery,
    RulesPageQuery,
    RulesPromotionIn,
    RulesPublicationIn,
    RulesPublishedOut,
    RulesRevisionOut,
    RulesRevisionPageOut,
    RulesRollbackIn,
    difference_answer,
    published_answer,
    revision_answer,
)
from rules.persistence import open_rules
from storage.cursors import seal, unseal
from storage.kinds.rules_publishing import Published

JSON_BYTES: Final = 5 * 1024 * 1024
_IF_MATCH: Final = OpenApiParameter(
    "If-Match", str, OpenApiParameter.HEADER, description="The ETag of the rules, their newest revision; else 412."
)
_PAGE: Final = [
    OpenApiParameter("limit", PAGE_SIZE, description="1 to 1000; 100 when left out."),
    OpenApiParameter("cursor", str, description="The `next_cursor` of the page before."),
]


class Publishing(IdempotentPost, RulesView):
    """A call that may make a revision."""

    conditions: ClassVar[Mapping[str, frozenset[str]]] = {"POST": frozenset({IF_MATCH})}
    max_json_bytes: ClassVar[int] = JSON_BYTES

    def answered(self, published: Published) -> Response:
        """Answer 201 with a new revision, 200 where none was made."""
        made = published.changed and not published.dry_run
        headers = {"ETag": f'"{published.revision}"'}
        return Response(published_answer(published), status=201 if made else 200, headers=headers)


class RevisionsView(Publishing):
    """The revisions of the rules."""

    scopes: ClassVar[dict[str, str]] = {"GET": "data:read", "POST": "rules:write"}

    @extend_schema(operation_id="list_rules_revisions", parameters=_PAGE, responses={200: RulesRevisionPageOut})
    def get(self, request: Request) -> Response:  # noqa: ARG002
        """List revisions, the newest first."""
        query, store = self.query(RulesPageQuery), self.rules()
        binding = self.binding(store, "revisions")
        after = unseal("rules", binding, query.cursor) if query.cursor is not None else None
        found = store.revisions(limit=query.limit, after=after)
        next_cursor = seal("rules", binding, found.next_after) if found.next_after is not None else None
        return page([revision_answer(one) for one in found.items], next_cursor)

    @extend_schema(
        operation_id="publish_rules",
        request=RulesPublicationIn,
        responses={200: RulesPublishedOut, 201: RulesPublishedOut},
        parameters=[_IF_MATCH],
    )
    def post(self, request: Request) -> Response:
        """Publish rows, and take back others, as one revision: 201. What stands already changes nothing: 200.

        A row says what it says on the days `[valid_from, valid_to)`; other days, and what earlier revisions say, stay.
        """
        body, expected = self.body(RulesPublicationIn), expected_version(request)
        published = self.rules().publish(
            body.changes,
            reason=body.reason,
            expect_revision=expected,
            keep_existing=body.keep_existing,
            dry_run=body.dry_run,
            operation_id=self.operation_id,
        )
        return self.answered(published)


class RevisionView(RulesView):
    """One revision."""

    scopes: ClassVar[dict[str, str]] = {"GET": "data:read"}

    @extend_schema(operation_id="get_rules_revision", responses={200: RulesRevisionOut})
    def get(self, request: Request, revision: int) -> Response:  # noqa: ARG002
        """Read who made a revision, when and why, and what it touched."""
        return Response(revision_answer(self.rules().revision(revision)))


class DiffView(RulesView):
    """How a revision differs from another."""

    scopes: ClassVar[dict[str, str]] = {"GET": "data:read"}

    @extend_schema(
        operation_id="diff_rules_revisions",
        parameters=[OpenApiParameter("against", int, description="The earlier one; the one before when left out.")],
        responses={200: RulesDiffOut},
    )
    def get(self, request: Request, revision: int) -> Response:  # noqa: ARG002
        """Compare a revision with another: what was said before, what is said after."""
        against = self.query(RulesDiffQuery).against
        before = revision - 1 if against is None else against
        found = self.rules().diff(before, revision)
        answer = {"before": before, "after": revision, "differences": [difference_answer(one) for one in found]}
        return Response(answer)


class RollbackView(Publishing):
    """The way back to a revision."""

    scopes: ClassVar[dict[str, str]] = {"POST": "rules:write"}

    @extend_schema(
        operation_id="roll_back_rules",
        request=RulesRollbackIn,
        responses={200: RulesPublishedOut, 201: RulesPublishedOut},
        parameters=[_IF_MATCH],
    )
    def post(self, request: Request, revision: int) -> Response:
        """Publish, as a new revision, what stood in an earlier one."""
        body = self.body(RulesRollbackIn)
        published = self.rules().rollback(
            revision,
            reason=body.reason,
            expect_revision=expected_version(request),
            dry_run=body.dry_run,
            operation_id=self.operation_id,
        )
        return self.answered(published)


class PromotionsView(Publishing):
    """The way from one environment to another."""

    scopes: ClassVar[dict[str, str]] = {"POST": "rules:write"}

    @extend_schema(
        operation_id="promote_rules",
        request=RulesPromotionIn,
        responses={200: RulesPublishedOut, 201: RulesPublishedOut},
        parameters=[_IF_MATCH],
    )
    def post(self, request: Request) -> Response:
        """Publish here (X-Env) exactly what stands in another environment of the tenant. The key must be for both."""
        body = self.body(RulesPromotionIn)
        self.credential.require_env(body.from_env)
        self.credential.require("data:read")
        published = self.rules().promote(
            open_rules(replace(self.context, env=body.from_env)),
            reason=body.reason,
            revision=body.revision,
            expect_revision=expected_version(request),
            dry_run=body.dry_run,
            operation_id=self.operation_id,
        )
        return self.answered(published)


urlpatterns: list[URLPattern] = [
    path("storage/rules/revisions", RevisionsView.as_view(), name="rules-revisions"),
    path("storage/rules/revisions/<int:revision>", RevisionView.as_view(), name="rules-revision"),
    path("storage/rules/revisions/<int:revision>/diff", DiffView.as_view(), name="rules-diff"),
    path("storage/rules/revisions/<int:revision>/rollback", RollbackView.as_view(), name="rules-rollback"),
    path("storage/rules/promotions", PromotionsView.as_view(), name="rules-promotions"),
]
