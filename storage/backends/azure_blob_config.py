"""The config of the Azure Blob Storage driver: which account and container, with which credentials, stored how."""

import ipaddress
import re
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, TypeAdapter, ValidationError, model_validator

from northstar.errors import InvalidConfig
from storage.backends.azure_identity import ClientId, ClientSecret, EntraTenant
from storage.config import BackendConfig, Endpoint, Secret, reveal

_ACCOUNT: Final = r"^[a-z0-9]{3,24}$"
_CONTAINER: Final = r"^[a-z0-9](-?[a-z0-9])+$"
_PREFIX: Final = r"^([A-Za-z0-9][A-Za-z0-9_.@+=,-]*/)*$"
_AZURE: Final = re.compile(
    r"https://([a-z0-9]{3,24})(\.z[0-9]{1,2})?\.blob\."
    r"(core\.windows\.net|core\.usgovcloudapi\.net|core\.chinacloudapi\.cn|storage\.azure\.net)(:443)?/?"
)
"""An account of the public cloud, of the United States government or of China, or one with a DNS zone of its own."""
_LISTED: Final[TypeAdapter[str]] = TypeAdapter(Endpoint)


def _check_endpoint(value: str) -> str:
    return value if _AZURE.fullmatch(value) else _LISTED.validate_python(value)


AccountEndpoint = Annotated[str, AfterValidator(_check_endpoint)]
"""The address of an Azure account; any other only when it is in NORTHSTAR_ALLOWED_ENDPOINTS."""
_ENDPOINT: Final[TypeAdapter[str]] = TypeAdapter(AccountEndpoint)


@dataclass(frozen=True, slots=True)
class Account:
    """Where requests go and what signs them: a key, a SAS token, or neither (an identity)."""

    name: str
    endpoint: str
    """Without a slash at the end; with the account's name as its path where the host does not hold it, as on an emulator."""
    key: str | None = field(default=None, repr=False)
    sas_token: str | None = field(default=None, repr=False)


class AzureBlobConfig(BackendConfig):
    """Where objects lie, and who asks. Without a secret the platform's own identity is used."""

    location_fields: ClassVar[frozenset[str]] = frozenset({"account", "container", "endpoint", "prefix"})
    shelf_fields: ClassVar[frozenset[str]] = frozenset({"container", "prefix"})

    account: Annotated[
        str,
        Field(title="Storage account", pattern=_ACCOUNT, description="Its name, as in <name>.blob.core.windows.net."),
    ]
    container: Annotated[
        str,
        Field(
            title="Container",
            pattern=_CONTAINER,
            min_length=3,
            max_length=63,
            description="Holds all of the route's objects. Created by `routes prepare` where it is missing.",
        ),
    ]
    endpoint: Annotated[
        AccountEndpoint | None,
        Field(
            title="Blob endpoint",
            description="Of an account in another cloud, of a private link, or of an emulator. "
            "Empty: https://<account>.blob.core.windows.net.",
        ),
    ] = None
    prefix: Annotated[
        str,
        Field(
            title="Prefix",
            pattern=_PREFIX,
            max_length=100,
            description="Stands before all names, such as northstar/. Empty: the whole container is ours.",
        ),
    ] = ""
    connection_string: Annotated[
        Secret | None,
        Field(title="Connection string", description="Of the account, with its key or a SAS token; instead of these."),
    ] = None
    account_key: Annotated[
        Secret | None,
        Field(title="Account key", description="Empty, like the other secrets: an identity of Microsoft Entra."),
    ] = None
    sas_token: Annotated[
        Secret | None,
        Field(
            title="SAS token",
            description="Of the container, with read, create, write, delete and list. Presigned requests need another secret.",
        ),
    ] = None
    tenant_id: EntraTenant = None
    client_id: ClientId = None
    client_secret: ClientSecret = None
    access_tier: Annotated[
        Literal["Hot", "Cool", "Cold"] | None,
        Field(title="Access tier", description="Of the objects written by this route. Empty: the account's default."),
    ] = None
    encryption_scope: Annotated[
        str | None,
        Field(
            title="Encryption scope",
            pattern=r"^[A-Za-z0-9-]{3,63}$",
            description="Of the account, with a key of yours or the service's. Empty: the container's default.",
        ),
    ] = None

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        secrets = [self.connection_string, self.account_key, self.sas_token, self.client_secret]
        if sum(secret is not None for secret in secrets) > 1:
            raise ValueError("connection_string, account_key, sas_token and client_secret exclude each other")
        if self.client_secret is not None and not (self.tenant_id and self.client_id):
            raise ValueError("client_secret goes with tenant_id and client_id")
        if not any(secrets[:3]) and self.endpoint and self.endpoint.startswith("http:"):
            raise ValueError(
                "an endpoint over plain http, such as an emulator's, goes with account_key: no token is sent without TLS"
            )
        named = _AZURE.fullmatch(self.endpoint or "")
        if named and named[1] != self.account:
            raise ValueError(f"endpoint is the account {named[1]}'s, and account says {self.account}")
        if isinstance(self.connection_string, SecretStr):
            self.resolved()
        return self

    def resolved(self) -> Account:
        """Return the account with its secrets revealed. Raises InvalidConfig or ForbiddenEndpoint, and never tells a secret."""
        if self.connection_string is not None:
            return _connected(self, reveal(self.connection_string))
        return Account(
            self.account,
            _base(self.account, self.endpoint or f"https://{self.account}.blob.core.windows.net"),
            key=reveal(self.account_key) if self.account_key is not None else None,
            sas_token=_bare(reveal(self.sas_token)) if self.sas_token is not None else None,
        )


def _connected(config: AzureBlobConfig, text: str) -> Account:
    parts = {name.strip().lower(): value for name, _, value in (part.partition("=") for part in text.split(";"))}
    name, key, token = parts.get("accountname"), parts.get("accountkey"), parts.get("sharedaccesssignature")
    if (key is None) == (token is None):
        raise InvalidConfig(
            "The connection string holds no account key and no SAS token.",
            fix="Copy it from the account's access keys; for an emulator give endpoint and account_key instead.",
        )
    if name not in {None, config.account}:
        raise InvalidConfig("The connection string is another account's.", fix="Correct account or connection_string.")
    suffix = parts.get("endpointsuffix", "core.windows.net")
    told = parts.get("blobendpoint", "").rstrip("/").removesuffix(f"/{config.account}")
    endpoint = config.endpoint or told or f"https://{config.account}.blob.{suffix}"
    try:
        checked = _ENDPOINT.validate_python(endpoint)
    except ValidationError:
        raise InvalidConfig(
            "The connection string's endpoint is no origin such as https://acme.blob.core.windows.net."
        ) from None
    return Account(
        config.account,
        _base(config.account, checked),
        key=key,
        sas_token=_bare(token) if token else None,
    )


def _base(account: str, endpoint: str) -> str:
    """Return the address of the account: an emulator, asked by number or as localhost, has its name in the path."""
    endpoint = endpoint.rstrip("/")
    host = urlsplit(endpoint).hostname or ""
    return f"{endpoint}/{account}" if host == "localhost" or _is_number(host) else endpoint


def _is_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _bare(token: str) -> str:
    return token.strip().lstrip("?")
