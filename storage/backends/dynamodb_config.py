"""The config of the DynamoDB driver: which table of which region, with which credentials, paid for how."""

from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field, model_validator

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
from storage.config import BackendConfig

PROVISIONED: Final = "PROVISIONED"

Units = Annotated[int, Field(ge=1, le=40_000)]
"""Capacity units of one table: AWS grants 40,000 without asking."""


class DynamoDBConfig(BackendConfig):
    """Where documents lie, and who asks. Reads are always strongly consistent: what is built on documents needs it.

    Without keys the platform's own credentials are used: the role of the instance, the container or the pod, or what its
    environment says. The region and the address come from here alone.
    """

    location_fields: ClassVar[frozenset[str]] = frozenset(
        {"endpoint", "region", "table_name", "table_per_collection", "table_suffix"}
    )

    region: Region
    table_name: Annotated[
        str,
        Field(
            title="Table",
            pattern=r"^[A-Za-z0-9_.-]{3,255}$",
            description="Holds all of the route's documents. Created by `routes prepare` where it is missing.",
        ),
    ] = "northstar"
    table_per_collection: Annotated[
        bool,
        Field(
            title="A table per collection",
            description="For a kind that keeps several collections, such as rules: a table of its own for each, "
            "by its name, instead of the one table above.",
        ),
    ] = False
    table_suffix: Annotated[
        str,
        Field(
            title="Suffix of these tables",
            pattern=r"^[A-Za-z0-9_.-]{0,100}$",
            description="Ends the name of each, such as -test.",
        ),
    ] = ""
    access_key_id: AccessKeyId = None
    secret_access_key: SecretAccessKey = None
    session_token: SessionToken = None
    role_arn: RoleArn = None
    external_id: ExternalId = None
    endpoint: AwsEndpoint = None
    sts_endpoint: StsEndpoint = None
    billing_mode: Annotated[
        Literal["PAY_PER_REQUEST", "PROVISIONED"],
        Field(
            title="Billing mode",
            description="Of a table that `routes prepare` creates; an existing one stays as it is.",
        ),
    ] = "PAY_PER_REQUEST"
    read_units: Annotated[
        Units | None, Field(title="Read capacity units", description="With billing mode PROVISIONED only.")
    ] = None
    write_units: Annotated[
        Units | None, Field(title="Write capacity units", description="With billing mode PROVISIONED only.")
    ] = None
    point_in_time_recovery: Annotated[
        bool,
        Field(
            title="Point-in-time recovery",
            description="Let `routes prepare` turn it on: the table can then be restored to any second of the last 35 days.",
        ),
    ] = False

    @model_validator(mode="after")
    def _check_together(self) -> "DynamoDBConfig":
        check_access(self)
        if self.table_suffix and not self.table_per_collection:
            raise ValueError("table_suffix goes with table_per_collection")
        if {self.read_units is None, self.write_units is None} != {self.billing_mode != PROVISIONED}:
            raise ValueError("read_units and write_units go with billing_mode PROVISIONED, both, and only with it")
        return self
