"""Who a driver of Google's is: a service account by its key, or the identity that the platform gives a workload or machine."""

import json
from collections.abc import Sequence
from typing import Any, Final

from storage.config import Secret, reveal
from storage.errors import BackendRejected

_TOKEN_URI: Final = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
_KEY_FIX: Final = "Give the JSON of a service account key, or run where Google Cloud gives the machine an identity."


def google_credentials(key: Secret | None, scopes: Sequence[str], *, service: str) -> Any:
    """Return the credentials of a key, or without one the platform's own.

    Those of a key sign their own tokens: no address in it is ever called. Raises BackendRejected where there are none.
    """
    from google.auth import default  # noqa: PLC0415 - the SDK is imported at first use
    from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415
    from google.oauth2.service_account import Credentials  # noqa: PLC0415

    try:
        if key is None:
            return default(scopes=scopes)[0]
        info = {**json.loads(reveal(key)), "token_uri": _TOKEN_URI}
        build: Any = Credentials.from_service_account_info  # it has no types
        return build(info, scopes=scopes, always_use_jwt_access=True)
    except (GoogleAuthError, TypeError, ValueError):  # whose text may repeat the key
        raise BackendRejected(f"There are no usable credentials for {service}.", fix=_KEY_FIX) from None
