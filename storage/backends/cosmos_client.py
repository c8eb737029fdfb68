"""The SDK's client: built at first use, once per driver and process, and anew after a fork; one deadline for every call.

The SDK re-sends nothing. What it would do by itself on a throttle or a lost answer, the layers above do, knowing the write.
"""

# ruff: noqa: PLC0415 - the SDK is imported at first use

import base64
import binascii
import os
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeVar

from northstar.errors import NorthstarError
from storage.backends.azure_identity import entra_credential
from storage.backends.azure_transport import new_transport
from storage.backends.cosmos_config import SESSION, CosmosConfig
from storage.backends.cosmos_errors import PREPARE_FIX, Missing, translated, unread
from storage.backends.service import CONNECT_SECONDS, READ_SECONDS
from storage.config import reveal
from storage.errors import BackendRejected, BackendUnavailable

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from azure.cosmos import ContainerProxy, CosmosClient
    from azure.cosmos.documents import ConnectionPolicy

CALL_SECONDS: Final = 10.0
"""No request of one call is sent later, or awaited longer, than this after the call began."""

_SENSELESS: Final = (AttributeError, LookupError, TypeError, ValueError)
"""What the SDK makes of an answer that is no answer of the service."""

T = TypeVar("T")


class Connection:
    """The client of one driver. Every call of the SDK goes through `call` or `call_client`."""

    def __init__(self, config: CosmosConfig) -> None:
        self._config = config
        self._closed = False
        self._started = threading.local()
        self._pid = os.getpid()
        self._building = threading.Lock()
        self._client: CosmosClient | None = None
        self._container: ContainerProxy | None = None
        self._failure: NorthstarError | None = None
        self._failed_at = 0.0

    def call(self, ask: "Callable[[ContainerProxy], T]", *, write: bool, item: bool = False) -> T:
        """Return what `ask` makes of the container; `item` says that it names an item, which may be missing.

        Raises Missing, Taken or Refused as the service answers, and Throttled, Unanswered, BackendUnavailable or BackendRejected.
        """
        self._started.at = time.monotonic()
        container = self._opened_container()
        try:
            return self._run(lambda: ask(container), write=write)
        except Missing:
            if item:
                raise
            raise self.missing() from None

    def call_client(self, ask: "Callable[[CosmosClient], T]") -> T:
        """Return what `ask` makes of the client; the container need not exist. Raises as `call`."""
        self._started.at = time.monotonic()
        client = self._opened()
        try:
            return self._run(lambda: ask(client), write=False)
        except Missing:
            raise self.missing() from None

    def _opened(self) -> "CosmosClient":
        """Return the client, built by the first thread that asks. Raises BackendRejected for an account with stale reads."""
        self._refuse_closed()
        if self._pid != os.getpid():  # a child must not share its parent's sockets
            self._pid, self._building, self._client, self._container = os.getpid(), threading.Lock(), None, None
        if self._client is not None:
            return self._client
        began = time.monotonic()
        with self._building:
            if self._client is None:
                if self._failure is not None and self._failed_at > began:
                    raise self._failure  # it failed while this thread waited: its own try would only take as long again
                self._client = self._built()
            return self._client

    def _opened_container(self) -> "ContainerProxy":
        client = self._opened()
        if self._container is None:
            container = client.get_database_client(self._config.database).get_container_client(self._config.container)
            try:
                self._run(container.read, write=False)  # the SDK would do it at the first call, and tell less of a 404
            except Missing:
                raise self.missing() from None
            self._container = container
        return self._container

    def missing(self) -> BackendRejected:
        """The refusal of a container that does not exist."""
        name, database = self._config.container, self._config.database
        return BackendRejected(f"The container {name} of the database {database} does not exist.", fix=PREPARE_FIX)

    def close(self) -> None:
        """Close all sockets; a second call is harmless."""
        self._closed = True
        client, self._client, self._container = self._client, None, None
        if client is not None and self._pid == os.getpid():
            client.close()

    def _refuse_closed(self) -> None:
        if self._closed:
            raise BackendUnavailable("This store is closed: its route has changed.", fix="Open it again.")

    def _run(self, ask: Callable[[], T], *, write: bool) -> T:
        from azure.core.exceptions import AzureError

        try:
            return ask()
        except (AzureError, *_SENSELESS) as error:
            if not write:  # which may have happened all the same
                self._refuse_closed()
            raise (translated(error, write=write) if isinstance(error, AzureError) else unread(write=write)) from error

    def _built(self) -> "CosmosClient":
        try:
            return self._run(self._new_client, write=False)
        except NorthstarError as error:
            self._failure, self._failed_at = error, time.monotonic()
            raise

    def _new_client(self) -> "CosmosClient":
        from azure.cosmos import CosmosClient

        client = CosmosClient(
            self._config.endpoint,
            _credential(self._config),
            consistency_level="Session" if self._config.consistency == SESSION else None,
            connection_policy=_policy(),
            transport=new_transport(self._remaining),
            retry_total=0,
            retry_connect=0,
            retry_read=0,
            retry_status=0,
            enable_compact_utf8_item_writes=True,
        )
        _stay_in_one_region(client)
        try:
            check_reads(client, self._config)
        except BackendRejected:
            client.close()
            raise
        return client

    def _remaining(self) -> float:
        """Seconds left for this thread's call; the SDK's own threads always have a whole one."""
        started = getattr(self._started, "at", None)
        return CALL_SECONDS if started is None else CALL_SECONDS - (time.monotonic() - started)


