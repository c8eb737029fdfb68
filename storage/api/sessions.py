"""Sessions: append messages, read windows of them, list and end sessions."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

from django.urls import URLPattern, path
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from northstar.api import IF_MATCH, IF_NONE_MATCH, page
from northstar.errors import AlreadyExists, NotFound, VersionConflict
from northstar.idempotency import IdempotentPost
from northstar.inputs import PAGE_SIZE, check_json_type, checked
from northstar.strict_json import parse_object
from storage.api import addresses  # noqa: F401 - registers the converter <key:…>
from storage.api.base import DataView
from storage.api.expectations import document_expectation
from storage.api.memory_bodies import (
    AppendedMessagesOut,
    AppendMessagesIn,
    MessageIn,
    MessagesIn,
    SessionIn,
    SessionOut,
    SessionPageOut,
    SessionsQuery,
    WindowQuery,
    message_answer,
    session_answer,
    session_item,
)
from storage.cursors import seal, unseal
from storage.documents import ABSENT
from storage.kinds.memory_store import MemoryStore
from storage.kinds.session_appender import Applied
from storage.kinds.sessions import Session

_LIMIT = OpenApiParameter("limit", PAGE_SIZE, description="1 to 1000; 100 when left out.")


class SessionView(DataView):
    """One session of the context's user. Its id is the rest of the address, decoded once and taken literally."""

    scopes: ClassVar[dict[str, str]] = {"GET": "data:read", "PUT": "data:write", "DELETE": "data:write"}
    conditions: ClassVar[Mapping[str, frozenset[str]]] = {
        "PUT": frozenset({IF_MATCH, IF_NONE_MATCH}),
        "DELETE": frozenset({IF_MATCH}),
    }

    @extend_schema(
        operation_id="get_session",
        parameters=[
            OpenApiParameter("limit", PAGE_SIZE, description="How many messages: 1 to 1000; 100 when left out."),
            OpenApiParameter(
                "before", {"type": "integer", "minimum": 1}, description="A position: only messages before it."
            ),
        ],
        responses={200: SessionOut},
    )
    def get(self, request: Request, session_id: str) -> Response:  # noqa: ARG002
        """Read a session with its last messages, the oldest of them first. `before` its `next_before` comes what is older."""
        query = self.query(WindowQuery)
        session = self.memory().sessions.get(session_id, limit=query.limit, before=query.before)
        if session is None:
            raise NotFound(f"There is no session {session_id!a}.")
        return Response(session_answer(session), headers=_etag(session))

    @extend_schema(operation_id="put_session", request=SessionIn, responses={200: SessionOut, 201: SessionOut})
    def put(self, request: Request, session_id: str) -> Response:
        """Replace the session's metadata and `ttl_hint`, or begin a session with them. Its messages stay."""
        expect = document_expectation(request)
        body = self.body(SessionIn)
        sessions = self.memory().sessions
        try:
            session = sessions.save(session_id, body.metadata, ttl_hint=body.ttl_hint, expect=expect)
        except AlreadyExists:
            raise _exists(session_id) from None
        status: Literal[200, 201] = 201 if expect is ABSENT else 200
        return Response(session_answer(session), status=status, headers=_etag(session))

    @extend_schema(operation_id="delete_session", responses={204: None})
    def delete(self, request: Request, session_id: str) -> Response:
        """End a session: all of its messages are gone when this answers. 204 also when there was none."""
        self.memory().sessions.delete(session_id, expect=document_expectation(request))
        return Response(status=204)

    def memory(self) -> MemoryStore:
        memory: MemoryStore = self.open("memory_store")
        return memory


class MessagesView(IdempotentPost, SessionView):
    """The messages of one session. A session whose own id ends in /messages is at the same address, for the other methods."""

    scopes: ClassVar[dict[str, str]] = {**SessionView.scopes, "POST": "data:write"}
    conditions: ClassVar[Mapping[str, frozenset[str]]] = {
        **SessionView.conditions,
        "POST": frozenset({IF_MATCH, IF_NONE_MATCH}),
    }

    @extend_schema(operation_id="append_messages", request=AppendMessagesIn, responses={201: AppendedMessagesOut})
    def post(self, request: Request, session_id: str) -> Response:
        """Append one message, or `{"messages": […]}` atomically. Answers with what is stored, in the same form.

        The ETag is that of the session, for appends that must not meet what others have said since.
        """
        check_json_type(request)
        values = parse_object(self.raw_body())
        if "messages" not in values:
            applied = self._append(request, session_id, [checked(MessageIn, values, "body")])
            return Response(message_answer(applied.messages[0]), status=201, headers=_version(applied))
        applied = self._append(request, session_id, checked(MessagesIn, values, "body").messages)
        answers = [message_answer(message) for message in applied.messages]
        return Response({"messages": answers}, status=201, headers=_version(applied))

    def _append(self, request: Request, session_id: str, bodies: Sequence[MessageIn]) -> Applied:
        """Append the messages. Under an Idempotency-Key each has an id that is the same for every attempt."""
        messages = [
            body.message(f"{self.operation_id}-{index}" if self.operation_id else None)
            for index, body in enumerate(bodies)
        ]
        try:
            return self.memory().sessions.append(session_id, messages, expect=document_expectation(request))
        except AlreadyExists:
            raise _exists(session_id) from None

    @extend_schema(exclude=True)
    def get(self, request: Request, session_id: str) -> Response:
        """As that of the session whose id ends in /messages."""
        return super().get(request, f"{session_id}/messages")

    @extend_schema(exclude=True)
    def put(self, request: Request, session_id: str) -> Response:
        """As that of the session whose id ends in /messages."""
        return super().put(request, f"{session_id}/messages")

    @extend_schema(exclude=True)
    def delete(self, request: Request, session_id: str) -> Response:
        """As that of the session whose id ends in /messages."""
        return super().delete(request, f"{session_id}/messages")


class SessionsView(DataView):
    """The sessions of the context's user."""

    scopes: ClassVar[dict[str, str]] = {"GET": "data:read"}

    @extend_schema(
        operation_id="list_sessions",
        parameters=[_LIMIT, OpenApiParameter("cursor", str, description="The `next_cursor` of the page before.")],
        responses={200: SessionPageOut},
    )
    def get(self, request: Request) -> Response:  # noqa: ARG002
        """List the sessions of the user that `X-User-Id` names, without their messages, in the byte order of their ids."""
        query = self.query(SessionsQuery)
        memory: MemoryStore = self.open("memory_store")
        binding = (str(memory.served_by.route_id), *memory.place.binding)
        after = unseal("sessions", binding, query.cursor) if query.cursor is not None else None
        found = memory.sessions.page(limit=query.limit, after=after)
        next_cursor = seal("sessions", binding, found.next_after) if found.next_after is not None else None
        return page([session_item(session) for session in found.sessions], next_cursor)


def _exists(session_id: str) -> VersionConflict:
    return VersionConflict(
        f"The session {session_id!a} exists, and If-None-Match asks that it does not.",
        fix="Read it, then use If-Match.",
    )


def _etag(session: Session) -> dict[str, str]:
    return {"ETag": f'"{session.header.version}"'}


def _version(applied: Applied) -> dict[str, str]:
    return {"ETag": f'"{applied.header.version}"'}


urlpatterns: list[URLPattern] = [
    path("storage/sessions", SessionsView.as_view(), name="sessions"),
    path("storage/sessions/<key:session_id>/messages", MessagesView.as_view(), name="session-messages"),
    path("storage/sessions/<key:session_id>", SessionView.as_view(), name="session"),
]
