"""The messages of google.firestore.v1, taken from the SDK: bare protobuf classes, which are quicker than its wrappers.

Protobuf builds its classes at run time, so that a type checker knows nothing about them. The aliases say what is meant.
"""

from typing import Any, TypeAlias

from google.cloud.firestore_v1.types import document, firestore, query, write
from google.protobuf import empty_pb2, timestamp_pb2  # type: ignore[import-untyped]

Message: TypeAlias = Any
"""Any protobuf message."""
DocumentMessage: TypeAlias = Any
"""google.firestore.v1.Document"""
ValueMessage: TypeAlias = Any
"""google.firestore.v1.Value"""
Fields: TypeAlias = Any
"""The map from field names to values of a document or of a map value."""
WriteMessage: TypeAlias = Any
"""google.firestore.v1.Write"""
QueryMessage: TypeAlias = Any
"""google.firestore.v1.StructuredQuery"""

Document = document.Document.pb()
Value = document.Value.pb()
Write = write.Write.pb()
WriteResult = write.WriteResult.pb()
Query = query.StructuredQuery.pb()

Direction = query.StructuredQuery.Direction
Comparison = query.StructuredQuery.FieldFilter.Operator
Test = query.StructuredQuery.UnaryFilter.Operator
Junction = query.StructuredQuery.CompositeFilter.Operator

BatchGetDocumentsResponse = firestore.BatchGetDocumentsResponse.pb()
BatchWriteResponse = firestore.BatchWriteResponse.pb()
BeginTransactionResponse = firestore.BeginTransactionResponse.pb()
Empty = empty_pb2.Empty
CommitResponse = firestore.CommitResponse.pb()
ListCollectionIdsResponse = firestore.ListCollectionIdsResponse.pb()
ListDocumentsResponse = firestore.ListDocumentsResponse.pb()
RunAggregationQueryResponse = firestore.RunAggregationQueryResponse.pb()
RunQueryResponse = firestore.RunQueryResponse.pb()


def timestamp(microseconds: int) -> Message:
    """Return the moment that lies so many microseconds after 1970 in UTC."""
    moment = timestamp_pb2.Timestamp()
    moment.FromMicroseconds(microseconds)
    return moment
