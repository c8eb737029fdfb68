"""Requests that are signed here and sent by anybody: V4 signatures and form policies, made by Google's SDK.

A service account's key signs on the spot. Without one, IAM signs in the name of the account that the platform is, or that the
route names: one call to Google, and none to Cloud Storage.
"""

import json
from base64 import b64decode, b64encode
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final

from storage.backends.gcs_client import GcsConnection, token_requests
from storage.backends.gcs_errors import Sent, understood
from storage.blobs import Grant, Presigned
from storage.errors import BackendRejected, BackendUnavailable

IAM: Final = "https://iamcredentials.googleapis.com"

_OK: Final = 200
_FIX: Final = (
    "Give the route a service account key, or name its signing account and give the platform's identity the role Service Account "
    "Token Creator on it."
)


def presigned(
    connection: GcsConnection, client: Any, name: str, grant: Grant, signing_account: str | None
) -> Presigned:
    """Return a request that does what is granted on this object, and nothing else.

    Cloud Storage refuses another method, name, type, or length, and what comes too late. The SHA-256 binds a PUT; a form has no
    field for it. Raises BackendRejected where nobody can sign.
    """
    signer = _signer(connection, signing_account)
    blob, lifetime = client.bucket(connection.bucket).blob(name), timedelta(seconds=grant.seconds)
    expires_at = datetime.now(UTC).replace(microsecond=0) + lifetime
    if grant.method == "POST":
        form = _form(blob, grant, signer, lifetime)
        return Presigned("POST", form["url"], expires_at, fields=form["fields"])
    headers = _headers(grant) if grant.method == "PUT" else {}
    url = blob.generate_signed_url(
        version="v4",
        expiration=lifetime,
        method=grant.method,
        headers=dict(headers),
        response_disposition="attachment" if grant.method == "GET" else None,  # as our own server answers it
        credentials=signer,
        api_access_endpoint=connection.endpoint,
    )
    return Presigned(grant.method, url, expires_at, headers=headers)


def _headers(grant: Grant) -> dict[str, str]:
    given = {
        "content-type": grant.content_type,
        "x-goog-content-length-range": None if grant.max_bytes is None else f"0,{grant.max_bytes}",
        "x-goog-content-sha256": grant.sha256,
    }
    return {name: value for name, value in given.items() if value is not None}


def _form(blob: Any, grant: Grant, signer: Any, lifetime: timedelta) -> Any:
    bounds = [] if grant.max_bytes is None else [["content-length-range", 0, grant.max_bytes]]
    fields = {} if grant.content_type is None else {"content-type": grant.content_type}
    return blob.client.generate_signed_post_policy_v4(
        blob.bucket.name, blob.name, expiration=lifetime, conditions=bounds, fields=fields, credentials=signer
    )


def _signer(connection: GcsConnection, account: str | None) -> Any:
    """Return what signs: the key, or IAM in the name of an account."""
    from google.oauth2.service_account import Credentials  # noqa: PLC0415 - the SDK is imported at first use

    credentials = connection.credentials()
    if isinstance(credentials, Credentials):
        return credentials
    email = account or _own_account(connection, credentials)
    if email is None:
        raise BackendRejected("These credentials cannot sign requests.", fix=_FIX)
    return _iam_signer()(connection, email)


def _own_account(connection: GcsConnection, credentials: Any) -> str | None:
    """Return the e-mail of the platform's own service account. A machine's is known once it has a token."""
    email = getattr(credentials, "service_account_email", None)
    if email == "default":
        connection.token()
        email = credentials.service_account_email
    return email if isinstance(email, str) and "@" in email else None


@cache
def _iam_signer() -> Any:
    from google.auth.credentials import Signing  # noqa: PLC0415 - the SDK is imported at first use

    class IamSigner(Signing):
        """Signs by IAM's signBlob, with a token of the platform's."""

        signer = None

        def __init__(self, connection: GcsConnection, email: str) -> None:
            self._connection = connection
            self._email = email

        @property
        def signer_email(self) -> str:
            return self._email

        def sign_bytes(self, message: bytes) -> bytes:
            return _signed_by_iam(self._connection, self._email, message)

    return IamSigner


def _signed_by_iam(connection: GcsConnection, email: str, message: bytes) -> bytes:
    from google.auth.exceptions import TransportError  # noqa: PLC0415 - the SDK is imported at first use

    try:
        response = token_requests()(
            url=f"{IAM}/v1/projects/-/serviceAccounts/{email}:signBlob",
            method="POST",
            headers={"authorization": connection.token(), "content-type": "application/json"},
            body=json.dumps({"payload": b64encode(message).decode()}).encode(),
        )
    except TransportError:
        raise BackendUnavailable("IAM did not answer: the request is not signed.") from None
    if response.status != _OK:
        raise BackendRejected(f"IAM refused to sign as {email} with status {response.status}.", fix=_FIX)
    with understood(Sent.READ):
        return b64decode(json.loads(response.data)["signedBlob"])
