"""Buckets: the generations of their objects in the order of names, and the configuration that is kept but not acted on."""

from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tests.servers.gcs_clock import rfc3339
from tests.servers.gcs_errors import bad_request, conflict, no_object, not_modelled
from tests.servers.gcs_names import check_bucket_name, check_kms_key, check_storage_class
from tests.servers.gcs_objects import ObjectVersion

KEPT = frozenset({"cors", "encryption", "labels", "lifecycle", "storageClass", "versioning"})
"""What a bucket may be given. Lifecycle and CORS rules are shown and never run."""
FIXED = frozenset({"location", "locationType", "name", "iamConfiguration"})
OUTPUT_ONLY = frozenset(
    {"etag", "generation", "id", "kind", "metageneration", "projectNumber", "selfLink", "timeCreated", "updated"}
) | {"rpo", "softDeletePolicy"}


@dataclass
class Bucket:
    """A bucket. There is no soft delete: its policy says 0 seconds, while the service's own default is 7 days."""

    name: str
    created: int
    updated: int
    generation: int
    metageneration: int = 1
    location: str = "US"
    configuration: dict[str, Any] = field(default_factory=dict)
    _names: list[str] = field(default_factory=list)
    _versions: dict[str, list[ObjectVersion]] = field(default_factory=dict)

    @classmethod
    def parsed(cls, given: Mapping[str, Any], now: int) -> "Bucket":
        """Read a bucket resource. Raises a 400 for a wrong name, a 501 for fields that are not known here."""
        name = check_bucket_name(given.get("name"))
        bucket = cls(name, now, now, now, location=str(given.get("location") or "US").upper())
        bucket.configuration = _kept(given)
        return bucket

    def patch(self, given: Mapping[str, Any], now: int) -> None:
        """Change the configuration: null takes a field, or a label, away."""
        changed = {**self.configuration, **_kept(given)}
        if isinstance(given.get("labels"), Mapping):
            labels = {**self.configuration.get("labels", {}), **given["labels"]}
            changed["labels"] = {key: value for key, value in labels.items() if value is not None}
        self.replace(changed, now)

    def replace(self, given: Mapping[str, Any], now: int) -> None:
        """Set the whole configuration."""
        self.configuration = {name: value for name, value in _kept(given).items() if value is not None}
        self.updated = now
        self.metageneration += 1

    @property
    def storage_class(self) -> str:
        """What objects have that are given no class of their own."""
        return str(self.configuration.get("storageClass") or "STANDARD")

    @property
    def kms_key(self) -> str:
        """What objects are encrypted with that are given no key of their own; "" is Google's."""
        return str((self.configuration.get("encryption") or {}).get("defaultKmsKeyName") or "")

    @property
    def versioned(self) -> bool:
        return bool(self.configuration.get("versioning", {}).get("enabled"))

    @property
    def empty(self) -> bool:
        return not self._names

    def live(self, name: str) -> ObjectVersion | None:
        """Return the generation that is the object now."""
        versions = self._versions.get(name)
        return versions[-1] if versions and versions[-1].deleted is None else None

    def version(self, name: str, generation: int | None = None) -> ObjectVersion:
        """Return the object, or one of its generations. Raises a 404."""
        if generation is None:
            found = self.live(name)
        else:
            found = next((one for one in self._versions.get(name, ()) if one.generation == generation), None)
        if found is None:
            raise no_object(self.name, name, generation)
        return found

    def publish(self, version: ObjectVersion) -> None:
        """Let a new generation be the object."""
        self.retire(version.name, version.created)
        if version.name not in self._versions:
            insort(self._names, version.name)
        self._versions.setdefault(version.name, []).append(version)

    def retire(self, name: str, now: int) -> None:
        """End the object; a versioned bucket keeps it as a noncurrent generation."""
        current = self.live(name)
        if current is None:
            return
        if self.versioned:
            self._versions[name][-1] = replace(current, deleted=now)
        else:
            self.remove(current)

    def remove(self, version: ObjectVersion) -> None:
        """Forget a generation for good."""
        versions = self._versions[version.name]
        versions.remove(version)
        if not versions:
            del self._versions[version.name]
            del self._names[bisect_left(self._names, version.name)]

    def versions_from(self, name: str) -> Iterator[ObjectVersion]:
        """Yield all generations of this name and all later ones, by name (the order of UTF-8) and generation."""
        for index in range(bisect_left(self._names, name), len(self._names)):
            yield from self._versions[self._names[index]]

    def resource(self, base: str) -> dict[str, Any]:
        """Show it as the JSON API does ("Buckets: resource representation")."""
        return {
            "kind": "storage#bucket",
            "id": self.name,
            "selfLink": f"{base}/storage/v1/b/{self.name}",
            "projectNumber": "1",
            "name": self.name,
            "generation": str(self.generation),
            "metageneration": str(self.metageneration),
            "location": self.location,
            "locationType": "multi-region",
            "storageClass": "STANDARD",
            "etag": f"CA{self.metageneration}=",
            "timeCreated": rfc3339(self.created),
            "updated": rfc3339(self.updated),
            "softDeletePolicy": {"retentionDurationSeconds": "0", "effectiveTime": rfc3339(self.created)},
            "iamConfiguration": {"uniformBucketLevelAccess": {"enabled": True}, "publicAccessPrevention": "enforced"},
            **self.configuration,
        }


def _kept(given: Mapping[str, Any]) -> dict[str, Any]:
    unknown = {name for name in given.keys() - KEPT - FIXED - OUTPUT_ONLY if given[name] is not None}
    if unknown:
        raise not_modelled(f"the field {', '.join(sorted(unknown))} of a bucket")
    if given.get("storageClass") is not None:
        check_storage_class(given["storageClass"])
    _check_encryption(given.get("encryption") or {})
    _check_iam_configuration(given.get("iamConfiguration") or {})
    for name, kind in (("labels", Mapping), ("versioning", Mapping), ("lifecycle", Mapping), ("cors", list)):
        if given.get(name) is not None and not isinstance(given[name], kind):
            raise bad_request(f"Invalid value for {name}")
    return {name: given[name] for name in KEPT if name in given}


def _check_encryption(given: Mapping[str, Any]) -> None:
    if given.keys() - {"defaultKmsKeyName"}:
        raise not_modelled("a bucket's encryption other than defaultKmsKeyName")
    check_kms_key(given.get("defaultKmsKeyName") or "")


def _check_iam_configuration(given: Mapping[str, Any]) -> None:
    uniform = (given.get("uniformBucketLevelAccess") or {}).get("enabled", True)
    if not uniform or given.get("publicAccessPrevention", "enforced") != "enforced":
        raise not_modelled("ACLs of objects, and public access")


@dataclass
class Buckets:
    """All buckets, by name."""

    named: dict[str, Bucket] = field(default_factory=dict)

    def add(self, bucket: Bucket) -> None:
        """Raises a 409 for a name that is taken."""
        if bucket.name in self.named:
            message = "Your previous request to create the named bucket succeeded and you already own it."
            raise conflict(message, "BucketAlreadyOwnedByYou")
        self.named[bucket.name] = bucket

    def remove(self, bucket: Bucket) -> None:
        """Raises a 409 for a bucket with objects in it, noncurrent ones too."""
        if not bucket.empty:
            raise conflict("The bucket you tried to delete is not empty.", "BucketNotEmpty")
        del self.named[bucket.name]
