"""The config of the S3 driver: which bucket of which region, with which credentials, stored how, and read where else."""

from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from storage.backends.aws_config import (
    AccessKeyId,
    AwsEndpoint,
    ExternalId,
    Region,
    RoleArn,
    SecretAccessKey,
    SessionToken,
    StsEndpoint,
    check_access,
)
from storage.backends.blob_config import Prefix
from storage.config import BackendConfig

Bucket = Annotated[
    str,
    Field(
        title="Bucket",
        pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$",
        description="Holds all of the route's objects. Created by `routes prepare` where it is missing.",
    ),
]


class Replica(BaseModel):
    """A bucket in another region that S3 replicates the route's bucket to. Its credentials are the route's."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    region: Region
    bucket: Bucket
    endpoint: AwsEndpoint = None


class S3Config(BackendConfig):
    """Where objects lie, and who asks.

    Without keys the platform's own credentials are used: the role of the instance, the container or the pod, or what its
    environment says. The region and the address come from here alone.
    """

    location_fields: ClassVar[frozenset[str]] = frozenset({"bucket", "endpoint", "prefix", "region"})
    shelf_fields: ClassVar[frozenset[str]] = frozenset({"bucket", "prefix"})

    region: Region
    bucket: Bucket
    prefix: Prefix = ""
    access_key_id: AccessKeyId = None
    secret_access_key: SecretAccessKey = None
    session_token: SessionToken = None
    role_arn: RoleArn = None
    external_id: ExternalId = None
    endpoint: AwsEndpoint = None
    sts_endpoint: StsEndpoint = None
    storage_class: Annotated[
        Literal["STANDARD", "INTELLIGENT_TIERING", "STANDARD_IA", "ONEZONE_IA", "GLACIER_IR"],
        Field(title="Storage class", description="Of objects that are written from now on. All of these read at once."),
    ] = "STANDARD"
    encryption: Annotated[
        Literal["bucket", "AES256", "aws:kms"],
        Field(
            title="Encryption", description="Of objects that are written: the bucket's own default, or one of these."
        ),
    ] = "bucket"
    kms_key_id: Annotated[
        str | None,
        Field(
            title="KMS key",
            pattern=r"^[A-Za-z0-9:/_-]{1,2048}$",
            description="With encryption aws:kms: the key's ARN or alias. Empty: the account's own key for S3.",
        ),
    ] = None
    bucket_key: Annotated[
        bool, Field(title="Bucket key", description="With encryption aws:kms: far fewer calls of KMS, which cost.")
    ] = True
    replicas: Annotated[
        list[Replica],
        Field(
            title="Replica regions",
            description='Buckets that reads fall over to, in this order, while the region is down: [{"region": …, "bucket": …}]. '
            "S3 must replicate to them. Answers from one carry X-Northstar-Replica; writes never go there.",
            max_length=5,
        ),
    ] = []

    @model_validator(mode="after")
    def _check_together(self) -> "S3Config":
        check_access(self)
        if self.encryption != "aws:kms" and self.kms_key_id is not None:
            raise ValueError("kms_key_id goes with encryption aws:kms")
        regions = [self.region, *(replica.region for replica in self.replicas)]
        if len(set(regions)) < len(regions):
            raise ValueError("replicas lie in other regions than the bucket, each in one of its own")
        return self

    def stored_as(self) -> dict[str, str]:
        """Return the headers that say how an object is to be stored."""
        storage_class: dict[str, str] = {"x-amz-storage-class": self.storage_class}
        return (storage_class if self.storage_class != "STANDARD" else {}) | self.encrypted_as()

    def encrypted_as(self) -> dict[str, str]:
        """Return the headers that say how bytes are to be encrypted, of which presigned uploads need no more."""
        if self.encryption == "bucket":
            return {}
        headers: dict[str, str] = {"x-amz-server-side-encryption": self.encryption}
        if self.encryption == "aws:kms":
            headers["x-amz-server-side-encryption-bucket-key-enabled"] = str(self.bucket_key).lower()
            if self.kms_key_id:
                headers["x-amz-server-side-encryption-aws-kms-key-id"] = self.kms_key_id
        return headers
