"""What the configs of object drivers have in common: where in a bucket or container a route's names begin."""

from typing import Annotated, Final

from pydantic import AfterValidator, Field

PREFIX_BYTES: Final = 100


def _check_prefix(prefix: str) -> str:
    if prefix and (not prefix.endswith("/") or {"", ".", ".."} & set(prefix[:-1].split("/"))):
        raise ValueError("must be empty or end in a slash, without empty, '.' or '..' segments")
    if len(prefix.encode()) > PREFIX_BYTES or not prefix.isprintable() or "\\" in prefix:
        raise ValueError(f"must have at most {PREFIX_BYTES} bytes, no backslash and no control character")
    return prefix


Prefix = Annotated[
    str,
    AfterValidator(_check_prefix),
    Field(title="Prefix", description="Stands before all names, such as northstar/. Empty: the whole bucket is ours."),
]
