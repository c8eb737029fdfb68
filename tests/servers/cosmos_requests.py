"""A request as the service reads it: account, resource path, headers. Headers whose meaning is not known here are refused."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote

from tests.servers.cosmos_errors import bad_request, too_large
from tests.servers.cosmos_values import Json, dumps, loads

MAX_REQUEST = 2 * 1024 * 1024
"""Bytes of a request's body ("Service quotas", per-request limits)."""
DEFAULT_PAGE, MAX_PAGE = 100, 1000
"""Results of a page when the request names none, and the most (header x-ms-max-item-count)."""
PARTITION_KEY = "x-ms-documentdb-partitionkey"

HARMLESS = frozenset(
    {
        "x-ms-activity-id",
        "x-ms-client-id",
        "x-ms-cosmos-correlated-activityid",
        "x-ms-cosmos-sdk-supportedcapabilities",
        "x-ms-cosmos-allow-tentative-writes",
        "x-ms-date",
        "x-ms-documentdb-populatequerymetrics",
        "x-ms-documentdb-query-iscontinuationexpected",
        "x-ms-documentdb-responsecontinuationtokenlimitinkb",
        "x-ms-session-token",
        "x-ms-thinclient-proxy-operation-type",
        "x-ms-thinclient-proxy-resource-type",
        "x-ms-version",
    }
)
"""Headers without an effect on the answer of a server that is always up to date."""
UNDERSTOOD = frozenset(
    {
        "x-ms-consistency-level",
        "x-ms-continuation",
        "x-ms-cosmos-batch-atomic",
        "x-ms-cosmos-batch-continue-on-error",
        "x-ms-cosmos-intended-collection-rid",
        "x-ms-cosmos-is-batch-request",
        "x-ms-cosmos-offer-autopilot-settings",
        "x-ms-documentdb-is-upsert",
        "x-ms-documentdb-isquery",
        PARTITION_KEY,
        "x-ms-documentdb-query-enablecrosspartition",
        "x-ms-max-item-count",
        "x-ms-offer-throughput",
    }
)


@dataclass(frozen=True)
class Request:
    """One HTTP request. `segments` is the path below the account, decoded; header names are in lower case."""

    method: str
    account: str
    segments: tuple[str, ...]
    headers: Mapping[str, str]
    body: bytes

    @classmethod
    def parsed(cls, method: str, path: str, headers: Mapping[str, str], body: bytes) -> "Request":
        """Take the account off the path: a first segment that is neither `dbs` nor of the control plane."""
        segments = tuple(unquote(part) for part in path.partition("?")[0].split("/") if part)
        if segments and segments[0] not in {"dbs", "_test"}:
            return cls(method, segments[0], segments[1:], headers, body)
        return cls(method, "", segments, headers, body)

    def check(self) -> None:
        """Raise a 400 for a header that this server does not know, and a 413 for a body over 2 MB."""
        unknown = {name for name in self.headers if name.startswith("x-ms-")} - HARMLESS - UNDERSTOOD
        if unknown:
            raise bad_request(f"this server does not know the header {', '.join(sorted(unknown))}")
        if "a-im" in self.headers and self.segments[-1:] == ("docs",):
            raise bad_request("this server knows no change feed")
        if len(self.body) > MAX_REQUEST:
            raise too_large("the request", len(self.body), MAX_REQUEST)

    def json(self) -> Json:
        return loads(self.body)

    def says(self, header: str) -> bool:
        """Whether a header is sent and true."""
        return self.headers.get(header, "").lower() == "true"

    @property
    def page_size(self) -> int:
        asked = self.headers.get("x-ms-max-item-count", str(DEFAULT_PAGE))
        try:
            size = int(asked)
        except ValueError:
            size = 0
        if size != -1 and size < 1:
            raise bad_request(f"x-ms-max-item-count is {asked}, neither -1 nor a number from 1")
        return MAX_PAGE if size == -1 else min(size, MAX_PAGE)


@dataclass
class Response:
    """An answer: `content` is JSON, or None for an empty body."""

    status: int
    content: Json = None
    headers: dict[str, str] = field(default_factory=dict)
    charge: float = 1.0

    def body(self) -> bytes:
        return b"" if self.content is None else dumps(self.content)
