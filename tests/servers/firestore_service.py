"""The calls of google.firestore.v1.Firestore over the databases of this process, one call at a time."""

import secrets
import string
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field

import grpc

from tests.servers import firestore_messages as messages
from tests.servers.firestore_admin import get_field, parse_field, update_field
from tests.servers.firestore_aggregations import aggregate, aggregated_fields
from tests.servers.firestore_clock import Clock
from tests.servers.firestore_errors import Refused, invalid, unknown
from tests.servers.firestore_fields import FieldPath, parse_query_path, projected
from tests.servers.firestore_indexes import check_indexes
from tests.servers.firestore_listing import list_collection_ids, list_documents
from tests.servers.firestore_messages import DocumentMessage, Message, timestamp
from tests.servers.firestore_names import check_id, document_name, parse_database, parse_document, parse_parent
from tests.servers.firestore_query import PreparedQuery, prepare
from tests.servers.firestore_store import Answer, Store
from tests.servers.firestore_transactions import Transactions
from tests.servers.firestore_writes import PlannedWrite, plan_write

ID_LETTERS = string.ascii_letters + string.digits
ID_LENGTH = 20


@dataclass
class Database:
    """One database: its documents and its open transactions."""

    store: Store
    transactions: Transactions


@dataclass
class Service:
    """Every call takes a request message and returns a response, or a list of them where the service streams.

    The caller holds `lock` meanwhile, so that calls are applied one after the other.
    """

    clock: Clock = field(default_factory=Clock)
    strict_indexes: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)
    databases: dict[str, Database] = field(default_factory=dict)

    def database(self, name: str) -> Database:
        """Return a database. Any that is named exists."""
        if name not in self.databases:
            store = Store(parse_database(name))
            self.databases[name] = Database(store, Transactions(store, self.clock))
        return self.databases[name]

    def commit(self, request: Message) -> Message:
        """Apply writes in order, all or none; in a transaction, only while all that it read is unchanged."""
        database = self.database(request.database)
        writes = [plan_write(each, request.database) for each in request.writes]
        if request.transaction:
            database.transactions.finish(request.transaction, writes=bool(writes))
        now, results = self.write(database, writes)
        return messages.CommitResponse(write_results=results, commit_time=timestamp(now))

    def write(self, database: Database, writes: list[PlannedWrite]) -> tuple[int, list[Message]]:
        """Apply writes at once, all or none."""
        remember = database.transactions.reading_the_past
        return database.store.commit(writes, self.clock.tick, remember=remember)

    def batch_write(self, request: Message) -> Message:
        """Apply each write by itself, and tell the outcome of each."""
        database = self.database(request.database)
        writes = [plan_write(each, request.database) for each in request.writes]
        if len({each.path for each in writes}) < len(writes):
            raise invalid("a batch of writes cannot write a document twice")
        response = messages.BatchWriteResponse()
        for each in writes:
            try:
                response.write_results.append(self.write(database, [each])[1][0])
                response.status.add()
            except Refused as refusal:
                response.write_results.add()
                response.status.add(code=refusal.code.value[0], message=refusal.details)
        return response

    def begin_transaction(self, request: Message) -> Message:
        """Start a transaction. It reads at the moment of its first read."""
        name = self.database(request.database).transactions.begin(request.options)
        return messages.BeginTransactionResponse(transaction=name)

    def rollback(self, request: Message) -> Message:
        """End a transaction. One that has ended already stays so."""
        self.database(request.database).transactions.close(request.transaction)
        return messages.Empty()

    def batch_get_documents(self, request: Message) -> list[Message]:
        """Answered in the reverse of the order asked: the service promises none."""
        database = self.database(request.database)
        paths = list(dict.fromkeys(parse_document(name, request.database)[1] for name in reversed(request.documents)))
        began, transaction = _transaction(request, database)
        found = database.transactions.read(transaction, lambda view: Answer([view.get(path) for path in paths]))
        moment = timestamp(self.clock.now())
        answer = messages.BatchGetDocumentsResponse
        responses = [answer(transaction=began, read_time=moment)] if began else []
        for path, document in zip(paths, found.documents, strict=True):
            if document is None:
                responses.append(answer(missing=document_name(request.database, path), read_time=moment))
            else:
                responses.append(answer(found=_masked(document, request), read_time=moment))
        return responses

    def run_query(self, request: Message) -> list[Message]:
        """Answer each document by itself, and the transaction that the call begins before them."""
        database, prepared = self._prepared(request, request.structured_query)
        check_indexes(prepared, database.store.settings, strict=self.strict_indexes)
        began, transaction = _transaction(request, database)
        answer = database.transactions.read(transaction, prepared.run)
        moment = timestamp(self.clock.now())
        first = [messages.RunQueryResponse(transaction=began, read_time=moment)] if began else []
        return first + _answers(answer, prepared, moment)

    def run_aggregation_query(self, request: Message) -> list[Message]:
        """Answer counts, sums and averages in one response."""
        asked = request.structured_aggregation_query
        database, prepared = self._prepared(request, asked.structured_query)
        fields = aggregated_fields(asked.aggregations)
        check_indexes(prepared, database.store.settings, fields, strict=self.strict_indexes)
        began, transaction = _transaction(request, database)
        answer = database.transactions.read(transaction, prepared.run)
        moment, response = timestamp(self.clock.now()), messages.RunAggregationQueryResponse
        result = {"aggregate_fields": aggregate(asked.aggregations, answer.documents)}
        return [response(transaction=began, result=result, read_time=moment)]

    def _prepared(self, request: Message, query: Message) -> tuple[Database, PreparedQuery]:
        if request.HasField("explain_options"):
            raise unknown("explain_options")
        name, parent = parse_parent(request.parent)
        return self.database(name), prepare(parent, query)

    def get_document(self, request: Message) -> Message:
        """Return one document. NOT_FOUND when it is missing."""
        name, path = parse_document(request.name)
        _, transaction = _transaction(request, self.database(name))
        [document] = self.database(name).transactions.read(transaction, lambda view: Answer([view.get(path)])).documents
        if document is None:
            raise Refused(grpc.StatusCode.NOT_FOUND, f'Document "{request.name}" not found.')
        return _masked(document, request)

    def create_document(self, request: Message) -> Message:
        """Make a document, with an id of 20 letters and digits when none is given. ALREADY_EXISTS when it is there."""
        database, parent = parse_parent(request.parent)
        last = request.document_id or "".join(secrets.choice(ID_LETTERS) for _ in range(ID_LENGTH))
        check_id(request.collection_id, "collection id")
        check_id(last, "document id")
        full = document_name(database, (*parent, request.collection_id, last))
        update = messages.Document(name=full, fields=request.document.fields)
        return self._write_one(messages.Write(update=update, current_document={"exists": False}), request)

    def update_document(self, request: Message) -> Message:
        """Replace a document, or the fields that a mask names, and return it."""
        write = messages.Write(update=request.document)
        for part in ("update_mask", "current_document"):
            if request.HasField(part):
                getattr(write, part).CopyFrom(getattr(request, part))
        return self._write_one(write, request)

    def delete_document(self, request: Message) -> Message:
        """Delete a document, there or not unless a precondition says so."""
        self._write_one(messages.Write(delete=request.name, current_document=request.current_document), request)
        return messages.Empty()

    def list_documents(self, request: Message) -> Message:
        """Return a page of a collection."""
        return list_documents(self.database(parse_parent(request.parent)[0]).store, request)

    def list_collection_ids(self, request: Message) -> Message:
        """Return a page of the collections below a document."""
        return list_collection_ids(self.database(parse_parent(request.parent)[0]).store, request)

    def get_field(self, request: Message) -> Message:
        """Return the indexes and the expiry of a field."""
        return get_field(self.database(parse_field(request.name)[0]).store.settings, request)

    def update_field(self, request: Message) -> Message:
        """Change the indexes or the expiry of a field."""
        return update_field(self.database(parse_field(request.field.name)[0]).store.settings, request)

    def _write_one(self, write: Message, request: Message) -> Message:
        name, path = parse_document(write.update.name or write.delete)
        database = self.database(name)
        self.write(database, [plan_write(write, name)])
        stored = database.store.documents.get(path)
        return None if stored is None else _masked(stored, request)


def _answers(answer: Answer, prepared: PreparedQuery, moment: Message) -> list[Message]:
    """A response for each document, or one without any. The first says how many were skipped."""
    shown = [each if prepared.projection is None else projected(each, prepared.projection) for each in answer.documents]
    responses = [messages.RunQueryResponse(document=each, read_time=moment) for each in shown or [None]]
    responses[0].skipped_results = answer.skipped
    return responses


def _transaction(request: Message, database: Database) -> tuple[bytes, bytes | None]:
    """Return the transaction that this call begins, if any, and the one that it reads in, if any."""
    match request.WhichOneof("consistency_selector"):
        case "transaction":
            return b"", request.transaction
        case "new_transaction":
            began = database.transactions.begin(request.new_transaction)
            return began, began
        case "read_time":
            raise unknown("reads at a read_time")
        case _:
            return b"", None


def _masked(document: DocumentMessage, request: Message) -> DocumentMessage:
    return projected(document, _paths(request.mask.field_paths)) if request.HasField("mask") else document


def _paths(texts: Iterable[str]) -> list[FieldPath]:
    return [parse_query_path(text) for text in texts]
