"""Answers that no DynamoDB server for tests gives, put where botocore sends: its retries and its parsing are the real ones."""

import json
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import ReadTimeoutError
from botocore.hooks import BaseEventHooks
from botocore.httpsession import URLLib3Session

CONTENT_TYPE = "application/x-amz-json-1.0"
LOST_ROUNDS = 100
LEFT_OVER = {"BatchWriteItem": "UnprocessedItems", "BatchGetItem": "UnprocessedKeys"}

Answer = Callable[[AWSPreparedRequest], AWSResponse]


@dataclass
class Body:
    """The body of an answer, as botocore reads it from the network."""

    content: bytes

    def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
        yield self.content


@dataclass
class AwsFaults:
    """Faults of the clients whose events these are: `client.meta.events`, or a boto3 session's `events` before it makes clients.

    What is asked for first happens first. `times` counts attempts, and botocore makes several for one call.
    """

    events: BaseEventHooks
    attempts: Counter[str] = field(default_factory=Counter)
    """How often each operation was sent, or would have been; retries are attempts."""
    late_statuses: list[int] = field(default_factory=list)
    """What the server answered to requests that arrived late."""
    _waiting: dict[str, deque[Answer]] = field(default_factory=lambda: defaultdict(deque))

    def __post_init__(self) -> None:
        self.events.register("before-send.dynamodb", self._before_send)

    def error(self, operation: str, code: str, *, status: int = 400, times: int = 1, **details: Any) -> None:
        """Answer with the error, such as ProvisionedThroughputExceededException, without asking the server."""
        content = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": f"injected {code}", **details}
        self._waiting[operation].extend([lambda request: _response(request, status, content)] * times)

    def throttle(self, operation: str, times: int = 1) -> None:
        """Answer ThrottlingException."""
        self.error(operation, "ThrottlingException", times=times)

    def internal_error(self, operation: str, times: int = 1) -> None:
        """Answer 500 InternalServerError, which may mean that the server has done it, or not; here it has not."""
        self.error(operation, "InternalServerError", status=500, times=times)

    def unavailable(self, operation: str, times: int = 1) -> None:
        """Answer 503 ServiceUnavailable."""
        self.error(operation, "ServiceUnavailable", status=503, times=times)

    def cancel_transaction(self, *codes: str, times: int = 1) -> None:
        """Cancel TransactWriteItems for these reasons, one per item: TransactionConflict, None, ThrottlingError …"""
        reasons = [
            {"Code": code} if code == "None" else {"Code": code, "Message": f"injected {code}"} for code in codes
        ]
        self.error("TransactWriteItems", "TransactionCanceledException", CancellationReasons=reasons, times=times)

    def process_only(self, operation: str, count: int, times: int = 1) -> None:
        """Let the server do the first `count` requests of a BatchWriteItem or keys of a BatchGetItem; the rest is unprocessed."""
        self._waiting[operation].extend([lambda request: _partly(operation, request, count)] * times)

    def lose_answers(self, operation: str, every: int) -> None:
        """Let the server do each request of so many, and the client never hear of every last one."""
        for _ in range(LOST_ROUNDS):
            self._waiting[operation].extend([_sent] * (every - 1) + [_sent_unheard])

    def arrive_late(self, operation: str, before: str) -> None:
        """Let a request wait on its way until the client has given it up; it arrives just before the next `before` is sent."""
        held: list[AWSPreparedRequest] = []

        def hold(request: AWSPreparedRequest) -> AWSResponse:
            held.append(request)
            self._waiting[before].appendleft(deliver)
            raise ReadTimeoutError(endpoint_url=request.url)

        def deliver(request: AWSPreparedRequest) -> AWSResponse:
            self.late_statuses.append(_sent(held[0]).status_code)
            return _sent(request)

        self._waiting[operation].append(hold)

    def _before_send(self, request: AWSPreparedRequest, event_name: str, **_: Any) -> AWSResponse | None:
        operation = event_name.rpartition(".")[2]
        self.attempts[operation] += 1
        waiting = self._waiting[operation]
        return waiting.popleft()(request) if waiting else None


def _sent(request: AWSPreparedRequest) -> AWSResponse:
    return URLLib3Session().send(request)


def _sent_unheard(request: AWSPreparedRequest) -> AWSResponse:
    _sent(request)
    raise ReadTimeoutError(endpoint_url=request.url)


def _response(request: AWSPreparedRequest, status: int, content: Any) -> AWSResponse:
    headers = {"content-type": CONTENT_TYPE, "x-amzn-requestid": "injected"}
    return AWSResponse(request.url, status, headers, Body(json.dumps(content).encode()))


def _partly(operation: str, request: AWSPreparedRequest, count: int) -> AWSResponse:
    """Send a smaller request and complete its answer; nobody checks the signature, which covers the whole one."""
    asked = json.loads(request.body)
    done, left = _divided(asked["RequestItems"], count)
    answer: dict[str, Any] = {"Responses": {}} if operation == "BatchGetItem" else {}
    if done:
        smaller = AWSPreparedRequest(
            request.method, request.url, request.headers, json.dumps({**asked, "RequestItems": done}).encode(), False
        )
        smaller.headers["Content-Length"] = str(len(smaller.body))
        response = URLLib3Session().send(smaller)
        answer = json.loads(response.content)
        if response.status_code != 200:
            return _response(request, response.status_code, answer)
    return _response(request, 200, {**answer, LEFT_OVER[operation]: left})


def _divided(items: dict[str, Any], count: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Divide the requests of each table behind the first `count` of them all."""
    done: dict[str, Any] = {}
    left: dict[str, Any] = {}
    for table, wanted in items.items():
        entries = wanted["Keys"] if isinstance(wanted, dict) else wanted
        for part, entries_of_part in ((done, entries[:count]), (left, entries[count:])):
            if entries_of_part:
                part[table] = {**wanted, "Keys": entries_of_part} if isinstance(wanted, dict) else entries_of_part
        count = max(0, count - len(entries))
    return done, left
