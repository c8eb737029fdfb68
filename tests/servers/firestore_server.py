"""The Firestore test server's one port: gRPC for the SDK, HTTP for the tests, told apart by a connection's first bytes."""

import asyncio
import contextlib
import hmac
import re
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import grpc
from google.cloud.firestore_admin_v1.types import firestore_admin
from google.cloud.firestore_v1.types import firestore

from tests.servers.firestore_control import control_server
from tests.servers.firestore_errors import Refused, invalid
from tests.servers.firestore_faults import Fault, Faults
from tests.servers.firestore_limits import REQUEST_BYTES
from tests.servers.firestore_messages import Message
from tests.servers.firestore_service import Service

HOST = "127.0.0.1"
THREADS = 64
"""Calls under way at once: more than a test's threads, as calls that are delayed hold one each."""
CHUNK = 65_536
GRPC_PREFACE = b"PRI "
"""The first bytes of every HTTP/2 connection, and of no HTTP/1 request."""

Method = tuple[Any, Callable[[Service, Message], Message]]
"""The class of a request and what answers it."""

UNARY: dict[str, dict[str, Method]] = {
    "google.firestore.v1.Firestore": {
        "BatchWrite": (firestore.BatchWriteRequest, Service.batch_write),
        "BeginTransaction": (firestore.BeginTransactionRequest, Service.begin_transaction),
        "Commit": (firestore.CommitRequest, Service.commit),
        "CreateDocument": (firestore.CreateDocumentRequest, Service.create_document),
        "DeleteDocument": (firestore.DeleteDocumentRequest, Service.delete_document),
        "GetDocument": (firestore.GetDocumentRequest, Service.get_document),
        "ListCollectionIds": (firestore.ListCollectionIdsRequest, Service.list_collection_ids),
        "ListDocuments": (firestore.ListDocumentsRequest, Service.list_documents),
        "Rollback": (firestore.RollbackRequest, Service.rollback),
        "UpdateDocument": (firestore.UpdateDocumentRequest, Service.update_document),
    },
    "google.firestore.admin.v1.FirestoreAdmin": {
        "GetField": (firestore_admin.GetFieldRequest, Service.get_field),
        "UpdateField": (firestore_admin.UpdateFieldRequest, Service.update_field),
    },
}
STREAMING: dict[str, dict[str, Method]] = {
    "google.firestore.v1.Firestore": {
        "BatchGetDocuments": (firestore.BatchGetDocumentsRequest, Service.batch_get_documents),
        "RunAggregationQuery": (firestore.RunAggregationQueryRequest, Service.run_aggregation_query),
        "RunQuery": (firestore.RunQueryRequest, Service.run_query),
    }
}
"""The calls that are answered; gRPC itself answers UNIMPLEMENTED to any other."""

_PROJECT = re.compile("projects/([^/]+)")


@dataclass
class Calls:
    """What surrounds every call: authorization, counts, injected faults, one call at a time, refusals as statuses."""

    service: Service
    faults: Faults
    token: str | None
    stopping: threading.Event = field(default_factory=threading.Event)

    def answer(self, name: str, method: Method, request: Message, context: grpc.ServicerContext) -> Message:
        """Return the answer to a call, or end the call with another status."""
        self._authorize(context)
        fault = self.faults.meet(_project(request), name)
        if fault is not None and not fault.after:
            self._fail(fault, context)
        try:
            answer = self._apply(method, request)
        except Refused as refusal:
            context.abort(refusal.code, refusal.details)
        if fault is not None and fault.after:
            self._fail(fault, context)
        return answer

    def stream(self, name: str, method: Method, request: Message, context: grpc.ServicerContext) -> Iterator[Message]:
        """Yield the answers to a call that streams them."""
        yield from self.answer(name, method, request, context)

    def _apply(self, method: Method, request: Message) -> Message:
        if request.ByteSize() > REQUEST_BYTES:
            raise invalid(f"Request payload size exceeds the limit: {REQUEST_BYTES} bytes.")
        _, answer = method
        with self.service.lock:
            return answer(self.service, request)

    def _authorize(self, context: grpc.ServicerContext) -> None:
        given = dict(context.invocation_metadata()).get("authorization", "")
        if self.token is not None and not hmac.compare_digest(str(given), f"Bearer {self.token}"):
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "the request's bearer token is missing or wrong")

    def _fail(self, fault: Fault, context: grpc.ServicerContext) -> None:
        """Let the fault's time pass and end the call. A call whose caller has gone by then is not applied."""
        self.stopping.wait(fault.delay_seconds)
        if not context.is_active():
            context.abort(grpc.StatusCode.CANCELLED, "the caller has gone")
        if fault.code is not None:
            context.abort(fault.code, f"injected by the test: {fault.code.name}")


def serve(calls: Calls, port: int) -> None:
    """Serve gRPC and HTTP on one port of this machine, until the process is asked to end."""
    backend = _grpc_server(calls)
    inner = backend.add_insecure_port(f"{HOST}:0")
    backend.start()
    methods = {name for services in (UNARY, STREAMING) for names in services.values() for name in names}
    with control_server(calls.service, calls.faults, methods) as control:
        try:
            asyncio.run(_front(port, inner, control))
        finally:
            calls.stopping.set()
            backend.stop(0).wait()


def _grpc_server(calls: Calls) -> grpc.Server:
    unary = partial(_handler, grpc.unary_unary_rpc_method_handler, calls.answer)
    streaming = partial(_handler, grpc.unary_stream_rpc_method_handler, calls.stream)
    handlers = [
        grpc.method_handlers_generic_handler(service, {name: handler(name, method) for name, method in methods.items()})
        for handler, services in ((unary, UNARY), (streaming, STREAMING))
        for service, methods in services.items()
    ]
    options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    return grpc.server(ThreadPoolExecutor(THREADS), handlers=handlers, options=options)


def _handler(
    kind: Callable[..., grpc.RpcMethodHandler], answer: Callable[..., Any], name: str, method: Method
) -> grpc.RpcMethodHandler:
    request, _ = method
    return kind(partial(answer, name, method), request.pb().FromString, lambda response: response.SerializeToString())


def _project(request: Message) -> str:
    """Return the project that a request is about, by the first name in it."""
    parts = (request, *(getattr(request, each) for each in ("document", "field") if hasattr(request, each)))
    names = (getattr(part, each, "") for part in parts for each in ("database", "parent", "name"))
    return next((match.group(1) for name in names if (match := _PROJECT.match(name))), "")


async def _front(port: int, grpc_port: int, http_port: int) -> None:
    """Take connections and pass their bytes on to the server that they speak to."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            first = await reader.readexactly(len(GRPC_PREFACE))
            inner = grpc_port if first == GRPC_PREFACE else http_port
            answers, requests = await asyncio.open_connection(HOST, inner)
            requests.write(first)
            await asyncio.gather(_pump(reader, requests), _pump(answers, writer))
        writer.close()

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with await asyncio.start_server(connected, HOST, port):
        await stop.wait()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while chunk := await reader.read(CHUNK):
            writer.write(chunk)
            await writer.drain()
    writer.close()
