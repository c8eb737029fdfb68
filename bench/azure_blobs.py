"""What the Azure Blob driver adds to its SDK: 1 KiB in and out against the bare client, 64 MiB against the SDK's best way.

The server is Azurite, so the times mean nothing. The driver hashes every body (SHA-256, and MD5 for the service to verify) and
stores what it knows of it; the SDK's calls do not.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from random import Random
from time import perf_counter
from typing import Any, Final

from bench.harness import Plan, Result, Side, Size, at_most, compare, timed
from bench.home import Home
from northstar.modes import LAB
from storage.backends.azure_blob import AzureBlobs
from storage.backends.azure_blob_config import AzureBlobConfig
from storage.blobs import CHUNK_BYTES, BlobRef
from storage.keys import Scope
from tests.stack import servers

SMALL: Final = Random(7).randbytes(1024)
LARGE: Final = Random(8).randbytes(1024 * 1024) * 64
REF: Final = BlobRef(Scope("acme", "dev"), "bench/object")
PLANS: Final = {Size.SMOKE: Plan(2, 3, 1), Size.QUICK: Plan(24, 20), Size.FULL: Plan(60, 100)}
LARGE_PLANS: Final = {Size.SMOKE: Plan(1, 1, 0), Size.QUICK: Plan(6, 1, 1), Size.FULL: Plan(12, 1, 1)}
"""Few: what is replaced stays in the emulator's memory for minutes."""
BAR: Final = 1.05
"""Wall time, against the SDK's own call on the same server."""
_TRIES: Final = 3


@dataclass(frozen=True, slots=True)
class _Sides:
    """The driver and the SDK's client of one blob, each with an object of its own in one container."""

    driver: AzureBlobs
    blob: Any

    def put(self, body: bytes) -> None:
        chunks = (body[at : at + CHUNK_BYTES] for at in range(0, len(body), CHUNK_BYTES))
        self.driver.put(REF, chunks, content_type="application/octet-stream", metadata={})

    def get(self) -> int:
        found = self.driver.get(REF)
        assert found is not None
        return sum(map(len, found.chunks))

    def put_by_sdk(self, at_once: int) -> None:
        """Send a body as the SDK sends one whose length it does not know, and have the service verify it."""
        self.blob.upload_blob(
            iter([LARGE]), length=None, overwrite=True, max_concurrency=at_once, validate_content=True
        )

    def put_from_memory(self) -> None:
        """Send a body that is all there in one request, which nobody verifies: the least work that there is."""
        self.blob.upload_blob(LARGE, overwrite=True)


def run(_home: Home, size: Size) -> list[Result]:
    with _opened() as sides:
        return [*_small(sides, PLANS[size]), *_large(sides, LARGE_PLANS[size])]


def _small(sides: _Sides, plan: Plan) -> Iterator[Result]:
    bare: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "put": (lambda: sides.put(SMALL), lambda: sides.blob.upload_blob(SMALL, overwrite=True)),
        "get": (sides.get, lambda: sides.blob.download_blob().readall()),
    }
    for name, (ours, base) in bare.items():
        result = compare(
            f"Azure 1 KiB {name}", Side("driver", timed(ours)), Side("azure-storage-blob client", timed(base)), plan
        )
        cpu = f"CPU of the client: {result.ours.cpu / result.base.cpu:.2f} of the SDK's."
        yield replace(result, bar=at_most(result, BAR), notes=(cpu,))


def _large(sides: _Sides, plan: Plan) -> Iterator[Result]:
    put, blob = Side("driver", timed(lambda: sides.put(LARGE))), sides.blob
    sending = {
        "SDK, a stream, verified": lambda: sides.put_by_sdk(1),
        "SDK, 4 blocks at once, verified": lambda: sides.put_by_sdk(4),
    }
    result = compare("Azure 64 MiB put / same promise", put, _best(sending), plan)
    yield replace(result, bar=at_most(result, BAR))
    yield compare("Azure 64 MiB put / from memory", put, Side("SDK, one request", timed(sides.put_from_memory)), plan)
    fetching = {
        "SDK, chunks": lambda: sum(map(len, blob.download_blob().chunks())),
        "SDK, 4 ranges at once": lambda: len(blob.download_blob(max_concurrency=4).readall()),
    }
    result = compare("Azure 64 MiB get", Side("driver", timed(sides.get)), _best(fetching), plan)
    yield replace(result, bar=at_most(result, BAR))


def _best(ways: Mapping[str, Callable[[], object]]) -> Side:
    """Return the way that is fastest here."""
    name = min(ways, key=lambda way: min(_seconds(ways[way]) for _ in range(_TRIES)))
    return Side(name, timed(ways[name]))


def _seconds(call: Callable[[], object]) -> float:
    started = perf_counter()
    call()
    return perf_counter() - started


@contextmanager
def _opened() -> Iterator[_Sides]:
    from azure.storage.blob import BlobServiceClient  # noqa: PLC0415 - only this benchmark needs it

    with servers.azurite() as server:
        account = {"account": servers.AZURITE_ACCOUNT, "account_key": servers.AZURITE_KEY}
        config = AzureBlobConfig.model_validate({**account, "container": "bench", "endpoint": server.url})
        url, key = f"{server.url}/{servers.AZURITE_ACCOUNT}", servers.AZURITE_KEY
        named = {"account_name": servers.AZURITE_ACCOUNT, "account_key": key}
        with closing(AzureBlobs(config, mode=LAB, epoch=1)) as driver, BlobServiceClient(url, named) as client:
            driver.prepare()
            yield _Sides(driver, client.get_blob_client("bench", "bare"))
