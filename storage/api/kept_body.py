"""A POST of a large body under an Idempotency-Key: a file keeps the body, which decides whether this is the same request."""

from collections.abc import Iterable, Iterator
from tempfile import TemporaryFile
from typing import IO, Any

from rest_framework.request import Request
from rest_framework.response import Response

from northstar.idempotency import IdempotentPost
from northstar.inputs import CHUNK_BYTES


class KeptBody(IdempotentPost):
    """An `IdempotentPost` whose body may have any size: read once for its fingerprint, then from the file."""

    _kept: IO[bytes] | None = None

    def body_again(self) -> Iterable[bytes]:
        """Yield the body, and keep it in a file."""
        self._kept = kept = TemporaryFile()  # noqa: SIM115 - closed with the answer
        for piece in super().chunks():
            kept.write(piece)
            yield piece
        kept.seek(0)

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        if self._kept is not None:
            self._kept.close()
        return super().finalize_response(request, response, *args, **kwargs)

    def chunks(self) -> Iterator[bytes]:
        """Yield the body, from the file where it was kept."""
        if self._kept is None:
            yield from super().chunks()
            return
        while piece := self._kept.read(CHUNK_BYTES):
            yield piece
