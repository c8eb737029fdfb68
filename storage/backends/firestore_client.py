"""The connection to Firestore: one gRPC channel per driver and process, opened at first use, and the calls made over it.

The calls are those of the generated client, with its own messages and nothing between: no retries of its own (they send a
write twice), a deadline for each, and a third of the high-level client's time.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from types import SimpleNamespace
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from storage.backends.firestore_config import FirestoreConfig
from storage.backends.firestore_errors import Sent, reached_nobody, translated
from storage.backends.google_credentials import google_credentials
from storage.backends.service import CONNECT_SECONDS, READ_SECONDS
from storage.errors import BackendUnavailable

HOST: Final = "firestore.googleapis.com:443"
SECONDS_PER_DOCUMENT: Final = 0.01
"""A call gets that much longer for each document that it may carry: 350 KiB in that time is 35 MB/s."""
KEEPALIVE_SECONDS: Final = 30
"""Google's own client sends a ping as often (google-cloud-firestore, base_client.py)."""
LONGEST_BACKOFF_SECONDS: Final = 1
MESSAGE_BYTES: Final = 16 * 1024 * 1024
"""Above Firestore's 10 MiB of a request and 1 MiB of a document."""

_PORTS: Final = {"http": 80, "https": 443}
_MILLISECONDS: Final = 1000


@cache
def messages() -> Any:
    """Return Firestore's plain protobuf message classes, by name."""
    from google.cloud.firestore_v1 import types  # noqa: PLC0415 - the SDK is imported at first use

    names = ("BatchGetDocuments", "BatchWrite", "Commit", "RunQuery")
    calls = {
        f"{name}{half}": getattr(types, f"{name}{half}").pb() for name in names for half in ("Request", "Response")
    }
    return SimpleNamespace(**calls, Value=types.Value.pb(), Write=types.Write.pb())


@dataclass(frozen=True, slots=True)
class _Open:
    """An open channel and its calls."""

    channel: Any
    batch_get: Any
    batch_write: Any
    commit: Any
    run_query: Any


class FirestoreConnection:
    """Firestore's calls for one database. Used by many threads; a process that was forked opens a channel of its own.

    Every call raises as `firestore_errors.error_of` says, and BackendUnavailable once closed.
    """

    def __init__(self, config: FirestoreConfig) -> None:
        self.database = f"projects/{config.project}/databases/{config.database}"
        self.documents = f"{self.database}/documents/"
        self.is_emulator = bool(config.endpoint and urlsplit(config.endpoint).scheme == "http")
        self._config = config
        self._opened: dict[int, _Open] = {}
        self._closed = False
        prefix = (("google-cloud-resource-prefix", self.database),)
        self._headers = (*prefix, ("authorization", "Bearer owner")) if self.is_emulator else prefix
        self._routed = (*self._headers, _routing("database", self.database))

    def commit(self, request: Any) -> Any:
        """Send a CommitRequest. Raises Outrun when a condition does not hold, and Unanswered when it may have happened."""
        opened = self._open()
        with self._calling(opened, Sent.CONDITIONS):
            return opened.commit(request, timeout=READ_SECONDS, metadata=self._routed)

    def batch_write(self, request: Any) -> Any:
        """Send a BatchWriteRequest. Each write has a status of its own in the answer. Raises Unanswered."""
        opened = self._open()
        timeout = READ_SECONDS + len(request.writes) * SECONDS_PER_DOCUMENT
        with self._calling(opened, Sent.WRITES):
            return opened.batch_write(request, timeout=timeout, metadata=self._routed)

    def batch_get(self, names: Iterable[str], mask: Iterable[str] = ()) -> Iterator[Any]:
        """Yield the BatchGetDocumentsResponses of the documents with these full names, strongly consistent, in any order."""
        request = messages().BatchGetDocumentsRequest(database=self.database, documents=names)
        if mask:
            request.mask.field_paths.extend(mask)
        opened = self._open()
        timeout = READ_SECONDS + len(request.documents) * SECONDS_PER_DOCUMENT
        with self._calling(opened, Sent.READ):
            yield from opened.batch_get(request, timeout=timeout, metadata=self._routed)

    def run_query(self, request: Any) -> Iterator[Any]:
        """Yield the RunQueryResponses of a query, strongly consistent."""
        opened = self._open()
        timeout = READ_SECONDS + request.structured_query.limit.value * SECONDS_PER_DOCUMENT
        metadata = (*self._headers, _routing("parent", request.parent))
        with self._calling(opened, Sent.READ):
            yield from opened.run_query(request, timeout=timeout, metadata=metadata)

    def native(self) -> Any:
        """Return the SDK's generated `FirestoreClient` over the same channel, for diagnostics."""
        from google.cloud.firestore_v1.services.firestore import FirestoreClient  # noqa: PLC0415
        from google.cloud.firestore_v1.services.firestore.transports import FirestoreGrpcTransport  # noqa: PLC0415

        return FirestoreClient(transport=FirestoreGrpcTransport(channel=self.channel()))

    def channel(self) -> Any:
        """Return the gRPC channel, opened if it was not."""
        return self._open().channel

    def close(self) -> None:
        """Close the channel; a call that is still waiting ends at once. A second call is harmless."""
        self._closed = True
        opened = self._opened.pop(os.getpid(), None)
        if opened:
            opened.channel.close()

    def _open(self) -> _Open:
        opened = self._opened.get(os.getpid())
        if opened is None:
            made = _opened(_channel(self._config))
            # Without a lock, which a fork could leave locked for ever: whoever comes second gives its own back.
            opened = self._opened.setdefault(os.getpid(), made)
            if opened is not made:
                made.channel.close()
        if self._closed:
            self.close()
            raise _closed()
        return opened

    @contextmanager
    def _calling(self, opened: _Open, sent: Sent) -> Iterator[None]:
        """Translate the errors of a call, and let go of a channel that does not reach its peer.

        It may be half-open, or wait before it connects again. Calls that still use it keep it until they end.
        """
        import grpc  # noqa: PLC0415 - the SDK is imported at first use

        try:
            yield
        except grpc.RpcError as error:
            if reached_nobody(error) and self._opened.get(os.getpid()) is opened:
                self._opened.pop(os.getpid(), None)
            raise translated(error, sent)  # noqa: B904 - its cause is set where it is safe to show
        except ValueError:
            if self._closed:  # between our look and gRPC's
                raise _closed() from None
            raise


