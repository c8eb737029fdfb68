"""The calls of S3 that the driver needs, on one bucket, each sent once."""

import hashlib
from base64 import b64encode
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Final
from urllib.parse import quote
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from storage.backends.s3_connections import Incoming
from storage.backends.s3_errors import BucketIsThere, NotThere, UploadGone, not_of_s3, refusal_in
from storage.backends.s3_http import Answer, Request, S3Http, of_request
from storage.backends.s3_listed import Listing, Upload, listing_in, moment_of, uploads_in

WORK_SECONDS: Final = 30.0
"""How long S3 may work on a copy or a completion in silence."""
CHECKED: Final = {"x-amz-checksum-algorithm": "SHA256"}
"""Of an upload whose parts come with their checksums, which completing it must name again ("CreateMultipartUpload", S3 API)."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What S3 said of a write: the object's ETag, and when; a put is told the time of the answer."""

    etag: str
    when: datetime


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes on their way, and their SHA-256."""

    data: bytes
    digest: bytes

    @classmethod
    def of(cls, data: bytes) -> "Part":
        return cls(data, hashlib.sha256(data).digest())

    @property
    def checksum(self) -> str:
        """As S3's headers have it."""
        return b64encode(self.digest).decode()


@dataclass(frozen=True, slots=True)
class SentPart:
    """What completing an upload names a part by. A part that was copied has no checksum of ours."""

    etag: str
    checksum: str = ""

    def told(self, number: int) -> str:
        """Return it as XML."""
        checksum = f"<ChecksumSHA256>{self.checksum}</ChecksumSHA256>" if self.checksum else ""
        return f"<Part><PartNumber>{number}</PartNumber><ETag>{escape(self.etag)}</ETag>{checksum}</Part>"