def check_reads(client: "CosmosClient", config: CosmosConfig) -> None:
    """Refuse an account whose reads may be older than another process's writes. Raises BackendRejected, and as the SDK does."""
    if config.consistency == SESSION:
        return
    account = client.get_database_account()
    level = (account.ConsistencyPolicy or {}).get("defaultConsistencyLevel")
    one_region_writes = len(account.WritableLocations) <= 1
    if level == "Strong" or (level == "BoundedStaleness" and one_region_writes):
        return
    raise BackendRejected(
        f"The account's default consistency is {level}: a read may miss what another process has written.",
        fix="Set the account's default consistency to Strong, or to Bounded Staleness with one write region.",
    )


def _credential(config: CosmosConfig) -> "str | TokenCredential":
    if config.key is not None:
        return _signing_key(reveal(config.key))
    return entra_credential(
        config.endpoint, tenant_id=config.tenant_id, client_id=config.client_id, client_secret=config.client_secret
    )


def _signing_key(key: str) -> str:
    try:
        base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        raise BackendRejected("The account key is no Base64.", fix="Copy a key of the account anew.") from None
    return key


def _policy() -> "ConnectionPolicy":
    """Deadlines, and no second sending: neither to this region nor to another.

    The keyword `retry_throttle_total=0` would mean the default of nine, so the throttle's number is set on the object.
    """
    from azure.cosmos._retry_options import RetryOptions
    from azure.cosmos.documents import ConnectionPolicy

    policy = ConnectionPolicy()
    policy.RequestTimeout = CONNECT_SECONDS  # type: ignore[assignment]  # seconds, and the SDK hands them on as they are
    policy.DBAConnectionTimeout = CONNECT_SECONDS  # type: ignore[assignment]
    policy.ReadTimeout = READ_SECONDS
    policy.EnableEndpointDiscovery = False  # the account's own address leads to the region that writes, reads too
    policy.RetryOptions = RetryOptions(max_retry_attempt_count=0)
    return policy


def _stay_in_one_region(client: "CosmosClient") -> None:
    """Switch off what an environment variable, or the account, may switch on in the SDK: breakers and failover per partition.

    They send requests to other regions; without endpoint discovery they know none, and every read ends in an IndexError
    (azure-cosmos 4.17.1). There is no option for it.
    """
    manager = client.client_connection._global_endpoint_manager
    manager.is_per_partition_automatic_failover_enabled = lambda: False  # type: ignore[method-assign]
    core = manager.global_partition_endpoint_manager_core
    core.is_circuit_breaker_applicable = lambda request: False  # type: ignore[method-assign]  # noqa: ARG005