def _closed() -> BackendUnavailable:
    return BackendUnavailable("This store is closed: its route has changed.", fix="Open it again.")


def _routing(name: str, value: str) -> tuple[str, str]:
    """The header by which Google routes a call, as the generated client sends it."""
    return "x-goog-request-params", urlencode({name: value}, safe="/")


def _opened(channel: Any) -> _Open:
    wire = messages()

    def call(kind: Any, name: str) -> Any:
        return kind(
            f"/google.firestore.v1.Firestore/{name}",
            request_serializer=getattr(wire, f"{name}Request").SerializeToString,
            response_deserializer=getattr(wire, f"{name}Response").FromString,
        )

    return _Open(
        channel,
        batch_get=call(channel.unary_stream, "BatchGetDocuments"),
        batch_write=call(channel.unary_unary, "BatchWrite"),
        commit=call(channel.unary_unary, "Commit"),
        run_query=call(channel.unary_stream, "RunQuery"),
    )


def _channel(config: FirestoreConfig) -> Any:
    import grpc  # noqa: PLC0415 - the SDK is imported at first use

    if config.endpoint is None:
        return _secure_channel(config, HOST)
    scheme, address = urlsplit(config.endpoint)[:2]
    port = "" if urlsplit(config.endpoint).port else f":{_PORTS[scheme]}"
    if scheme == "https":
        return _secure_channel(config, address + port)
    return grpc.insecure_channel(address + port, options=(*_options(), ("grpc.enable_http_proxy", 0)))


def _secure_channel(config: FirestoreConfig, address: str) -> Any:
    import grpc  # noqa: PLC0415 - the SDK is imported at first use
    from google.cloud.firestore_v1.services.firestore.transports import FirestoreGrpcTransport  # noqa: PLC0415

    tls = grpc.ssl_channel_credentials()
    scopes = FirestoreGrpcTransport.AUTH_SCOPES
    credentials = google_credentials(config.credentials_json, scopes, service="Firestore")
    return FirestoreGrpcTransport.create_channel(
        address, credentials=credentials, ssl_credentials=tls, options=_options()
    )


def _options() -> tuple[tuple[str, int], ...]:
    from grpc.experimental import ChannelOptions  # noqa: PLC0415 - the SDK is imported at first use

    return (
        (ChannelOptions.SingleThreadedUnaryStream, 1),  # else each read starts a thread, which doubles its time
        ("grpc.enable_retries", 0),
        ("grpc.use_local_subchannel_pool", 1),  # else a new channel takes over the old one's dead connection
        ("grpc.keepalive_time_ms", KEEPALIVE_SECONDS * _MILLISECONDS),
        (
            "grpc.min_reconnect_backoff_ms",
            int(CONNECT_SECONDS * _MILLISECONDS),
        ),  # how long one attempt to connect may take
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", LONGEST_BACKOFF_SECONDS * _MILLISECONDS),
        ("grpc.max_receive_message_length", MESSAGE_BYTES),
        ("grpc.max_send_message_length", MESSAGE_BYTES),
    )
