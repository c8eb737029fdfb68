"""Who asks an Azure service where no key does: an identity of Microsoft Entra, of the cloud that the endpoint lies in."""

# ruff: noqa: PLC0415 - the SDK is imported at first use

from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import urlsplit

from pydantic import Field

from storage.config import Secret, reveal

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

_IDENTITY: Final = r"^[A-Za-z0-9][A-Za-z0-9.-]{0,127}$"

EntraTenant = Annotated[
    str | None, Field(title="Entra tenant", pattern=_IDENTITY, description="With client_id and client_secret only.")
]
ClientId = Annotated[
    str | None,
    Field(
        title="Client id",
        pattern=_IDENTITY,
        description="Of an application with a secret, or of the managed identity to use where there are several.",
    ),
]
ClientSecret = Annotated[
    Secret | None, Field(title="Client secret", description="Of the application that client_id names.")
]
"""The fields of a config that name an identity."""


def entra_credential(
    endpoint: str, *, tenant_id: str | None, client_id: str | None, client_secret: Secret | None
) -> "TokenCredential":
    """Return the application with this secret, or the platform's own identity: managed, workload or what its chain finds.

    `client_id` alone chooses among several managed identities.
    """
    from azure.identity import ClientSecretCredential, DefaultAzureCredential

    authority = _authority(endpoint)
    if client_secret is not None:
        return ClientSecretCredential(tenant_id or "", client_id or "", reveal(client_secret), authority=authority)
    if client_id is None:
        return DefaultAzureCredential(authority=authority)
    return DefaultAzureCredential(authority=authority, managed_identity_client_id=client_id)


def _authority(endpoint: str) -> str:
    """Return who hands out tokens: the clouds of China and of the United States government have their own."""
    from azure.identity import AzureAuthorityHosts

    host = urlsplit(endpoint).hostname or ""
    if host.endswith((".cn", ".chinacloudapi.cn")):
        return AzureAuthorityHosts.AZURE_CHINA
    if host.endswith((".us", ".usgovcloudapi.net")):
        return AzureAuthorityHosts.AZURE_GOVERNMENT
    return AzureAuthorityHosts.AZURE_PUBLIC_CLOUD
