"""Uploads in parts: several under way at once, in bounded memory, and given up whole when anything fails."""

import logging
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Final

from storage.backends.blob_intake import Intake
from storage.backends.s3_service import Part, S3Bucket, SentPart
from storage.backends.s3_settling import repeated
from storage.errors import BackendRejected, BackendUnavailable, ValueTooLarge

MIB: Final = 1024 * 1024
PART_BYTES: Final = 8 * MIB
"""Of a part, and of the largest body that is sent in one request."""
AT_ONCE: Final = 2
"""Parts of that size under way at once, beside the one that is being read: 24 MiB in all."""
MOST_PARTS: Final = 10_000
"""Of one upload ("Amazon S3 multipart upload limits")."""
_STEADY_PARTS: Final = 5_000
_STEP_PARTS: Final = 500
_LARGEST_PART: Final = 32 * MIB
"""S3 takes 5 GiB, but no put may hold more in memory than three of these."""

logger = logging.getLogger(__name__)


MOST_BYTES: Final = (_STEADY_PARTS * PART_BYTES + _STEP_PARTS * 2 * PART_BYTES) + (
    MOST_PARTS - _STEADY_PARTS - _STEP_PARTS
) * _LARGEST_PART
"""What 10,000 parts hold as they grow: 187 GiB."""


def size_of_parts(size: int | None) -> int:
    """Return how large the parts of a body are to be, so that 10,000 suffice if that was announced."""
    return max(PART_BYTES, -(-(size or 0) // (MOST_PARTS * MIB)) * MIB)


def grown(number: int) -> int:
    """Return how large a part must be at least, the first being 1: so that 10,000 hold MOST_BYTES that nobody announced.

    40 GB go by in parts of the first size.
    """
    steps = max(0, -(-(number - _STEADY_PARTS) // _STEP_PARTS))
    return min(PART_BYTES << steps, _LARGEST_PART)


@contextmanager
def upload(bucket: S3Bucket, name: str, headers: Mapping[str, str]) -> Iterator[str]:
    """Begin an upload in parts and lend its id; it is given up if the block does not end well."""
    upload_id = repeated(lambda: bucket.begin(name, headers))
    try:
        yield upload_id
    except BaseException:
        _give_up(bucket, name, upload_id)
        raise


def send_parts(bucket: S3Bucket, name: str, upload_id: str, body: Intake) -> list[SentPart]:
    """Send all of a body to an upload that was begun with CHECKED, and return its parts.

    Raises what the caller's own chunks raise, unchanged, or as `S3Bucket.put_part`; no part is under way any more then.
    """
    gone: list[SentPart] = []
    under_way: deque[Future[SentPart]] = deque()
    announced = body.part_bytes
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="northstar-s3") as threads:
        for number in range(1, MOST_PARTS + 1):
            body.part_bytes = max(announced, grown(number))
            body.fill()
            while len(under_way) >= (AT_ONCE if body.part_bytes == PART_BYTES else 1):
                gone.append(under_way.popleft().result())
            under_way.append(threads.submit(_send_part, bucket, name, upload_id, number, [body.part()]))
            if body.ended:
                return gone + [each.result() for each in under_way]
    raise ValueTooLarge("The object is larger than S3 allows.")


def _send_part(bucket: S3Bucket, name: str, upload_id: str, number: int, held: list[bytes]) -> SentPart:
    """Send the part that is held, and let go of it: the pool itself may hold its arguments a little longer."""
    return repeated(partial(bucket.put_part, name, upload_id, number, Part.of(held.pop())))


def _give_up(bucket: S3Bucket, name: str, upload_id: str) -> None:
    try:
        bucket.abort(name, upload_id)
    except (BackendUnavailable, BackendRejected) as error:
        logger.warning("An unfinished upload to S3 is left to the sweep: %s", error.code)
