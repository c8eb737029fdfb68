"""Blackboards: shared state by key, of one user or of the project."""

from collections.abc import Mapping
from typing import ClassVar, Final, Literal

from django.urls import URLPattern, path
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from northstar.api import IF_MATCH, IF_NONE_MATCH, expected_version, page
from northstar.errors import AlreadyExists, NotFound, VersionConflict
from northstar.idempotency import IdempotentPost
from northstar.inputs import PAGE_SIZE
from storage.api import addresses  # noqa: F401 - registers the converter <key:…>
from storage.api.base import DataView
from storage.api.expectations import document_expectation
from storage.api.memory_bodies import (
    BlackboardIn,
    BlackboardOut,
    BlackboardPageOut,
    BoardQuery,
    BoardsQuery,
    board_answer,
)
from storage.api.table_bodies import IncrementIn, TotalsOut
from storage.cursors import seal, unseal
from storage.documents import ABSENT, ANY
from storage.kinds.blackboards import Blackboard, Blackboards, BoardScope
from storage.kinds.memory_store import MemoryStore

_SCOPE: Final = OpenApiParameter(
    "scope",
    {"type": "string", "enum": ["user", "project"]},
    description="Whose: left out, the user's where X-User-Id names one, else the project's.",
)


class BoardsBase(DataView):
    """A view over the blackboards that the context and `scope` name."""

    def boards(self, scope: BoardScope | None) -> Blackboards:
        memory: MemoryStore = self.open("memory_store")
        return memory.blackboards(scope)


class BlackboardView(BoardsBase):
    """One blackboard. Its key is the rest of the address, decoded once and taken literally."""

    scopes: ClassVar[dict[str, str]] = {"GET": "data:read", "PUT": "data:write", "DELETE": "data:write"}
    conditions: ClassVar[Mapping[str, frozenset[str]]] = {
        "PUT": frozenset({IF_MATCH, IF_NONE_MATCH}),
        "DELETE": frozenset({IF_MATCH}),
    }

    @extend_schema(operation_id="get_blackboard", parameters=[_SCOPE], responses={200: BlackboardOut})
    def get(self, request: Request, key: str) -> Response:  # noqa: ARG002
        """Read a blackboard. The ETag is its version; one that has expired is not there."""
        board = self.boards(self.query(BoardQuery).scope).get(key)
        if board is None:
            raise NotFound(f"There is no blackboard {key!a}.")
        return _answer(board)

    @extend_schema(
        operation_id="put_blackboard",
        parameters=[_SCOPE],
        request=BlackboardIn,
        responses={200: BlackboardOut, 201: BlackboardOut},
    )
    def put(self, request: Request, key: str) -> Response:
        """Replace the data and the expiry, or create the blackboard. `If-Match` and `If-None-Match: *` make it conditional."""
        expect = document_expectation(request)
        body = self.body(BlackboardIn)
        boards = self.boards(self.query(BoardQuery).scope)
        try:
            board = boards.put(key, body.data, expires_at=body.expires_at, expect=expect)
        except AlreadyExists:
            raise VersionConflict(
                f"The blackboard {key!a} exists, and If-None-Match asks that it does not.",
                fix="Read it, then use If-Match.",
            ) from None
        return _answer(board, 201 if expect is ABSENT else 200)

    @extend_schema(operation_id="delete_blackboard", parameters=[_SCOPE], responses={204: None})
    def delete(self, request: Request, key: str) -> Response:
        """Remove a blackboard; 204 also when there was none."""
        expected = expected_version(request)
        self.boards(self.query(BoardQuery).scope).delete(key, expect=ANY if expected is None else expected)
        return Response(status=204)


class BoardIncrementView(IdempotentPost, BlackboardView):
    """The counters of one blackboard. One whose own key ends in /increment is at the same address, for the other methods."""

    scopes: ClassVar[dict[str, str]] = {**BlackboardView.scopes, "POST": "data:write"}

    @extend_schema(
        operation_id="increment_blackboard", parameters=[_SCOPE], request=IncrementIn, responses={200: TotalsOut}
    )
    def post(self, request: Request, key: str) -> Response:  # noqa: ARG002
        """Add to numeric fields of the data in one atomic step; over a ceiling nothing changes and the answer is 429."""
        body = self.body(IncrementIn)
        boards = self.boards(self.query(BoardQuery).scope)
        totals = boards.increment(
            key, body.deltas, ceilings=body.ceilings, floors=body.floors, operation_id=self.operation_id
        )
        values = {"key": key, "totals": totals.values, "version": totals.version}
        return Response(values, headers={"ETag": f'"{totals.version}"'})

    @extend_schema(exclude=True)
    def get(self, request: Request, key: str) -> Response:
        """As that of the blackboard whose key ends in /increment."""
        return super().get(request, f"{key}/increment")

    @extend_schema(exclude=True)
    def put(self, request: Request, key: str) -> Response:
        """As that of the blackboard whose key ends in /increment."""
        return super().put(request, f"{key}/increment")

    @extend_schema(exclude=True)
    def delete(self, request: Request, key: str) -> Response:
        """As that of the blackboard whose key ends in /increment."""
        return super().delete(request, f"{key}/increment")


class BlackboardsView(BoardsBase):
    """The blackboards of a user or of the project."""

    scopes: ClassVar[dict[str, str]] = {"GET": "data:read"}

    @extend_schema(
        operation_id="list_blackboards",
        parameters=[
            _SCOPE,
            OpenApiParameter("prefix", str, description="Only keys that start with it."),
            OpenApiParameter("limit", PAGE_SIZE, description="1 to 1000; 100 when left out."),
            OpenApiParameter("cursor", str, description="The `next_cursor` of the page before."),
        ],
        responses={200: BlackboardPageOut},
    )
    def get(self, request: Request) -> Response:  # noqa: ARG002
        """List blackboards in the byte order of their UTF-8 keys."""
        query = self.query(BoardsQuery)
        boards = self.boards(query.scope)
        route = str(self._served.route_id) if self._served else ""
        binding = (route, *boards.place.binding, query.prefix)
        after = unseal("blackboards", binding, query.cursor) if query.cursor is not None else None
        found = boards.page(query.prefix, limit=query.limit, after=after)
        next_cursor = seal("blackboards", binding, found.next_after) if found.next_after is not None else None
        return page([board_answer(board) for board in found.blackboards], next_cursor)


def _answer(board: Blackboard, status: Literal[200, 201] = 200) -> Response:
    return Response(board_answer(board), status=status, headers={"ETag": f'"{board.version}"'})


urlpatterns: list[URLPattern] = [
    path("storage/blackboards", BlackboardsView.as_view(), name="blackboards"),
    path("storage/blackboards/<key:key>/increment", BoardIncrementView.as_view(), name="blackboard-increment"),
    path("storage/blackboards/<key:key>", BlackboardView.as_view(), name="blackboard"),
]
