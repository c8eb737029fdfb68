"""Checks the authorization header: the HMAC of the account's master key, or the one Entra token that the server was given."""

import base64
import hashlib
import hmac
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

from tests.servers.cosmos_errors import CosmosError
from tests.servers.cosmos_requests import Request


@dataclass(frozen=True)
class Credentials:
    """What the server accepts: a master key in base64, and perhaps a bearer token. Neither is ever shown."""

    key: str
    token: str | None = None

    def __repr__(self) -> str:
        return "Credentials(…)"

    def check(self, request: Request) -> None:
        """Raise a 401 unless the request is signed. The date's age is not judged: tests travel in time."""
        given = dict(parse_qsl(unquote(request.headers.get("authorization", "")).replace("+", "%2B")))
        kind, signature = given.get("type"), given.get("sig", "")
        if kind == "master" and hmac.compare_digest(signature, signature_of(request, self.key)):
            return
        if kind == "aad" and self.token is not None and hmac.compare_digest(signature, self.token):
            return
        raise CosmosError(401, "The input authorization token can't serve the request.")


def signature_of(request: Request, key: str) -> str:
    """Sign a request as "Access control on Cosmos DB resources" says: verb, resource type, resource link and date."""
    kind, link = signed_resource(request.segments)
    date = request.headers.get("x-ms-date", "").lower()
    text = (
        f"{request.method.lower()}\n{kind}\n{link}\n{date}\n{'' if date else request.headers.get('date', '').lower()}\n"
    )
    digest = hmac.digest(base64.b64decode(key), text.encode(), hashlib.sha256)
    return base64.b64encode(digest).decode("ascii")


def signed_resource(segments: tuple[str, ...]) -> tuple[str, str]:
    """Return the type and the link of a resource: a feed is signed with the link of its owner."""
    if not segments:
        return "", ""
    if len(segments) % 2:
        return segments[-1], "/".join(segments[:-1])
    return segments[-2], "/".join(segments)
