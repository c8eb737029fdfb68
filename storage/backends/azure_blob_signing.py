"""SAS: addresses that carry their own permission, for one blob, for some time, signed by the account's key or by Entra's."""

# ruff: noqa: PLC0415 - the SDK is imported at first use

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from storage.backends.azure_blob_client import VERSION, Client, Connection
from storage.backends.azure_blob_config import AzureBlobConfig
from storage.backends.azure_blob_errors import answered, unanswered
from storage.backends.azure_transport import new_transport
from storage.errors import BackendRejected

if TYPE_CHECKING:
    from azure.storage.blob import UserDelegationKey

READ: Final = "r"
CREATE_AND_WRITE: Final = "cw"
SKEW: Final = timedelta(minutes=15)
"""A SAS begins so much earlier, as clocks differ ("Create a service SAS", Azure Blob Storage REST API)."""
DELEGATION: Final = timedelta(days=7)
"""The longest that Entra's key for signing holds ("Get User Delegation Key", Azure Blob Storage REST API)."""


class Signer:
    """Signs addresses of one container's blobs. Entra's key is fetched when one is needed that lives longer than the last."""

    def __init__(self, connection: Connection, config: AzureBlobConfig) -> None:
        self._connection = connection
        self._config = config
        self._delegation: tuple[UserDelegationKey, datetime] | None = None

    def presigned_url(self, name: str, permission: str, expires_at: datetime, *, disposition: str | None = None) -> str:
        """Return an address for anybody. Raises BackendRejected where the route's secret is a SAS token, which signs nothing."""
        client = self._connection.client()
        if client.account.sas_token is not None:
            raise BackendRejected(
                "The route's SAS token cannot sign requests for others.",
                fix="Give the route the account's key, or an identity of Microsoft Entra.",
            )
        return f"{self._connection.url(name)}?{self._token(client, name, permission, expires_at, disposition)}"

    def source_url(self, name: str, expires_at: datetime) -> str:
        """Return an address that the service itself may read a copy's bytes from."""
        client = self._connection.client()
        token = client.account.sas_token or self._token(client, name, READ, expires_at, None)
        return f"{self._connection.url(name)}?{token}"

    def _token(self, client: Client, name: str, permission: str, expires_at: datetime, disposition: str | None) -> str:
        from azure.storage.blob import generate_blob_sas

        key = client.account.key
        token: str = generate_blob_sas(
            client.account.name,
            self._config.container,
            name,
            account_key=key,
            user_delegation_key=None if key else self._delegation_key(client, expires_at),
            permission=permission,
            start=datetime.now(UTC) - SKEW,
            expiry=expires_at,
            protocol="https" if client.account.endpoint.startswith("https:") else None,
            content_disposition=disposition,
            encryption_scope=self._config.encryption_scope if permission != READ else None,
        )
        return token.replace("/", "%2F")  # in a signature: then all of it is quoted, which nobody can misread

    def _delegation_key(self, client: Client, until: datetime) -> "UserDelegationKey":
        if self._delegation is None or self._delegation[1] < until:
            now = datetime.now(UTC)
            self._delegation = _fetched(client, now - SKEW, now + DELEGATION), now + DELEGATION
        return self._delegation[0]


def _fetched(client: Client, start: datetime, expiry: datetime) -> "UserDelegationKey":
    from azure.core.exceptions import AzureError
    from azure.storage.blob import BlobServiceClient

    transport = new_transport(lambda: float("inf"))
    try:
        with BlobServiceClient(
            client.account.endpoint, client.credential, transport=transport, api_version=VERSION, retry_total=0
        ) as service:
            return service.get_user_delegation_key(start, expiry)
    except AzureError as error:
        response: Any = getattr(error, "response", None)
        if response is None:
            raise unanswered(error, write=False) from None
        raise answered(response.status_code, response.headers, write=False) from None
