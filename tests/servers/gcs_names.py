"""Which names and custom metadata the service takes ("Bucket naming guidelines", "About objects", "Quotas and limits")."""

import re
from collections.abc import Mapping
from typing import Any

from tests.servers.gcs_errors import GcsError, bad_request

MAX_NAME = 1024
"""Bytes of an object's name in UTF-8."""
MAX_METADATA = 8 * 1024
"""Bytes of an object's custom metadata, keys and values in UTF-8."""
BUCKET = re.compile(r"(?!goog)(?!.*google)[a-z0-9][a-z0-9_-]{1,61}[a-z0-9]")
"""Without dots: names with dots are domains, which the service verifies."""
KMS_KEY = re.compile(r"projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+")
STORAGE_CLASSES = frozenset({"STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE"})


def check_bucket_name(name: Any) -> str:
    if not isinstance(name, str) or not BUCKET.fullmatch(name):
        raise bad_request(f"Invalid bucket name: '{name}'", code="InvalidBucketName")
    return name


def check_object_name(name: Any) -> str:
    """Return the name. Raises a 400 for one that the service does not take."""
    if not isinstance(name, str) or not name:
        raise bad_request("Required: the object's name", reason="required")
    if len(name.encode(errors="replace")) > MAX_NAME:
        raise bad_request(f"The object's name has more than {MAX_NAME} bytes", code="KeyTooLong")
    if name in {".", ".."} or {"\r", "\n"} & set(name) or name.startswith(".well-known/acme-challenge/"):
        raise _disallowed(name)
    if any("\ud800" <= letter <= "\udfff" for letter in name):
        raise _disallowed(name)
    return name


def _disallowed(name: str) -> GcsError:
    return bad_request(f"Disallowed unicode characters present in object name {name!a}", code="InvalidURI")


def check_metadata(metadata: Any) -> dict[str, str]:
    """Return custom metadata. Raises a 400 for what are no strings, and for more than 8 KiB."""
    if not isinstance(metadata, Mapping) or not all(isinstance(value, str) for value in metadata.values()):
        raise bad_request("The object's metadata is no map of strings")
    if sum(len(key.encode()) + len(value.encode()) for key, value in metadata.items()) > MAX_METADATA:
        raise bad_request(f"The object's metadata has more than {MAX_METADATA} bytes", code="MetadataTooLarge")
    return dict(metadata)


def check_storage_class(name: Any) -> str:
    if name not in STORAGE_CLASSES:
        raise bad_request(f"Invalid storage class {name}", code="InvalidStorageClass")
    return str(name)


def check_kms_key(name: str) -> str:
    """Return the name of a Cloud KMS key, "" for none. Raises a 400 for what is no such name; whether it exists is not known."""
    if name and not KMS_KEY.fullmatch(name):
        raise bad_request(f"Malformed Cloud KMS crypto key: {name}")
    return name
