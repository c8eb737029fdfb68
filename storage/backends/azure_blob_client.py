"""The SDK as the driver uses it: its credentials, signatures and transport, and a pipeline without what we do ourselves.

The SDK's own client is not for objects of any size in constant memory: it reads the first 32 MiB of a blob at once, then ranges
of 4 MiB that fail when the blob is replaced meanwhile. So requests are those of the REST reference, sent through the pipeline of
azure-core with the SDK's policies for keys, tokens and SAS. It sends nothing twice, follows no redirect and logs nothing.
"""

# ruff: noqa: PLC0415 - the SDK is imported at first use

import logging
import threading
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from storage.backends.azure_blob_config import Account, AzureBlobConfig
from storage.backends.azure_blob_errors import answered, strange, unanswered
from storage.backends.azure_blob_names import quoted
from storage.backends.azure_identity import entra_credential
from storage.backends.azure_transport import new_transport
from storage.backends.forks import renew_after_fork
from storage.backends.service import CONNECT_SECONDS, READ_SECONDS
from storage.blobs import CHUNK_BYTES
from storage.errors import BackendUnavailable

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from azure.core.pipeline import Pipeline
    from azure.core.rest import HttpResponse
    from azure.storage.blob import ContainerClient

VERSION: Final = "2026-02-06"
"""Of the service's REST API: the first with `startFrom` in listings."""
TOKEN_SCOPE: Final = "https://storage.azure.com/.default"  # noqa: S105 - what a token is asked for
_SMALL_BODY: Final = 64 * 1024
"""A body up to this is handed to the socket at once, a larger one in pieces: each of them has the time to connect for itself."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A success. `headers` are found in any case; the body of a streamed one is still to be read: see `blocks_of`."""

    headers: Mapping[str, str]
    response: "HttpResponse"

    @property
    def body(self) -> bytes:
        return self.response.read()


@dataclass(frozen=True, slots=True)
class Client:
    """What one process needs to ask one account."""

    account: Account
    credential: "TokenCredential | None"
    pipeline: "Pipeline[Any, Any]"


