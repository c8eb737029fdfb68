"""The config of the DynamoDB driver: which table of which region, with which credentials, paid for how."""

from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field, model_validator

from storage.config import BackendConfig, Endpoint, Secret

PROVISIONED: Final = "PROVISIONED"

_ROLE: Final = r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]{1,576}$"

Units = Annotated[int, Field(ge=1, le=40_000)]
"""Capacity units of one table: AWS grants 40,000 without asking."""


class DynamoDBConfig(BackendConfig):
    """Where documents lie, and who asks. Reads are always strongly consistent: what is built on documents needs it.

    Without keys the platform's own credentials are used: the role of the instance, the container or the pod, or what its
    environment says. The region and the address come from here alone.
    """

    location_fields: ClassVar[frozenset[str]] = frozenset({"endpoint", "region", "table_name"})

    region: Annotated[
        str, Field(title="Region", pattern=r"^[a-z]{2,4}(-[a-z0-9]+)+-[0-9]{1,2}$", description="Such as eu-central-1.")
    ]
    table_name: Annotated[
        str,
        Field(
            title="Table",
            pattern=r"^[A-Za-z0-9_.-]{3,255}$",
            description="Holds all of the route's documents. Created by `routes prepare` where it is missing.",
        ),
    ] = "northstar"
    access_key_id: Annotated[
        Secret | None,
        Field(title="Access key ID", description="With its secret access key. Empty: the platform's own credentials."),
    ] = None
    secret_access_key: Annotated[
        Secret | None, Field(title="Secret access key", description="Goes with the access key ID.")
    ] = None
    session_token: Annotated[
        Secret | None, Field(title="Session token", description="Of temporary keys only, which end with it.")
    ] = None
    role_arn: Annotated[
        str | None,
        Field(
            title="Role to assume",
            pattern=_ROLE,
            description="arn:aws:iam::<account>:role/<name>, assumed with the credentials above and renewed before it ends.",
        ),
    ] = None
    external_id: Annotated[
        str | None,
        Field(
            title="External ID",
            pattern=r"^[A-Za-z0-9_+=,.@:/-]{2,1224}$",
            description="What the role's trust policy asks for, if it asks.",
        ),
    ] = None
    endpoint: Annotated[
        Endpoint | None,
        Field(
            title="Endpoint",
            description="Another address than the region's own, such as a VPC endpoint or an emulator.",
        ),
    ] = None
    sts_endpoint: Annotated[
        Endpoint | None, Field(title="STS endpoint", description="The same for the service that hands out the role.")
    ] = None
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
        if (self.access_key_id is None) != (self.secret_access_key is None):
            raise ValueError("access_key_id and secret_access_key go together")
        if self.session_token is not None and self.access_key_id is None:
            raise ValueError("session_token goes with access_key_id and secret_access_key")
        if self.role_arn is None and (self.external_id or self.sts_endpoint):
            raise ValueError("external_id and sts_endpoint go with role_arn")
        if {self.read_units is None, self.write_units is None} != {self.billing_mode != PROVISIONED}:
            raise ValueError("read_units and write_units go with billing_mode PROVISIONED, both, and only with it")
        return self
