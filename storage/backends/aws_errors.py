"""Errors of the AWS SDK that mean the same for every service, in the words of `storage.errors`.

Only codes are repeated: a message may hold what was signed.
"""

from typing import Final

from storage.backends.service import Unanswered
from storage.errors import BackendRejected, BackendUnavailable

NOT_SIGNED: Final = frozenset(
    {
        "AuthFailure",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "IncompleteSignatureException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "InvalidToken",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
        "TokenRefreshRequired",
        "UnrecognizedClientException",
    }
)
DENIED: Final = frozenset({"AccessDenied", "AccessDeniedException", "AllAccessDisabled", "UnauthorizedOperation"})
THROTTLED: Final = frozenset(
    {
        "LimitExceededException",
        "RequestLimitExceeded",
        "ThrottledException",
        "Throttling",
        "ThrottlingError",
        "ThrottlingException",
        "TooManyRequests",
        "TooManyRequestsException",
    }
)
"""None of these calls was done."""
ASSUME_ROLE: Final = "AssumeRole"


def of_sdk(error: Exception, service: str) -> Exception:
    """Translate an error of the SDK that is no answer of AWS: what went wrong on this side, or on the way."""
    from botocore import exceptions as sdk  # noqa: PLC0415 - at first use

    match error:
        case sdk.EndpointConnectionError() | sdk.ConnectTimeoutError() | sdk.ProxyConnectionError():
            return unreachable(service)
        case sdk.SSLError() if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return untrusted()
        case sdk.HTTPClientError() | sdk.ConnectionError() | sdk.IncompleteReadError() | sdk.ChecksumError():
            return Unanswered(f"{service} did not answer in time.")
        case (
            sdk.NoCredentialsError()
            | sdk.PartialCredentialsError()
            | sdk.CredentialRetrievalError()
            | sdk.MetadataRetrievalError()
            | sdk.TokenRetrievalError()
            | sdk.SSOError()
        ):
            return no_credentials(type(error).__name__)
        case sdk.BotoCoreError():
            return BackendRejected(
                f"The AWS SDK refused the call ({type(error).__name__}).", fix="Check the route's config."
            )
    return Unanswered(f"What answered is not {service}.", fix="Check the endpoint, and proxies on the way.")


def of_credentials(error: Exception) -> Exception:
    """Translate an error of whoever hands out a route's keys: the service itself was not asked yet."""
    from botocore.exceptions import ClientError  # noqa: PLC0415 - at first use

    if isinstance(error, ClientError):
        code = error.response.get("Error", {}).get("Code", "")
        if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500 or code in THROTTLED:
            return BackendUnavailable(f"AWS does not hand out the role's keys now ({code}).")
        return role_refusal(code)
    told = of_sdk(error, "AWS STS")
    return BackendUnavailable(told.detail, fix=told.fix) if isinstance(told, Unanswered) else told


def unreachable(service: str) -> BackendUnavailable:
    """No connection was made."""
    return BackendUnavailable(f"{service} cannot be reached.", fix="Check the region, the endpoint and the network.")


def untrusted() -> BackendRejected:
    """The endpoint's certificate is none that this machine trusts."""
    return BackendRejected("The endpoint's certificate is not trusted.", fix="Check the endpoint, or add its CA.")


def no_credentials(reason: str) -> BackendRejected:
    """The SDK has found no credentials."""
    return BackendRejected(
        f"There are no AWS credentials here ({reason}).", fix="Give the route an access key, or the server a role."
    )


def is_safe_to_show(error: Exception) -> bool:
    """Whether the SDK's own text holds no secret and no data: AWS repeats what was signed, a helper program what it printed."""
    from botocore import exceptions as sdk  # noqa: PLC0415 - at first use

    if isinstance(error, sdk.ClientError):
        return error.response.get("Error", {}).get("Code") not in NOT_SIGNED
    return isinstance(error, sdk.HTTPClientError | sdk.ConnectionError)


def access_refusal(code: str, operation: str, *, action: str, resource: str) -> BackendRejected | None:
    """Return what to raise where AWS does not take the caller for one who may; None for any other code.

    `action` is what the IAM policy must allow, on the `resource`.
    """
    if operation == ASSUME_ROLE:
        return role_refusal(code)
    if code in NOT_SIGNED:
        return BackendRejected(
            f"AWS does not accept the credentials ({code}).", fix="Check the route's keys, and the server's clock."
        )
    if code in DENIED:
        return BackendRejected(
            f"AWS does not allow {operation} ({code}).", fix=f"Allow {action} on {resource} in the IAM policy."
        )
    return None


def role_refusal(code: str) -> BackendRejected:
    """The route's role was not handed out."""
    return BackendRejected(
        f"The role cannot be assumed ({code}).", fix="Check role_arn, external_id and its trust policy."
    )