class Connection:
    """The client of one driver, built at first use, and anew after a fork."""

    def __init__(self, config: AzureBlobConfig) -> None:
        self._config = config
        self._closed = False
        self._client: Client | None = None
        self._container: ContainerClient | None = None
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Leave the parent's client alone: closing its connections here would end them there."""
        self._building = threading.Lock()
        self._inherited, self._client, self._container = (self._client, self._container), None, None

    def client(self) -> Client:
        """Return the client. Raises BackendUnavailable once the connection is closed, InvalidConfig or ForbiddenEndpoint."""
        return self._client or self._opened()

    def send(
        self,
        method: str,
        name: str = "",
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        write: bool = False,
        seconds: float = READ_SECONDS,
        stream: bool = False,
    ) -> Answer:
        """Ask about a blob, or with an empty name about the container; an answer must begin within so many seconds.

        With `stream` the body is left to be read. Raises what `azure_blob_errors.answered` and `unanswered` say.
        """
        from azure.core.exceptions import AzureError
        from azure.core.rest import HttpRequest

        client = self.client()
        sent = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": VERSION, **(headers or {})}
        if body is not None:
            sent |= {"Content-Length": str(len(body)), "Content-Type": "application/octet-stream"}
        content = body if body is None or len(body) <= _SMALL_BODY else BytesIO(body)
        request = HttpRequest(method, self.url(name, query), headers=sent, content=content or None)
        try:
            response = client.pipeline.run(request, stream=stream, read_timeout=seconds).http_response
            if not stream or response.status_code >= 300:
                response.read()
        except AzureError as error:
            if not write:  # which may have happened all the same
                self._refuse_closed()
            raise unanswered(error, write=write) from None  # the SDK's own holds the address, and maybe a signature
        return _checked(response, write=write)

    def url(self, name: str = "", query: Mapping[str, str] | None = None) -> str:
        """Return the address of a blob or of the container."""
        base = f"{self.client().account.endpoint}/{self._config.container}"
        path = f"{base}/{quoted(name)}" if name else base
        asked = "&".join(f"{key}={quote(value, safe='')}" for key, value in (query or {}).items())
        return f"{path}?{asked}" if asked else path

    def shared_container(self) -> "ContainerClient":
        """Return the SDK's own client of the container, which sends nothing twice, for what is built on the SDK."""
        client = self.client()
        with self._building:
            self._refuse_closed()
            if self._container is None:
                self._container = self._container_client(
                    client, retry_total=0, connection_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS
                )
            return self._container

    def container(self) -> "ContainerClient":
        """Return the SDK's own client of the container, with its defaults: an escape hatch, which the driver never uses."""
        return self._container_client(self.client())

    def _container_client(self, client: Client, **options: Any) -> "ContainerClient":
        from azure.storage.blob import ContainerClient

        account = client.account
        credential: Any = client.credential or account.sas_token
        if account.key is not None:
            credential = {"account_name": account.name, "account_key": account.key}
        container = self._config.container
        return ContainerClient(account.endpoint, container, credential=credential, api_version=VERSION, **options)

    def close(self) -> None:
        """Close all sockets; a second call is harmless."""
        with self._building:
            self._closed, client, self._client = True, self._client, None
            container, self._container = self._container, None
        if client is not None:
            client.pipeline.__exit__()
        if container is not None:
            container.close()

    def _opened(self) -> Client:
        with self._building:
            self._refuse_closed()
            if self._client is None:
                self._client = self._built()
            return self._client

    def _refuse_closed(self) -> None:
        if self._closed:
            raise BackendUnavailable("This store is closed: its route has changed.", fix="Open it again.")

    def _built(self) -> Client:
        from azure.core.pipeline import Pipeline

        account, config = self._config.resolved(), self._config
        credential = None
        if account.key is None and account.sas_token is None:
            credential = entra_credential(
                account.endpoint,
                tenant_id=config.tenant_id,
                client_id=config.client_id,
                client_secret=config.client_secret,
            )
        transport = new_transport(self._remaining, block_bytes=CHUNK_BYTES)
        transport.session.headers.clear()
        transport.session.headers.update({"User-Agent": "northstar", "Accept-Encoding": "identity"})
        # At DEBUG it writes down addresses, and with them the signatures that a SAS holds.
        logging.getLogger("urllib3.connectionpool").setLevel(logging.INFO)
        return Client(account, credential, Pipeline(transport, policies=[_policy(account, credential)]))

    def _remaining(self) -> float:
        return 0.0 if self._closed else float("inf")


def _policy(account: Account, credential: "TokenCredential | None") -> Any:
    """Return what signs requests."""
    from azure.core.credentials import AzureSasCredential
    from azure.core.pipeline.policies import AzureSasCredentialPolicy, BearerTokenCredentialPolicy
    from azure.storage.blob._shared import authentication

    if account.key is not None:
        policy: Any = authentication.SharedKeyCredentialPolicy
        return policy(account.name, account.key)
    if account.sas_token is not None:
        return AzureSasCredentialPolicy(AzureSasCredential(account.sas_token))
    assert credential is not None
    return BearerTokenCredentialPolicy(credential, TOKEN_SCOPE)


def _checked(response: "HttpResponse", *, write: bool) -> Answer:
    headers: Mapping[str, str] = response.headers
    if "x-ms-request-id" not in headers:
        response.close()
        raise strange(write=write)
    if response.status_code >= 300:
        raise answered(response.status_code, headers, write=write)
    return Answer(headers, response)


def blocks_of(answer: Answer) -> Generator[bytes, None, None]:
    """Yield the body that is still to be read, at most 1 MiB at a time. Raises BackendUnavailable."""
    from azure.core.exceptions import AzureError

    try:
        yield from answer.response.iter_raw()
    except AzureError as error:
        raise unanswered(error, write=False) from None
    finally:
        answer.response.close()
