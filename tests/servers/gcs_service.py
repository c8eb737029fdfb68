"""Everything that the server holds, with one lock around it."""

import threading
from collections import Counter
from dataclasses import dataclass, replace

from tests.servers.gcs_accounts import Accounts
from tests.servers.gcs_buckets import Bucket, Buckets
from tests.servers.gcs_clock import Clock
from tests.servers.gcs_contents import Content
from tests.servers.gcs_errors import no_bucket
from tests.servers.gcs_faults import Fault, due
from tests.servers.gcs_listing import MAX_PAGE
from tests.servers.gcs_names import check_object_name
from tests.servers.gcs_objects import Fields, ObjectVersion
from tests.servers.gcs_preconditions import Preconditions
from tests.servers.gcs_rewrites import Rewrites
from tests.servers.gcs_uploads import Uploads


@dataclass
class Limits:
    """What a test may lower: the size of an object in bytes, the results of a page, the bytes of one rewrite call, and how many
    bytes of a session's chunk are kept, as the service may keep less than was sent."""

    object_bytes: int = 5 * 2**40
    page_results: int = MAX_PAGE
    rewrite_bytes: int = 2**63
    kept_bytes: int = 2**63


class Service:
    """The state. Hold `lock` to read or change any of it but `accounts`."""

    def __init__(self, accounts: Accounts) -> None:
        self.accounts = accounts
        self.lock = threading.RLock()
        self.clock = Clock()
        self.reset()

    def reset(self) -> None:
        """Forget all but the accounts; the clock goes right again, and generations go on."""
        self.clock.set_offset(0)
        self.buckets = Buckets()
        self.uploads = Uploads()
        self.rewrites = Rewrites()
        self.limits = Limits()
        self.faults: list[Fault] = []
        self.counters: Counter[str] = Counter()

    def admit(self, operation: str) -> Fault | None:
        """Count a request. Raises its fault, or returns the one to raise when the request is done."""
        with self.lock:
            self.counters[operation] += 1
            fault = due(self.faults, operation)
        if fault is not None and not fault.applied:
            raise fault.error()
        return fault

    def bucket(self, name: str) -> Bucket:
        """Return a bucket. Raises a 404."""
        found = self.buckets.named.get(name)
        if found is None:
            raise no_bucket(name)
        return found

    def publish(
        self,
        bucket: str,
        name: str,
        content: Content,
        fields: Fields,
        *,
        preconditions: Preconditions,
        components: int = 0,
        kms_key: str = "",
    ) -> ObjectVersion:
        """Let a content be an object, at once and whole. Raises a 404 without the bucket, and a 412."""
        check_object_name(name)
        with self.lock:
            home = self.bucket(bucket)
            preconditions.check_write(home.live(name))
            generation, now = self.clock.new_generation(), self.clock.now()
            fields = fields if fields.storage_class else replace(fields, storage_class=home.storage_class)
            key = kms_key or home.kms_key
            version = ObjectVersion(
                bucket, name, generation, now, now, content, fields, components=components, kms_key=key
            )
            home.publish(version)
        return version
