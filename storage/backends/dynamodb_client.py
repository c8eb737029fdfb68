"""The SDK's client of DynamoDB: built at first use, every error translated.

A process forked from one that has clients builds its own.
"""

import threading
from typing import Any, Final

from storage.backends import aws_sessions
from storage.backends.aws_errors import is_safe_to_show
from storage.backends.dynamodb_config import DynamoDBConfig
from storage.backends.dynamodb_errors import translated
from storage.backends.forks import renew_after_fork
from storage.backends.service import Unanswered
from storage.errors import BackendUnavailable

_READS: Final = frozenset(
    {
        "batch_get_item",
        "describe_continuous_backups",
        "describe_table",
        "describe_time_to_live",
        "get_item",
        "query",
        "transact_get_items",
    }
)


class Connection:
    """The client of one driver, and the one place where its errors are translated."""

    def __init__(self, config: DynamoDBConfig) -> None:
        self._config = config
        self._lock = threading.Lock()
        self._client: Any = None
        self._inherited: Any = None
        self._closed = False
        renew_after_fork(self)

    def client(self) -> Any:
        """Return the client, built at first use. Raises BackendUnavailable once the connection is closed, or as the SDK does."""
        return self._client or self._opened()

    def send(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """Call an operation of the client and return its answer.

        Raises Unanswered for a write that may have happened, Throttled or BackendUnavailable for what has not, BackendRejected,
        ConditionFailed or Outrun.
        """
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - at first use
        from botocore.parsers import ResponseParserError  # noqa: PLC0415

        try:
            response: dict[str, Any] = getattr(self.client(), operation)(**parameters)
            _check_origin(response)
        except (BotoCoreError, ClientError, ResponseParserError) as error:
            told = translated(error)
            if isinstance(told, Unanswered) and operation in _READS:
                told = BackendUnavailable(told.detail, fix=told.fix)
            raise told from (error if is_safe_to_show(error) else None)
        return response

    def close(self) -> None:
        with self._lock:
            self._closed, client, self._client = True, self._client, None
        if client is not None:
            client.close()

    def after_fork(self) -> None:
        """Leave the parent's client alone: closing its connections here would end them there."""
        self._lock = threading.Lock()
        self._inherited, self._client = self._client, None

    def _opened(self) -> Any:
        with self._lock:
            if self._closed:
                raise BackendUnavailable("This store is closed: its route has changed.", fix="Open it again.")
            if self._client is None:
                self._client = aws_sessions.sessions.client("dynamodb", self._config)
            return self._client


def _check_origin(response: dict[str, Any]) -> None:
    """Refuse an answer with status 200 that is not of AWS, such as a proxy's page: it would read as "nothing there"."""
    from botocore.parsers import ResponseParserError  # noqa: PLC0415 - at first use

    if "RequestId" not in response["ResponseMetadata"]:
        raise ResponseParserError("no answer of AWS")
