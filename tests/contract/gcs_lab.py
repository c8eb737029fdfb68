"""Drivers over a Cloud Storage server, for the tests of objects and of the driver itself."""

import http.client
import json
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any

from northstar.modes import SAAS
from storage.backends.gcs import GcsBlobs
from storage.backends.gcs_config import GcsConfig
from storage.blob_guard import GuardedBlobs
from storage.blobs import BlobInfo
from storage.guard import ServedBy
from storage.keys import Scope
from tests.contract.blob_contract import OpenBlobs
from tests.stack.fixtures import GcsBucket

MIB = 1024 * 1024
LARGE = bytes(range(256)) * (4096 * 17 + 4)
"""A body of three parts."""
KMS_KEY = "projects/acme/locations/eu/keyRings/r/cryptoKeys/k"
GET, PUT, LIST, DELETE = "object.get", "object.insert", "object.list", "object.delete"
DOWNLOAD, START, CHUNK = "xml.get", "upload.start", "upload.chunk"
MOVE, REWRITE, PATCH = "object.move", "object.rewrite", "object.change"
"""Operations as our server counts them, and lets them fail."""
BACKEND = "gcs (test server)"
EMULATOR = "gcs (gcp-storage-emulator)"
SERVED_BY = ServedBy(1, 1, "gcs")


def allow(settings: Any, *addresses: str) -> None:
    settings.NORTHSTAR_ALLOWED_ENDPOINTS = [f"http://{address}" for address in addresses]


def gcs_config(place: GcsBucket, address: str = "", **config: Any) -> GcsConfig:
    """A route's config for this bucket, at its server or through a proxy before it. The address must be allowed."""
    key = {"credentials_json": place.key} if place.key else {"project": "acme-prod"}
    given = {"bucket": place.bucket, "endpoint": f"http://{address or place.address}", **key, **config}
    return GcsConfig.model_validate({name: value for name, value in given.items() if value is not None})


def driver_at(place: GcsBucket, address: str = "", **config: Any) -> GcsBlobs:
    return GcsBlobs(gcs_config(place, address, **config), mode=SAAS, epoch=1)


def guarded(driver: GcsBlobs, tenant="acme", env="dev", project=None, surface="_") -> GuardedBlobs:
    return GuardedBlobs(driver, scope=Scope(tenant, env, project, surface), served_by=SERVED_BY, kind="object_store")


@contextmanager
def gcs_driver(place: GcsBucket, settings: Any, **config: Any) -> Iterator[GcsBlobs]:
    """A driver whose bucket is there."""
    allow(settings, "127.0.0.1:*")
    with closing(driver_at(place, **config)) as driver:
        driver.prepare()
        yield driver


@contextmanager
def opened(place: GcsBucket, settings: Any, **config: Any) -> Iterator[OpenBlobs]:
    """Open the bucket as other processes would: each call has a driver of its own."""
    with ExitStack() as drivers:
        drivers.enter_context(gcs_driver(place, settings, **config))

        def open_them(*scope: Any, **parts: Any) -> GuardedBlobs:
            return guarded(drivers.enter_context(closing(driver_at(place, **config))), *scope, **parts)

        yield open_them


def large(blobs: GuardedBlobs, key: str = "large", **options: Any) -> BlobInfo:
    """Put LARGE, MiB by MiB."""
    chunks = (LARGE[at : at + MIB] for at in range(0, len(LARGE), MIB))
    return blobs.put(key, chunks, content_type="text/plain", **options)


@contextmanager
def controlled(place: GcsBucket) -> Iterator["Control"]:
    """Steer the server, and let it be at the end as it was."""
    control = Control(place)
    yield control
    control("POST", "limits", page_results=1000, rewrite_bytes=2**63, kept_bytes=2**63, object_bytes=5 * 2**40)
    control("POST", "clock", offset_seconds=0)


class Control:
    """What our own server tells and does, besides Cloud Storage's calls: `control("POST", "clock", offset_seconds=60)`."""

    def __init__(self, place: GcsBucket) -> None:
        self._address = place.address

    def __call__(self, verb: str, what: str, **body: Any) -> Any:
        connection = http.client.HTTPConnection(self._address, timeout=30)
        try:
            connection.request(verb, f"/_test/{what}", json.dumps(body))
            response = connection.getresponse()
            answer = response.read()
            assert response.status < 300, answer
            return json.loads(answer) if answer else None
        finally:
            connection.close()

    def calls(self) -> dict[str, int]:
        """How often each operation was called, failures too, since this was last asked."""
        counted: dict[str, int] = self("GET", "counters")
        self("DELETE", "counters")
        return counted

    def fault(self, status: int, operation: str = "*", **options: Any) -> None:
        """Let the next requests of a kind fail; `times`, and `applied` (the answer alone is lost) may be given."""
        self("POST", "faults", status=status, operation=operation, **options)
