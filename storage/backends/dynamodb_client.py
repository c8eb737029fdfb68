"""The AWS SDK as a driver uses it: one session per source of credentials, a client built at first use, every error translated.

A process forked from one that has clients builds its own.
"""

import logging
import os
import threading
from functools import partial
from typing import Any, Final

from storage.backends.dynamodb_config import DynamoDBConfig
from storage.backends.dynamodb_errors import is_safe_to_show, translated
from storage.backends.forks import renew_after_fork
from storage.backends.service import CONNECT_SECONDS, READ_SECONDS, Unanswered
from storage.config import reveal
from storage.errors import BackendRejected, BackendUnavailable

MOST_CONNECTIONS: Final = 64
"""Kept open per client; threads beyond open connections of their own for one call."""

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
_ROLE_SESSION: Final = "northstar"
_NO_FILES: Final = {
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
}
"""The SDK's variables for its files, by name: no key in a file, no variable of the environment, this default, no conversion."""


class Sessions:
    """The SDK's sessions of this process: what credentials they have found, renew and share."""

    def __init__(self) -> None:
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Start empty: a lock or a renewal that was under way in the parent would never end here."""
        self._lock = threading.Lock()
        self._shared: dict[bool, Any] = {}

    def client(self, config: DynamoDBConfig) -> Any:
        """Build a client. Raises as the SDK does, or BackendRejected where it finds no credentials for a role."""
        with self._lock:  # building is not safe under threads
            keys = _keys(config)
            session = self._session(own_keys=bool(keys))
            if config.role_arn:
                session, keys = _with_role(session, keys, config), {}
            return _client(session, "dynamodb", config, config.endpoint, **keys)

    def _session(self, *, own_keys: bool) -> Any:
        """Return the session for routes with keys, which reads no file of the machine, or that of the platform's credentials."""
        if own_keys not in self._shared:
            self._shared[own_keys] = _new_session(own_keys=own_keys)
            # At DEBUG it writes down requests, answers and what is signed: documents, tokens and the keys of roles.
            logging.getLogger("botocore").setLevel(logging.INFO)
        return self._shared[own_keys]


def _new_session(*, own_keys: bool) -> Any:
    from botocore.session import Session  # noqa: PLC0415 - at first use

    return Session(session_vars=_NO_FILES if own_keys else None)


def _keys(config: DynamoDBConfig) -> dict[str, str]:
    given = {
        "aws_access_key_id": config.access_key_id,
        "aws_secret_access_key": config.secret_access_key,
        "aws_session_token": config.session_token,
    }
    return {name: reveal(secret) for name, secret in given.items() if secret is not None}


def _client(session: Any, service: str, config: DynamoDBConfig, endpoint: str | None, **keys: str) -> Any:
    from boto3 import Session  # noqa: PLC0415 - at first use
    from botocore.config import Config  # noqa: PLC0415

    settings = Config(
        account_id_endpoint_mode="disabled",
        connect_timeout=CONNECT_SECONDS,
        defaults_mode="legacy",
        endpoint_discovery_enabled=False,
        ignore_configured_endpoint_urls=True,
        max_pool_connections=MOST_CONNECTIONS,
        parameter_validation=service
        != "dynamodb",  # our items are made for the wire; checking each again costs as much
        proxies={} if endpoint else None,  # a named address is asked itself
        read_timeout=READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": 1},  # the SDK would send writes twice
        tcp_keepalive=True,
        use_dualstack_endpoint=False,
        use_fips_endpoint=False,
        user_agent_extra="northstar",
    )
    maker = Session(botocore_session=session)
    return maker.client(service, region_name=config.region, endpoint_url=endpoint, config=settings, **keys)


def _with_role(session: Any, keys: dict[str, str], config: DynamoDBConfig) -> Any:
    """Return a session that assumes the route's role with these keys, or with what the session has found."""
    from botocore import credentials  # noqa: PLC0415 - at first use

    source = session.get_credentials() if not keys else credentials.Credentials(*keys.values())
    if source is None:
        raise BackendRejected(
            "There are no AWS credentials here to assume the role with.", fix="Give the route an access key."
        )
    fetcher = credentials.AssumeRoleCredentialFetcher(
        partial(_sts_client, session, config),
        source,
        config.role_arn,
        extra_args={"RoleSessionName": _ROLE_SESSION}
        | ({"ExternalId": config.external_id} if config.external_id else {}),
    )
    assumed = credentials.DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")
    inner = _new_session(own_keys=bool(keys))
    inner.register_component("data_loader", session.get_component("data_loader"))
    inner.register_component("credential_provider", _Given(assumed))
    return inner


def _sts_client(session: Any, config: DynamoDBConfig, _service: str, **keys: str) -> Any:
    return _client(session, "sts", config, config.sts_endpoint, **keys)


class _Given:
    """The SDK's chain of credential providers, reduced to credentials that are there."""

    def __init__(self, credentials: Any) -> None:
        self._credentials = credentials

    def load_credentials(self) -> Any:
        return self._credentials


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
                self._client = _sessions.client(self._config)
            return self._client


def _check_origin(response: dict[str, Any]) -> None:
    """Refuse an answer with status 200 that is not of AWS, such as a proxy's page: it would read as "nothing there"."""
    from botocore.parsers import ResponseParserError  # noqa: PLC0415 - at first use

    if "RequestId" not in response["ResponseMetadata"]:
        raise ResponseParserError("no answer of AWS")


_sessions: Final = Sessions()
