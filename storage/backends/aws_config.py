"""What the config of every AWS driver says of where and as whom: fields in the same words, and the rules that tie them."""

from typing import Annotated, Final, Protocol

from pydantic import Field

from storage.config import Endpoint, Secret

_ROLE: Final = r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]{1,576}$"

Region = Annotated[
    str, Field(title="Region", pattern=r"^[a-z]{2,4}(-[a-z0-9]+)+-[0-9]{1,2}$", description="Such as eu-central-1.")
]
AccessKeyId = Annotated[
    Secret | None,
    Field(title="Access key ID", description="With its secret access key. Empty: the platform's own credentials."),
]
SecretAccessKey = Annotated[Secret | None, Field(title="Secret access key", description="Goes with the access key ID.")]
SessionToken = Annotated[
    Secret | None, Field(title="Session token", description="Of temporary keys only, which end with it.")
]
RoleArn = Annotated[
    str | None,
    Field(
        title="Role to assume",
        pattern=_ROLE,
        description="arn:aws:iam::<account>:role/<name>, assumed with the credentials above and renewed before it ends.",
    ),
]
ExternalId = Annotated[
    str | None,
    Field(
        title="External ID",
        pattern=r"^[A-Za-z0-9_+=,.@:/-]{2,1224}$",
        description="What the role's trust policy asks for, if it asks.",
    ),
]
AwsEndpoint = Annotated[
    Endpoint | None,
    Field(
        title="Endpoint", description="Another address than the region's own, such as a VPC endpoint or an emulator."
    ),
]
StsEndpoint = Annotated[
    Endpoint | None, Field(title="STS endpoint", description="The same for the service that hands out the role.")
]


class AwsAccess(Protocol):
    """Of a driver's config, what the SDK needs: the region, the addresses, and whose credentials."""

    @property
    def region(self) -> str: ...
    @property
    def access_key_id(self) -> Secret | None: ...
    @property
    def secret_access_key(self) -> Secret | None: ...
    @property
    def session_token(self) -> Secret | None: ...
    @property
    def role_arn(self) -> str | None: ...
    @property
    def external_id(self) -> str | None: ...
    @property
    def endpoint(self) -> str | None: ...
    @property
    def sts_endpoint(self) -> str | None: ...


def check_access(config: AwsAccess) -> None:
    """Raise ValueError for fields that do not go together."""
    if (config.access_key_id is None) != (config.secret_access_key is None):
        raise ValueError("access_key_id and secret_access_key go together")
    if config.session_token is not None and config.access_key_id is None:
        raise ValueError("session_token goes with access_key_id and secret_access_key")
    if config.role_arn is None and (config.external_id or config.sts_endpoint):
        raise ValueError("external_id and sts_endpoint go with role_arn")
