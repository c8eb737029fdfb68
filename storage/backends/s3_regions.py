"""The route's bucket, and the regions that reads fall over to while its own is down.

S3 replicates with a delay. So an answer from a replica always says so, and a replica's word that something is not there is
no answer at all.
"""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from storage.backends.s3_service import S3Bucket
from storage.errors import BackendRejected, BackendUnavailable

DOWN_SECONDS: Final = 10.0
"""A region that did not answer is asked last for so long: not every read shall wait for its deadline."""

T = TypeVar("T")

logger = logging.getLogger(__name__)


class Regions:
    """Reads from the first region that answers. `home` is the route's own bucket, where all writes go."""

    def __init__(self, home: S3Bucket, replicas: Sequence[S3Bucket]) -> None:
        self.home = home
        self.replicas = tuple(replicas)
        self._down_until: dict[str, float] = {}

    def read(self, call: Callable[[S3Bucket], T | None]) -> tuple[T | None, str | None]:
        """Return what the call answers, None where the home region has nothing, and the replica's region if one has answered.

        Raises the home region's BackendUnavailable when it is down and no replica has what is asked for, and what the home
        region refuses.
        """
        if not self.replicas:
            return call(self.home), None
        failed: BackendUnavailable | None = None
        for bucket in self._in_turn():
            try:
                found = call(bucket)
            except BackendUnavailable as error:
                self._note_down(bucket)
                if bucket is self.home:
                    failed = type(error)(error.detail, fix=error.fix)  # its own traceback would hold an open answer
                continue
            except BackendRejected as error:
                if bucket is self.home:
                    raise
                logger.warning("The replica of S3 in %s refuses: %s", bucket.region, error.detail)
                continue
            if bucket is self.home:
                return found, None
            if found is not None:
                return found, bucket.region
        assert failed is not None, "the home region is one of those asked"
        raise failed

    def _in_turn(self) -> list[S3Bucket]:
        """Return all regions in their order, those that were down a moment ago last."""
        now = time.monotonic()
        return sorted((self.home, *self.replicas), key=lambda bucket: self._down_until.get(bucket.region, now) > now)

    def _note_down(self, bucket: S3Bucket) -> None:
        self._down_until[bucket.region] = time.monotonic() + DOWN_SECONDS
        logger.warning("S3 in %s does not answer; reads go to the route's other regions.", bucket.region)
