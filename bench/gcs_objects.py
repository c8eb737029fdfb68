"""What the Cloud Storage driver costs: 1 KiB in and out against Google's client, 64 MiB against each way that it has.

The server is that of the tests, so the times mean nothing; the CPU of small objects and the ratio of large ones do. The driver
stores the SHA-256 of every body, which the client does not: "SHA-256" is the client with what that takes beforehand.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from io import BytesIO
from random import Random
from typing import Any, Final

from bench.harness import Bar, Plan, Result, Side, Size, at_most, compare, timed
from bench.home import Home
from northstar.modes import LAB
from storage.backends.gcs import GcsBlobs
from storage.backends.gcs_config import GcsConfig
from storage.blobs import CHUNK_BYTES, BlobRef
from storage.keys import Scope
from tests.stack import servers

SMALL: Final = Random(5).randbytes(1024)
LARGE: Final = Random(6).randbytes(1024 * 1024) * 64
REF: Final = BlobRef(Scope("acme", "dev"), "bench/object")
SMALL_PLANS: Final = {Size.SMOKE: Plan(2, 3, 1), Size.QUICK: Plan(30, 30), Size.FULL: Plan(60, 100)}
LARGE_PLANS: Final = {Size.SMOKE: Plan(1, 1, 0), Size.QUICK: Plan(8, 1, 1), Size.FULL: Plan(20, 1, 2)}
CPU: Final = 0.5
"""Of the client's own; what is left is mostly the kernel's, and HTTP's."""
WALL: Final = 1.05
BUCKET: Final = "bench-objects"
PART: Final = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Sides:
    """The driver, and Google's client of an object beside its own."""

    driver: GcsBlobs
    bucket: Any

    def put(self, data: bytes) -> None:
        chunks = (data[at : at + CHUNK_BYTES] for at in range(0, len(data), CHUNK_BYTES))
        self.driver.put(REF, chunks, content_type="application/octet-stream", metadata={})

    def get(self) -> int:
        found = self.driver.get(REF)
        assert found
        return sum(map(len, found.chunks))

    def put_by_sdk(self, data: bytes, chunk: int | None = None) -> None:
        self.bucket.blob("bare", chunk_size=chunk).upload_from_file(BytesIO(data), size=len(data))

    def put_with_sha256(self) -> None:
        blob = self.bucket.blob("bare")
        blob.metadata = {"sha256": hashlib.sha256(LARGE).hexdigest()}
        blob.upload_from_file(BytesIO(LARGE), size=len(LARGE))

    def get_by_sdk(self) -> bytes:
        found: bytes = self.bucket.blob("bare").download_as_bytes()
        return found


def run(_home: Home, size: Size) -> list[Result]:
    with _sides() as sides:
        return [*_small(sides, SMALL_PLANS[size]), *_large(sides, LARGE_PLANS[size])]


def _small(sides: _Sides, plan: Plan) -> Iterator[Result]:
    pairs: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "put": (lambda: sides.put(SMALL), lambda: sides.put_by_sdk(SMALL)),
        "get": (sides.get, sides.get_by_sdk),
    }
    for operation, (ours, theirs) in pairs.items():
        result = _compared(f"GCS {operation} 1 KiB / SDK", ours, theirs, plan)
        cheap = result.ours.cpu <= CPU * result.base.cpu
        yield replace(result, bar=Bar(f"≤ {CPU:g}x the CPU", cheap))


def _large(sides: _Sides, plan: Plan) -> Iterator[Result]:
    ways: dict[str, Callable[[], object]] = {
        "request": lambda: sides.put_by_sdk(LARGE),
        "parts": lambda: sides.put_by_sdk(LARGE, PART),
        "SHA-256": sides.put_with_sha256,
    }
    for way, theirs in ways.items():
        result = _compared(f"GCS put 64 MiB / {way}", lambda: sides.put(LARGE), theirs, plan)
        yield replace(result, bar=at_most(result, WALL)) if theirs == sides.put_with_sha256 else result
    result = _compared("GCS get 64 MiB / SDK", sides.get, sides.get_by_sdk, plan)
    yield replace(result, bar=at_most(result, WALL))


def _compared(name: str, ours: Callable[[], object], theirs: Callable[[], object], plan: Plan) -> Result:
    return compare(name, Side("driver", timed(ours)), Side("google-cloud-storage", timed(theirs)), plan)


@contextmanager
def _sides() -> Iterator[_Sides]:
    """Both on our own server."""
    from google.auth.credentials import AnonymousCredentials  # noqa: PLC0415 - only this benchmark needs it
    from google.cloud.storage import Client  # noqa: PLC0415

    with servers.gcs_server() as server:
        config = GcsConfig.model_validate({"bucket": BUCKET, "endpoint": server.url, "project": "bench"})
        options = {"api_endpoint": server.url}
        client = Client(project="bench", credentials=AnonymousCredentials(), client_options=options)
        with closing(GcsBlobs(config, mode=LAB, epoch=1)) as driver, closing(client):
            driver.prepare()
            sides = _Sides(driver, client.bucket(BUCKET))
            sides.put(SMALL)
            sides.put_by_sdk(SMALL)
            yield sides
