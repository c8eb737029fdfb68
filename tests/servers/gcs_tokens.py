"""The token endpoint, so that a service account's own key file works here (point its token_uri at /token), and IAM's signBlob."""

import base64
from urllib.parse import parse_qs

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from tests.servers.gcs_errors import GcsError, bad_request
from tests.servers.gcs_requests import MAX_JSON, Request, Response, json_response
from tests.servers.gcs_service import Service

TOKEN_PATH = "/token"
TOKEN_SECONDS = 3600
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
SIGNING_PATH = "/v1/projects/-/serviceAccounts/"
SIGN = ":signBlob"


def give_token(service: Service, request: Request) -> Response:
    """Give a bearer token for an assertion that a known account signed (RFC 7523). Raises a 400."""
    form = parse_qs(request.body.all(MAX_JSON).decode())
    if form.get("grant_type") != [GRANT] or "assertion" not in form:
        raise bad_request(f"the token endpoint knows the grant {GRANT} alone", reason="unsupported_grant_type")
    with service.lock:
        token = service.accounts.token_for(form["assertion"][0], service.clock.now() / 1_000_000)
    return json_response({"access_token": token, "expires_in": TOKEN_SECONDS, "token_type": "Bearer"})


def is_signing(request: Request) -> bool:
    """Whether a request asks IAM to sign, as it does at iamcredentials.googleapis.com."""
    return request.path.startswith(SIGNING_PATH) and request.path.endswith(SIGN)


def sign_blob(service: Service, request: Request, named: str) -> Response:
    """Sign bytes in the name of an account ("Method: projects.serviceAccounts.signBlob"). Raises a 403 for an unknown one."""
    request.only(())
    given = request.json()
    key = service.accounts.signers.get(named.removesuffix(SIGN))
    if key is None:
        message = "Permission 'iam.serviceAccounts.signBlob' denied on resource (or it may not exist)."
        raise GcsError(403, "forbidden", "PERMISSION_DENIED", message)
    if given.keys() - {"payload", "delegates"} or not isinstance(given.get("payload"), str):
        raise bad_request("signBlob takes a payload in base64")
    signature = key.sign(base64.b64decode(given["payload"], validate=True), PKCS1v15(), SHA256())
    return json_response({"keyId": "1", "signedBlob": base64.b64encode(signature).decode()})
