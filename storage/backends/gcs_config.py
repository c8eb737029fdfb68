"""The config of the Cloud Storage driver: which bucket, with which credentials, at which address, stored how."""

from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from storage.backends.blob_config import Prefix
from storage.config import BackendConfig, Endpoint, Secret

_BUCKET: Final = r"^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$"
"""As Cloud Storage names buckets ("Bucket naming guidelines"): up to 63 characters, or 222 with dots."""
_ACCOUNT: Final = r"^[a-z0-9-]+@[a-z0-9.-]+$"
_KMS_KEY: Final = r"^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$"


class GcsConfig(BackendConfig):
    """Where objects lie, and who asks. Only the bucket has to be given.

    Without a key the platform's own credentials are used. The address comes from here alone, never from an SDK's variable.
    """

    location_fields: ClassVar[frozenset[str]] = frozenset({"bucket", "endpoint", "prefix"})
    shelf_fields: ClassVar[frozenset[str]] = frozenset({"bucket", "prefix"})

    bucket: Annotated[
        str,
        Field(
            pattern=_BUCKET,
            title="Bucket",
            description="Holds all of the route's objects. Created by `routes prepare` where it is missing.",
        ),
    ]
    prefix: Prefix = ""
    credentials_json: Annotated[
        Secret | None,
        Field(
            title="Service account key",
            description="The JSON of a key whose account has the role Storage Object User on the bucket. Empty: the platform's "
            "own chain (workload identity, the machine's service account).",
        ),
    ] = None
    signing_account: Annotated[
        str | None,
        Field(
            pattern=_ACCOUNT,
            title="Signing account",
            description="Without a key: the e-mail of the service account in whose name IAM signs URLs. The platform's identity "
            "needs the role Service Account Token Creator on it. Empty: that identity's own account.",
        ),
    ] = None
    endpoint: Annotated[
        Endpoint | None,
        Field(
            title="Endpoint",
            description="Another address than Google's, from the deployment's list, such as a regional or private one. A plain "
            "http address is an emulator's: it gets no credentials.",
        ),
    ] = None
    project: Annotated[
        str | None,
        Field(
            pattern=r"^[a-z0-9][a-z0-9.:-]{1,98}[a-z0-9]$",
            title="Project",
            description="Where `routes prepare` creates the bucket. Empty: the project of the service account key.",
        ),
    ] = None
    bucket_location: Annotated[
        str | None,
        Field(
            pattern=r"^[A-Za-z0-9-]{2,40}$",
            title="Location",
            description="Of a bucket that `routes prepare` creates, such as EU or europe-west3; an existing one stays.",
        ),
    ] = None
    storage_class: Annotated[
        Literal["STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE"] | None,
        Field(title="Storage class", description="Of each object that is written. Empty: the bucket's default."),
    ] = None
    kms_key: Annotated[
        str | None,
        Field(
            pattern=_KMS_KEY,
            title="KMS key",
            description="projects/…/locations/…/keyRings/…/cryptoKeys/…, with which each object is encrypted, and by default "
            "a bucket that `routes prepare` creates. Empty: as the bucket says.",
        ),
    ] = None
