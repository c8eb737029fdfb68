"""What the S3 driver costs: 1 KiB and 64 MiB against boto3, and 1 KiB against django-storages, on the same server.

The server is MiniStack, so the times mean nothing. For small objects the client's CPU counts, for large ones the wall time
against each way that the SDK has, and against what keeps the driver's promise with it: hash, upload, copy with the checksum.
"""

import hashlib
import io
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Final

from bench.harness import Plan, Result, Side, Size, at_most, at_most_cpu, compare, timed
from bench.home import Home
from northstar.modes import LAB
from storage.backends.s3 import S3Blobs
from storage.backends.s3_config import S3Config
from storage.blobs import BlobDriver, BlobRef
from storage.keys import Scope
from tests.stack import servers

SMALL: Final = Random(5).randbytes(1024)
LARGE: Final = Random(6).randbytes(64 * 1024 * 1024)
CHUNK: Final = 1024 * 1024
SMALL_PLANS: Final = {Size.SMOKE: Plan(2, 3, 1), Size.QUICK: Plan(30, 30), Size.FULL: Plan(60, 100)}
LARGE_PLANS: Final = {Size.SMOKE: Plan(1, 1, 0), Size.QUICK: Plan(6, 1, 1), Size.FULL: Plan(20, 1, 2)}
SDK_CPU: Final = 0.35
DJANGO_CPU: Final = 0.12
WALL: Final = 1.05
BUCKET: Final = "bench-objects"
ACCOUNT: Final = "123456789012"
SCOPE: Final = Scope("acme", "dev")

Calls = Mapping[str, Callable[[], object]]


@dataclass(frozen=True, slots=True)
class ObjectService:
    """A driver, ready, and what others do with the same bytes at the same server, by operation.

    `sdk_large` has the ways in which a large object is stored with the SDK.
    """

    name: str
    sdk: str
    driver: BlobDriver
    sdk_small: Calls
    django_small: Calls
    sdk_large: Calls
    sdk_large_get: Callable[[], object]
    note: str


def run(_home: Home, size: Size) -> list[Result]:
    with s3() as service:
        return [*_small(service, SMALL_PLANS[size]), *_large(service, LARGE_PLANS[size])]


def _small(service: ObjectService, plan: Plan) -> Iterator[Result]:
    ours = _calls(service.driver, "small", SMALL, len(SMALL))
    for operation, call in ours.items():
        for column, name, others, most in (
            ("SDK", service.sdk, service.sdk_small, SDK_CPU),
            ("Django", "django-storages", service.django_small, DJANGO_CPU),
        ):
            base = Side(name, timed(others[operation]))
            result = compare(f"{service.name} {operation} 1 KiB / {column}", Side("driver", timed(call)), base, plan)
            yield replace(result, bar=at_most_cpu(result, most))


def _large(service: ObjectService, plan: Plan) -> Iterator[Result]:
    ours = _calls(service.driver, "large", LARGE, CHUNK)
    pairs = [("put", name, call) for name, call in service.sdk_large.items()]
    for operation, name, base in [*pairs, ("get", "SDK", service.sdk_large_get)]:
        sides = Side("driver", timed(ours[operation])), Side(service.sdk, timed(base))
        base()
        result = compare(f"{service.name} {operation} 64 MiB / {name}", *sides, plan)
        yield replace(result, bar=at_most(result, WALL), notes=(service.note,))


def _calls(driver: BlobDriver, key: str, data: bytes, chunk: int) -> Calls:
    ref = BlobRef(SCOPE, key)

    def put() -> None:
        pieces = (data[start : start + chunk] for start in range(0, len(data), chunk))
        driver.put(ref, pieces, content_type="application/octet-stream", metadata={})

    def get() -> None:
        blob = driver.get(ref)
        assert blob
        assert sum(map(len, blob.chunks)) == len(data)

    return {"put": put, "get": get}


def _kept_promise(client: Any) -> None:
    """Store the large object with its SHA-256 in the metadata, as if it came piece by piece."""
    digest = hashlib.sha256()
    for start in range(0, len(LARGE), CHUNK):
        digest.update(LARGE[start : start + CHUNK])
    client.upload_fileobj(io.BytesIO(LARGE), BUCKET, "staged")
    client.copy_object(
        Bucket=BUCKET,
        Key="bare-large",
        CopySource={"Bucket": BUCKET, "Key": "staged"},
        MetadataDirective="REPLACE",
        Metadata={"sha256": digest.hexdigest()},
    )
    client.delete_object(Bucket=BUCKET, Key="staged")


@contextmanager
def s3() -> Iterator[ObjectService]:
    """S3 on MiniStack, against boto3's client and django-storages over it."""
    import boto3  # noqa: PLC0415 - only this benchmark needs them
    from django.core.files.base import ContentFile  # noqa: PLC0415
    from storages.backends.s3 import S3Storage  # noqa: PLC0415

    with servers.ministack() as server:
        secret = secrets.token_urlsafe(20)
        place = {"region": "us-east-1", "bucket": BUCKET, "endpoint": server.url}
        keys = {"access_key_id": ACCOUNT, "secret_access_key": secret}
        driver = S3Blobs(S3Config.model_validate(place | keys), mode=LAB, epoch=1)
        driver.prepare()
        client: Any = boto3.client(
            "s3",
            region_name="us-east-1",
            endpoint_url=server.url,
            aws_access_key_id=ACCOUNT,
            aws_secret_access_key=secret,
        )
        django = S3Storage(
            bucket_name=BUCKET,
            region_name="us-east-1",
            endpoint_url=server.url,
            access_key=ACCOUNT,
            secret_key=secret,
            file_overwrite=True,
        )

        def get_small() -> bytes:
            data: bytes = client.get_object(Bucket=BUCKET, Key="bare")["Body"].read()
            return data

        yield ObjectService(
            "S3",
            "boto3 client",
            driver,
            sdk_small={
                "put": lambda: client.put_object(Bucket=BUCKET, Key="bare", Body=SMALL),
                "get": get_small,
            },
            django_small={
                "put": lambda: django.save("django", ContentFile(SMALL)),
                "get": lambda: django.open("django").read(),
            },
            sdk_large={
                "single": lambda: client.put_object(Bucket=BUCKET, Key="bare-large", Body=LARGE),
                "parts": lambda: client.upload_fileobj(io.BytesIO(LARGE), BUCKET, "bare-large"),
                "promise": lambda: _kept_promise(client),
            },
            sdk_large_get=lambda: sum(map(len, client.get_object(Bucket=BUCKET, Key="bare-large")["Body"])),
            note="64 MiB of unknown checksum go to S3 in parts, hashed once more as a whole, and are published by a copy. "
            "put_object holds all of it in memory and sends it at once; MiniStack, one thread, hashes parts again when they end.",
        )
        driver.close()
        client.close()