class S3Bucket:
    """One bucket in one region. Every call raises as `S3Http.opened`; those on an object, NotThere."""

    def __init__(self, http: S3Http) -> None:
        self.http = http
        self._is_there = False

    @property
    def name(self) -> str:
        return self.http.bucket

    @property
    def region(self) -> str:
        return self.http.region

    def put(self, name: str, part: Part, headers: Mapping[str, str]) -> Sent:
        """Store an object in one request; S3 holds the bytes to their SHA-256. Raises ConditionFailed or Contended."""
        answer = self._write("PutObject", name, part, headers, {})
        return Sent(etag_in(answer.headers), date_of(answer.headers["date"]))

    def get(self, name: str, byte_range: str = "") -> Incoming:
        """Open an object, or a range of it, and return the answer, yet to be read. Raises BeyondTheEnd."""
        headers = {"range": byte_range} if byte_range else {}
        return self.http.opened(Request("GetObject", "GET", name, headers=headers))

    def head(self, name: str, *, checksum: bool = False) -> Mapping[str, str] | None:
        """Return the headers of an object, or None; among them, where asked for, the checksum that S3 has verified."""
        headers = {"x-amz-checksum-mode": "ENABLED"} if checksum else {}
        try:
            answer = self.http.send(Request("HeadObject", "HEAD", name, headers=headers))
        except NotThere:
            self._check_bucket()
            return None
        self._is_there = True
        return answer.headers

    def delete(self, name: str, *, etag: str | None = None) -> None:
        """Remove an object; with an ETag, it must be there and have it. Raises NotThere or ConditionFailed then only."""
        self.http.send(Request("DeleteObject", "DELETE", name, headers={"if-match": f'"{etag}"'} if etag else {}))

    def copy(self, source: str, target: str, headers: Mapping[str, str], *, etag: str) -> Sent:
        """Copy up to 5 GiB in one request, with new headers; the source must have the ETag. Raises ConditionFailed."""
        sent = {**headers, **self._source(source, etag), "x-amz-metadata-directive": "REPLACE"}
        request = Request("CopyObject", "PUT", target, headers=sent, seconds=WORK_SECONDS)
        root = self._xml(request, self.http.send(request))
        return Sent(_text(root, "ETag").strip('"'), moment_of(_text(root, "LastModified")))

    def begin(self, name: str, headers: Mapping[str, str]) -> str:
        """Begin an upload in parts of an object with these headers, and return its id.

        CHECKED is among them if its parts are sent: S3 refuses their checksums in an upload that does not tell the algorithm.
        """
        request = Request("CreateMultipartUpload", "POST", name, query={"uploads": ""}, headers=headers)
        return _text(self._xml(request, self.http.send(request)), "UploadId")

    def put_part(self, name: str, upload_id: str, number: int, part: Part) -> SentPart:
        """Send a part, the first being 1; S3 holds it to its SHA-256."""
        query = {"partNumber": str(number), "uploadId": upload_id}
        return SentPart(etag_in(self._write("UploadPart", name, part, {}, query).headers), part.checksum)

    def copy_part(
        self, source: str, name: str, upload_id: str, number: int, *, etag: str, byte_range: str = ""
    ) -> SentPart:
        """Make a part of an object's bytes, or of a range of them. Raises ConditionFailed."""
        headers = self._source(source, etag) | ({"x-amz-copy-source-range": byte_range} if byte_range else {})
        query = {"partNumber": str(number), "uploadId": upload_id}
        request = Request("UploadPartCopy", "PUT", name, query=query, headers=headers, seconds=WORK_SECONDS)
        return SentPart(_text(self._xml(request, self.http.send(request)), "ETag").strip('"'))

    def complete(self, name: str, upload_id: str, parts: Sequence[SentPart], conditions: Mapping[str, str]) -> Sent:
        """Publish an upload in parts as the object. Raises ConditionFailed, Contended or UploadGone."""
        told = "".join(part.told(number) for number, part in enumerate(parts, 1))
        body = f"<CompleteMultipartUpload>{told}</CompleteMultipartUpload>".encode()
        request = Request(
            "CompleteMultipartUpload",
            "POST",
            name,
            query={"uploadId": upload_id},
            headers=conditions,
            body=body,
            payload_sha256=hashlib.sha256(body).hexdigest(),
            seconds=WORK_SECONDS,
        )
        answer = self.http.send(request)
        return Sent(_text(self._xml(request, answer), "ETag").strip('"'), date_of(answer.headers["date"]))

    def abort(self, name: str, upload_id: str) -> None:
        """Give an upload up and free its parts; one that has ended is none any more."""
        with suppress(UploadGone):
            self.http.send(Request("AbortMultipartUpload", "DELETE", name, query={"uploadId": upload_id}))

    def names(self, prefix: str, *, delimiter: str = "", after: str = "", limit: int = 1000) -> Listing:
        """List names in the byte order of their UTF-8."""
        query = {"list-type": "2", "encoding-type": "url", "max-keys": str(limit), "prefix": prefix}
        query |= {name: value for name, value in {"delimiter": delimiter, "start-after": after}.items() if value}
        request = Request("ListObjectsV2", "GET", query=query)
        return listing_in(self._xml(request, self.http.send(request)))

    def uploads(
        self, prefix: str, *, after: tuple[str, str] | None = None
    ) -> tuple[list[Upload], tuple[str, str] | None]:
        """List uploads in parts that have not ended, a page of them, and return what the next page begins after."""
        query = {"uploads": "", "encoding-type": "url", "prefix": prefix}
        if after is not None:
            query |= {"key-marker": after[0], "upload-id-marker": after[1]}
        request = Request("ListMultipartUploads", "GET", query=query)
        return uploads_in(self._xml(request, self.http.send(request)))

    def create(self) -> None:
        """Create the bucket in its region, unless the account has it."""
        place = "" if self.region == "us-east-1" else f"<LocationConstraint>{self.region}</LocationConstraint>"
        body = f"<CreateBucketConfiguration>{place}</CreateBucketConfiguration>".encode() if place else b""
        digest = hashlib.sha256(body).hexdigest()
        with suppress(BucketIsThere):
            self.http.send(Request("CreateBucket", "PUT", body=body, payload_sha256=digest, seconds=WORK_SECONDS))
        self._is_there = True

    def _write(
        self, operation: str, name: str, part: Part, headers: Mapping[str, str], query: Mapping[str, str]
    ) -> Answer:
        sent = {**headers, "x-amz-checksum-sha256": part.checksum}
        return self.http.send(Request(operation, "PUT", name, query, sent, part.data, part.digest.hex()))

    def _source(self, name: str, etag: str) -> dict[str, str]:
        source = f"/{self.name}/{quote(name, safe='/-_.~')}"
        return {"x-amz-copy-source": source, "x-amz-copy-source-if-match": f'"{etag}"'}

    def _check_bucket(self) -> None:
        """Tell an object that is not there from a bucket that is not: HEAD has no body to say which. Asked once."""
        if not self._is_there:
            self.names("", limit=1)
            self._is_there = True

    def _xml(self, request: Request, answer: Answer) -> ET.Element:
        """Return the answer's document. A copy and a completion begin with 200 and may still end in an error."""
        try:
            root = ET.fromstring(answer.body)  # noqa: S314 - as the SDK reads it, with the same parser
        except ET.ParseError:
            with of_request(request):
                raise not_of_s3() from None
        if root.tag == "Error":
            with of_request(request):
                raise refusal_in(request.operation, 500, answer.headers, answer.body).raised(self.http)
        return root


def _text(root: ET.Element, name: str) -> str:
    return root.findtext(f"{{*}}{name}") or ""


def etag_in(headers: Mapping[str, str]) -> str:
    """Return the bare ETag."""
    return headers["etag"].strip('"')


@lru_cache(maxsize=256)
def date_of(text: str) -> datetime:
    """Return the moment of an HTTP date, to the second."""
    return parsedate_to_datetime(text).astimezone(UTC)
