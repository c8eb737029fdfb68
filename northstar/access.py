"""How REST Framework learns who asks, and whether they may: an API key with the scope that the view names."""

from dataclasses import dataclass
from typing import Any, Final

from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from northstar.authentication import Credential, authenticate, build_context
from northstar.context import RequestContext
from northstar.headers import Headers
from northstar.problems import id_of

ANY_KEY: Final = "any key"
"""Stands in `scopes` where a valid key is all that is needed."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and for which tenant, environment and project."""

    credential: Credential
    context: RequestContext

    @property
    def is_authenticated(self) -> bool:
        """Whether somebody is known: always, since there is no anonymous caller."""
        return True


def caller_of(request: Request) -> Caller:
    """Return who asks. Raises Unauthenticated, or what is wrong with the context's headers."""
    caller: Any = request.user  # REST Framework's own types know Django's users only
    assert isinstance(caller, Caller)
    return caller


class KeyAuthentication(BaseAuthentication):
    """The API key is the only way in; there is no session login on the API."""

    def authenticate(self, request: Request) -> tuple[Caller, Credential]:
        headers = Headers.of_wsgi(request.META)
        credential = authenticate(headers)
        return Caller(credential, build_context(credential, headers, id_of(request))), credential

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002
        return 'Bearer realm="northstar"'


class ScopePermission(BasePermission):
    """A method that names no scope is refused to everybody; one that a view does not have is left to answer 405."""

    def has_permission(self, request: Request, view: Any) -> bool:
        method = request.method or ""
        if method.lower() not in view.http_method_names or not hasattr(view, method.lower()):
            return True
        scopes: dict[str, str] = getattr(view, "scopes", {})
        scope = scopes.get("GET" if method == "HEAD" else method)
        if scope is None:
            return False
        if scope != ANY_KEY:
            caller_of(request).credential.require(scope)
        return True
