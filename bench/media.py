"""A list of 1,000 media of a session: against the same rows read raw, and against asking S3 for each as one would with boto3.

The server behind boto3 is MiniStack on the same machine: a HEAD to S3 itself takes some milliseconds more.
"""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, Final

from bench.harness import Plan, Result, Side, Size, at_least, at_most, compare, timed
from bench.home import CONTEXT, Home
from media.records import TABLE, object_key, session_prefix
from media.services import list_media_for_session, store_media
from storage.opening import open_store
from tests.stack import servers

MEDIA: Final = {Size.SMOKE: 20, Size.QUICK: 1000, Size.FULL: 1000}
PLANS: Final = {Size.SMOKE: Plan(2, 1, 1), Size.QUICK: Plan(10, 3), Size.FULL: Plan(40, 5)}
HEADS: Final = {Size.SMOKE: Plan(2, 1, 1), Size.QUICK: Plan(2, 1, 0), Size.FULL: Plan(9, 1)}
SESSION: Final = "s_1"
BUCKET: Final = "bench-media"
RAW_BAR: Final = 1.2
HEADS_BAR: Final = 100


def run(_home: Home, size: Size) -> list[Result]:
    count = MEDIA[size]
    ids = [store_media(CONTEXT, [b"x"], session_id=SESSION).media_id for _ in range(count)]
    if [media.media_id for media in list_media_for_session(CONTEXT, SESSION, limit=count).items] != ids:
        raise ValueError("The list does not hold what was stored.")
    ours = Side("list of a session", timed(partial(list_media_for_session, CONTEXT, SESSION, limit=count)))
    raw = compare(f"{count:,} media / the rows raw", ours, Side("one raw page", timed(_raw(count))), PLANS[size])
    with _bucket() as head:
        loop = Side("boto3 HEAD loop", timed(lambda: [head(object_key(media_id)) for media_id in ids]))
        heads = compare(f"{count:,} media / HEAD of each", ours, loop, HEADS[size], faster=True)
    return [replace(raw, bar=at_most(raw, RAW_BAR)), replace(heads, bar=at_least(heads, HEADS_BAR))]


def _raw(count: int) -> Callable[[], object]:
    prefix = session_prefix(SESSION)
    return lambda: open_store("tabular_store", CONTEXT).list_by_prefix(TABLE, prefix, limit=count)


@contextmanager
def _bucket() -> Iterator[Callable[[str], object]]:
    """Give what asks for one object's facts. There is one object: looking for another name takes as long."""
    import boto3  # noqa: PLC0415 - only this benchmark needs it

    with servers.ministack() as server:
        client: Any = boto3.client(
            "s3",
            region_name="us-east-1",
            endpoint_url=server.url,
            aws_access_key_id="123456789012",
            aws_secret_access_key=secrets.token_urlsafe(20),
        )
        client.create_bucket(Bucket=BUCKET)
        client.put_object(Bucket=BUCKET, Key="media/one", Body=b"x")
        yield lambda _key: client.head_object(Bucket=BUCKET, Key="media/one")
        client.close()
