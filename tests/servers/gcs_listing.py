"""Lists of objects in the order of their names, cut into pages at which prefixes count as objects do ("Objects: list")."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.servers.gcs_buckets import Bucket
from tests.servers.gcs_errors import bad_request, not_modelled
from tests.servers.gcs_objects import ObjectVersion
from tests.servers.gcs_requests import Request, flag, number

MAX_PAGE = 1000
"""Results of a page when the request names no number, and the most."""
PARAMETERS = frozenset(
    {
        "delimiter",
        "endOffset",
        "includeTrailingDelimiter",
        "maxResults",
        "pageToken",
        "prefix",
        "projection",
        "startOffset",
        "versions",
    }
)
AFTER_EVERY_NAME = "\U0010ffff"
"""Greater than every letter that follows a prefix, as a name's letters go."""


@dataclass(frozen=True)
class Listing:
    """What is asked for; `token` is the name and the generation after which this page begins."""

    prefix: str
    delimiter: str
    start: str
    end: str | None
    versions: bool
    trailing: bool
    limit: int
    token: tuple[str, int]

    @classmethod
    def parsed(cls, request: Request, page_limit: int) -> "Listing":
        """Read the query. Raises a 400 for a token that is none, a 501 for matchGlob and other filters."""
        parameters = request.only(PARAMETERS)
        asked = number(parameters, "maxResults")
        if asked == 0:
            raise not_modelled("a page of 0 results")
        if parameters.get("projection", "noAcl") not in {"noAcl", "full"}:
            raise bad_request("Invalid value for projection")
        return cls(
            prefix=parameters.get("prefix", ""),
            delimiter=parameters.get("delimiter", ""),
            start=parameters.get("startOffset", ""),
            end=parameters.get("endOffset") or None,
            versions=flag(parameters, "versions"),
            trailing=flag(parameters, "includeTrailingDelimiter"),
            limit=min(asked or MAX_PAGE, page_limit),
            token=_parse_token(parameters.get("pageToken", "")),
        )

    def page(self, bucket: Bucket, base: str) -> dict[str, Any]:
        """Return one page as the JSON API shows it."""
        items: list[dict[str, Any]] = []
        prefixes: list[str] = []
        last = self.token
        shown: dict[str, Any] = {"kind": "storage#objects"}
        for version, prefix in self._results(bucket):
            if len(items) + len(prefixes) >= self.limit:
                shown["nextPageToken"] = _token(last)
                break
            if prefix:
                prefixes.append(prefix)
                last = (prefix + AFTER_EVERY_NAME, 0)
            if version:
                items.append(version.resource(base))
                last = max(last, (version.name, version.generation))
        return {**shown, **({"prefixes": prefixes} if prefixes else {}), **({"items": items} if items else {})}

    def _results(self, bucket: Bucket) -> Iterator[tuple[ObjectVersion | None, str]]:
        """Yield objects, and prefixes once each; both at once where an object is its own prefix and asked for."""
        known = ""
        for version in bucket.versions_from(max(self.prefix, self.start, self.token[0])):
            if not version.name.startswith(self.prefix) or (self.end is not None and version.name >= self.end):
                return
            if (version.name, version.generation) <= self.token or not (self.versions or version.deleted is None):
                continue
            prefix = self._prefix_of(version.name)
            if not prefix:
                yield version, ""
            elif prefix != known:
                known = prefix
                yield (version if self.trailing and version.name == prefix else None), prefix

    def _prefix_of(self, name: str) -> str:
        if not self.delimiter:
            return ""
        before, found, _ = name[len(self.prefix) :].partition(self.delimiter)
        return f"{self.prefix}{before}{found}" if found else ""


def _token(last: tuple[str, int]) -> str:
    return base64.urlsafe_b64encode(json.dumps(last).encode()).decode()


def _parse_token(token: str) -> tuple[str, int]:
    if not token:
        return "", 0
    try:
        name, generation = json.loads(base64.urlsafe_b64decode(token))
    except ValueError:
        raise bad_request("Invalid value for pageToken") from None
    return str(name), int(generation)
