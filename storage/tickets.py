"""Presigned requests that Northstar serves itself, for backends that take none: a signed ticket is the whole permission."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Final, Self

from django.core.signing import BadSignature, Signer

from northstar.errors import Forbidden
from storage.blobs import Grant, Presigned
from storage.guard import ServedBy
from storage.keys import Scope

_SALT: Final = "northstar.presigned"
_FIX: Final = "Ask for a new URL with POST /api/v1/storage/objects/presign."


@dataclass(frozen=True, slots=True)
class Ticket:
    """One request that its holder may send: for whom, over which revision of which route, and for what until when.

    `upload_id` is that of an upload, empty for a read. What is signed can be read by whoever holds it; it holds no secret.
    """

    tenant: str
    env: str
    project: str | None
    surface: str
    route_id: int
    revision: int
    method: str
    key: str
    upload_id: str
    expires_at: int
    content_type: str | None = None
    max_bytes: int | None = None
    sha256: str | None = None

    @classmethod
    def of(cls, scope: Scope, served_by: ServedBy, key: str, upload_id: str, grant: Grant) -> Self:
        """Return the ticket of a grant that begins now."""
        return cls(
            tenant=scope.tenant,
            env=scope.env,
            project=scope.project,
            surface=scope.surface,
            route_id=served_by.route_id,
            revision=served_by.revision,
            method=grant.method,
            key=key,
            upload_id=upload_id,
            expires_at=int(datetime.now(UTC).timestamp()) + grant.seconds,
            content_type=grant.content_type,
            max_bytes=grant.max_bytes,
            sha256=grant.sha256,
        )

    def at(self, served_at: str) -> Presigned:
        """Return the request, its URL below the address where Northstar serves such requests."""
        typed = {"Content-Type": self.content_type} if self.content_type is not None else {}
        is_form = self.method == "POST"
        return Presigned(
            self.method,
            served_at + Signer(salt=_SALT).sign_object(asdict(self), compress=True),
            datetime.fromtimestamp(self.expires_at, UTC),
            headers={} if is_form else typed,
            fields=typed if is_form else {},
        )

    def refuse_other_route(self, served_by: ServedBy) -> None:
        """Raise Forbidden when the route has changed since: the bytes would come from, or go to, another place."""
        if (served_by.route_id, served_by.revision) != (self.route_id, self.revision):
            raise Forbidden("The route behind this URL has been changed since it was signed.", fix=_FIX)


def read_ticket(token: str, method: str) -> Ticket:
    """Return the ticket of a request. Raises Forbidden for one that was changed, has expired, or is for another method."""
    try:
        ticket = Ticket(**Signer(salt=_SALT).unsign_object(token))
    except (BadSignature, TypeError):  # TypeError: signed by another version of Northstar
        raise Forbidden("This URL was not signed here, or was changed.", fix=_FIX) from None
    if datetime.now(UTC).timestamp() >= ticket.expires_at:
        raise Forbidden("This URL has expired.", fix=_FIX)
    if method != ticket.method:
        raise Forbidden(f"This URL is for {ticket.method}, not for {method}.", fix=_FIX)
    return ticket
