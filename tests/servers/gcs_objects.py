"""One generation of an object: its content, the fields that clients set, and how both APIs show them."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from tests.servers.gcs_clock import http_date, rfc3339
from tests.servers.gcs_contents import Content
from tests.servers.gcs_errors import bad_request, not_modelled
from tests.servers.gcs_names import check_metadata, check_storage_class

PLAIN_FIELDS = {
    "cacheControl": "cache-control",
    "contentDisposition": "content-disposition",
    "contentEncoding": "content-encoding",
    "contentLanguage": "content-language",
    "contentType": "content-type",
}
"""Strings that clients set, and the headers that say the same."""
CHECKSUMS = frozenset({"md5Hash", "crc32c"})
OUTPUT_ONLY = frozenset(
    {
        "bucket",
        "componentCount",
        "etag",
        "generation",
        "id",
        "kind",
        "kmsKeyName",
        "mediaLink",
        "metageneration",
        "name",
        "selfLink",
        "size",
        "timeCreated",
        "timeDeleted",
        "timeFinalized",
        "timeStorageClassUpdated",
        "updated",
    }
)
"""Fields that the service sets; what a client sends in them has no effect."""
DEFAULT_TYPE = "application/octet-stream"


@dataclass(frozen=True)
class Fields:
    """What clients set. The storage class is set at the upload and changed by a rewrite only."""

    plain: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    custom_time: str = ""
    storage_class: str = ""
    """Empty until the bucket's own has been taken for it."""

    @classmethod
    def parsed(cls, given: Mapping[str, Any]) -> "Fields":
        """Read an object resource. Raises a 400 for wrong values and a 501 for fields that are not known here."""
        _refuse_unknown(given)
        plain = {name: _string(name, given[name]) for name in PLAIN_FIELDS if given.get(name) is not None}
        metadata = check_metadata(given.get("metadata") or {})
        storage_class = check_storage_class(given["storageClass"]) if given.get("storageClass") else ""
        return cls(plain, metadata, _string("customTime", given.get("customTime") or ""), storage_class)

    def patched(self, given: Mapping[str, Any]) -> "Fields":
        """Return these with changes: null takes a field, or a key of the metadata, away."""
        _refuse_unknown(given)
        if given.get("storageClass", self.storage_class) != self.storage_class:
            raise bad_request("The storage class of an object is changed by a rewrite")
        plain = {**self.plain, **{name: given[name] for name in PLAIN_FIELDS if name in given}}
        metadata = {**self.metadata, **(given.get("metadata") or {})}
        if "metadata" in given and given["metadata"] is None:
            metadata = {}
        return Fields.parsed(
            {
                **plain,
                "metadata": {key: value for key, value in metadata.items() if value is not None},
                "customTime": given.get("customTime", self.custom_time),
                "storageClass": self.storage_class,
            }
        )

    def typed(self, content_type: str) -> "Fields":
        """Return these with the content type of the upload where they name none."""
        return replace(self, plain={"contentType": content_type or DEFAULT_TYPE, **self.plain})


def _refuse_unknown(given: Mapping[str, Any]) -> None:
    known = {*PLAIN_FIELDS, *CHECKSUMS, *OUTPUT_ONLY, "metadata", "customTime", "storageClass"}
    unknown = {name for name in given.keys() - known if given[name] not in (None, [], False)}
    if unknown:
        raise not_modelled(f"the field {', '.join(sorted(unknown))} of an object")


def _string(name: str, value: Any) -> str:
    if not isinstance(value, str) or {"\r", "\n"} & set(value):
        raise bad_request(f"Invalid value for {name}")
    return value


@dataclass(eq=False)
class ObjectVersion:
    """A generation. `components` counts the parts of a composed object, which has no MD5."""

    bucket: str
    name: str
    generation: int
    created: int
    updated: int
    content: Content
    fields: Fields
    metageneration: int = 1
    deleted: int | None = None
    components: int = 0
    kms_key: str = ""

    @property
    def etag(self) -> str:
        return base64.b64encode(f"{self.generation}/{self.metageneration}".encode()).decode()

    def resource(self, base: str) -> dict[str, Any]:
        """Show it as the JSON API does ("Objects: resource representation")."""
        path = f"b/{self.bucket}/o/{quote(self.name, safe='')}"
        shown = {
            "kind": "storage#object",
            "id": f"{self.bucket}/{self.name}/{self.generation}",
            "selfLink": f"{base}/storage/v1/{path}",
            "mediaLink": f"{base}/download/storage/v1/{path}?generation={self.generation}&alt=media",
            "name": self.name,
            "bucket": self.bucket,
            "generation": str(self.generation),
            "metageneration": str(self.metageneration),
            "size": str(self.content.size),
            "crc32c": self.content.crc32c,
            "etag": self.etag,
            "storageClass": self.fields.storage_class,
            "timeCreated": rfc3339(self.created),
            "timeFinalized": rfc3339(self.created),
            "timeStorageClassUpdated": rfc3339(self.created),
            "updated": rfc3339(self.updated),
            **self.fields.plain,
        }
        return {**shown, **self._sometimes()}

    def _sometimes(self) -> dict[str, Any]:
        return {
            **({"componentCount": self.components} if self.components else {"md5Hash": self.content.md5}),
            **({"metadata": dict(self.fields.metadata)} if self.fields.metadata else {}),
            **({"customTime": self.fields.custom_time} if self.fields.custom_time else {}),
            **({"timeDeleted": rfc3339(self.deleted)} if self.deleted else {}),
            **({"kmsKeyName": f"{self.kms_key}/cryptoKeyVersions/1"} if self.kms_key else {}),
        }

    def xml_headers(self) -> dict[str, str]:
        """Show it as the XML API does ("HTTP headers and query string parameters for XML API")."""
        return {**self.headers(), **{f"x-goog-meta-{key}": value for key, value in self.fields.metadata.items()}}

    def headers(self) -> dict[str, str]:
        """Show it as downloads of the JSON API do, which tell no custom metadata (documented by Google's Go client)."""
        md5 = "" if self.components else f",md5={self.content.md5}"
        return {
            "etag": f'"{self.etag}"' if self.components else f'"{base64.b64decode(self.content.md5).hex()}"',
            "last-modified": http_date(self.updated),
            "x-goog-generation": str(self.generation),
            "x-goog-metageneration": str(self.metageneration),
            "x-goog-hash": f"crc32c={self.content.crc32c}{md5}",
            "x-goog-storage-class": self.fields.storage_class,
            "x-goog-stored-content-encoding": self.fields.plain.get("contentEncoding", "identity"),
            "x-goog-stored-content-length": str(self.content.size),
            **({"x-goog-component-count": str(self.components)} if self.components else {}),
        }
