"""The token endpoint, so that a service account's own key file works here: point its token_uri at /token."""

from urllib.parse import parse_qs

from tests.servers.gcs_errors import bad_request
from tests.servers.gcs_requests import MAX_JSON, Request, Response, json_response
from tests.servers.gcs_service import Service

TOKEN_PATH = "/token"
TOKEN_SECONDS = 3600
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


def give_token(service: Service, request: Request) -> Response:
    """Give a bearer token for an assertion that a known account signed (RFC 7523). Raises a 400."""
    form = parse_qs(request.body.all(MAX_JSON).decode())
    if form.get("grant_type") != [GRANT] or "assertion" not in form:
        raise bad_request(f"the token endpoint knows the grant {GRANT} alone", reason="unsupported_grant_type")
    with service.lock:
        token = service.accounts.token_for(form["assertion"][0], service.clock.now() / 1_000_000)
    return json_response({"access_token": token, "expires_in": TOKEN_SECONDS, "token_type": "Bearer"})
