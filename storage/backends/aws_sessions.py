"""The AWS SDK as drivers use it: one session per source of credentials, and nothing but a route's config says where to.

A process forked from one that has sessions makes its own.
"""

import logging
import os
import threading
from functools import partial
from typing import Any, Final

from storage.backends.aws_config import AwsAccess
from storage.backends.forks import renew_after_fork
from storage.backends.service import CONNECT_SECONDS, READ_SECONDS
from storage.config import reveal
from storage.errors import BackendRejected

MOST_CONNECTIONS: Final = 64
"""Kept open per client; threads beyond open connections of their own for one call."""
UNCHECKED: Final = frozenset({"dynamodb"})
"""Services whose drivers make their requests for the wire: to have the SDK check each again costs as much."""

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

    def client(self, service: str, config: AwsAccess) -> Any:
        """Build a client. Raises as the SDK does, or BackendRejected where it finds no credentials for a role."""
        with self._lock:  # building is not safe under threads
            keys = _keys(config)
            session = self._session(own_keys=bool(keys))
            if config.role_arn:
                session, keys = _with_role(session, keys, config), {}
            return _client(session, service, config, config.endpoint, **keys)

    def resource(self, service: str, config: AwsAccess) -> Any:
        """Build boto3's resource, over a session of its own. Raises as `client`."""
        import boto3  # noqa: PLC0415 - at first use

        with self._lock:
            keys = _keys(config)
            session = _new_session(own_keys=bool(keys))
            if config.role_arn:
                session, keys = _with_role(session, keys, config), {}
            settings = _settings(service, endpoint=config.endpoint)
            place = {"region_name": config.region, "endpoint_url": config.endpoint}
            return boto3.Session(botocore_session=session).resource(service, **place, config=settings, **keys)

    def credentials(self, config: AwsAccess) -> Any:
        """Return the SDK's credentials of a route, which renew themselves where they end; None where there are none.

        Raises as `client`.
        """
        from botocore import credentials  # noqa: PLC0415 - at first use

        with self._lock:
            keys = _keys(config)
            session = self._session(own_keys=bool(keys))
            if config.role_arn:
                return _with_role(session, keys, config).get_credentials()
            return credentials.Credentials(*keys.values()) if keys else session.get_credentials()

    def _session(self, *, own_keys: bool) -> Any:
        """Return the session for routes with keys, which reads no file of the machine, or that of the platform's credentials."""
        if own_keys not in self._shared:
            self._shared[own_keys] = _new_session(own_keys=own_keys)
            # At DEBUG it writes down requests, answers and what is signed: documents, tokens and the keys of roles.
            # At INFO it says where it found credentials, in the middle of what a command prints.
            logging.getLogger("botocore").setLevel(logging.WARNING)
        return self._shared[own_keys]


def _new_session(*, own_keys: bool) -> Any:
    from botocore.session import Session  # noqa: PLC0415 - at first use

    return Session(session_vars=_NO_FILES if own_keys else None)


def _keys(config: AwsAccess) -> dict[str, str]:
    given = {
        "aws_access_key_id": config.access_key_id,
        "aws_secret_access_key": config.secret_access_key,
        "aws_session_token": config.session_token,
    }
    return {name: reveal(secret) for name, secret in given.items() if secret is not None}


def _client(session: Any, service: str, config: AwsAccess, endpoint: str | None, **keys: str) -> Any:
    settings = _settings(service, endpoint=endpoint)
    return session.create_client(service, region_name=config.region, endpoint_url=endpoint, config=settings, **keys)


def _settings(service: str, *, endpoint: str | None) -> Any:
    from botocore.config import Config  # noqa: PLC0415 - at first use

    return Config(
        account_id_endpoint_mode="disabled",
        connect_timeout=CONNECT_SECONDS,
        defaults_mode="legacy",
        endpoint_discovery_enabled=False,
        ignore_configured_endpoint_urls=True,
        max_pool_connections=MOST_CONNECTIONS,
        parameter_validation=service not in UNCHECKED,
        proxies={} if endpoint else None,  # a named address is asked itself
        read_timeout=READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": 1},  # the SDK would send writes twice
        s3={"addressing_style": "path" if endpoint else "virtual", "us_east_1_regional_endpoint": "regional"},
        tcp_keepalive=True,
        use_dualstack_endpoint=False,
        use_fips_endpoint=False,
        user_agent_extra="northstar",
    )


def _with_role(session: Any, keys: dict[str, str], config: AwsAccess) -> Any:
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


def _sts_client(session: Any, config: AwsAccess, _service: str, **keys: str) -> Any:
    return _client(session, "sts", config, config.sts_endpoint, **keys)


class _Given:
    """The SDK's chain of credential providers, reduced to credentials that are there."""

    def __init__(self, credentials: Any) -> None:
        self._credentials = credentials

    def load_credentials(self) -> Any:
        return self._credentials


sessions: Final = Sessions()
