"""A POST with an Idempotency-Key has one effect and one answer, however often it is sent."""

import json
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from time import monotonic
from typing import Any, Final

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response

from northstar.api import ApiView
from northstar.errors import Conflict, FieldError, IdempotencyMismatch, InvalidRequest
from northstar.rendering import dumps
from routing.models import IdempotencyRecord

TAKEN_OVER_AFTER: Final = timedelta(seconds=60)
"""A claim older than this is of a process that died; its operation id lets the store recognise what it had done."""
REMEMBERED: Final = timedelta(hours=24)
PRUNED_EVERY_SECONDS: Final = 600.0

_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")
_KEPT_HEADERS: Final = ("ETag", "Location", "X-Northstar-Backend", "X-Northstar-Route-Revision")


class IdempotentPost(ApiView):
    """Put before a view whose POST creates or counts.

    The same key with the same request answers as the first time, with `Idempotent-Replayed: true`. `operation_id` is the same
    for every attempt of one request, and empty without a key: stores recognise by it what an attempt that died had done.
    """

    operation_id: str = ""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        key = request.META.get("HTTP_IDEMPOTENCY_KEY")
        if request.method == "POST" and key is not None:
            _check_key(key)
            setattr(self, "post", partial(self._once, key, getattr(self, "post")))  # noqa: B009, B010 - a subclass has it

    def _once(self, key: str, post: Callable[..., Response], request: Request, /, *args: Any, **kwargs: Any) -> Any:
        fingerprint = self._fingerprint(request)
        self.operation_id = sha256(f"{self.context.tenant_id}\n{key}\n{fingerprint}".encode()).hexdigest()[:32]
        _prune()
        claim = _claim(self.context.tenant_id, key, fingerprint)
        if claim.status is not None:
            return _replay(claim)
        finished = False
        try:
            response = post(request, *args, **kwargs)
            finished = response.status_code < 500
        finally:
            if not finished:
                claim.delete()
        self._remember(claim, response)
        return response

    def _fingerprint(self, request: Request) -> str:
        context = self.context
        where = [context.env, context.project_id, context.surface_id, context.user_id, request.META.get("HTTP_X_KEY")]
        digest = sha256(json.dumps([request.method, request.get_full_path(), where]).encode())
        for piece in self.body_again():
            digest.update(piece)
        return digest.hexdigest()

    def body_again(self) -> Iterable[bytes]:
        """Return the body for a look at it before the handler has it. A view of large bodies keeps them in its own way."""
        return [self.raw_body()]

    def _remember(self, claim: IdempotencyRecord, response: Response) -> None:
        answer = super().finalize_response(self.request, response, *self.args, **self.kwargs)
        kept = {name: answer.headers[name] for name in _KEPT_HEADERS if name in answer.headers}
        claim.status = response.status_code
        claim.content_type = "application/json"
        claim.body = json.dumps(kept).encode() + b"\n" + (b"" if response.data is None else dumps(response.data))
        claim.save(update_fields=["status", "content_type", "body"])


def _check_key(key: str) -> None:
    if not _KEY.fullmatch(key):
        detail = "Idempotency-Key must be 1 to 255 visible ASCII characters."
        raise InvalidRequest(
            detail, fix="Send a new UUID for each operation.", errors=[FieldError("Idempotency-Key", "pattern", detail)]
        )


def _claim(tenant_id: str, key: str, fingerprint: str) -> IdempotencyRecord:
    """Return a record that is ours to fill, or one that is filled. Raises IdempotencyMismatch or Conflict."""
    now = datetime.now(UTC)
    record, ours = IdempotencyRecord.objects.get_or_create(
        tenant_id=tenant_id, key=key, defaults={"fingerprint": fingerprint, "created_at": now}
    )
    if ours:
        return record
    age = now - record.created_at
    if age < REMEMBERED and record.fingerprint != fingerprint:
        raise IdempotencyMismatch(
            "This Idempotency-Key was used before with another request.", fix="Send a new key for a new operation."
        )
    if age < REMEMBERED and record.status is not None:
        return record
    if age >= TAKEN_OVER_AFTER and _take_over(record, fingerprint, now):
        return record
    busy = Conflict("A request with this Idempotency-Key is still running.", fix="Wait for its answer, then retry.")
    busy.retry_after = 1
    raise busy


def _take_over(record: IdempotencyRecord, fingerprint: str, now: datetime) -> bool:
    """Make an abandoned or outdated record ours; of several processes that try, one succeeds."""
    mine = IdempotencyRecord.objects.filter(pk=record.pk, created_at=record.created_at, status=record.status)
    if not mine.update(created_at=now, fingerprint=fingerprint, status=None, body=b""):
        return False
    record.refresh_from_db()
    return True


def _replay(record: IdempotencyRecord) -> HttpResponseBase:
    headers, _, body = bytes(record.body).partition(b"\n")
    answer = HttpResponse(body, status=record.status, content_type=record.content_type, headers=json.loads(headers))
    answer.headers["Idempotent-Replayed"] = "true"
    return answer


_next_prune = 0.0


def _prune() -> None:
    global _next_prune  # noqa: PLW0603 - one process forgets what it forgets, whichever thread comes first
    if monotonic() >= _next_prune:
        _next_prune = monotonic() + PRUNED_EVERY_SECONDS
        IdempotencyRecord.objects.filter(created_at__lt=datetime.now(UTC) - REMEMBERED).delete()
