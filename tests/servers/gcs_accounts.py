"""Who may sign: service accounts by their e-mail address, with the public half of their key; and the bearer tokens given out."""

import base64
import binascii
import json
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from tests.servers.gcs_errors import GcsError, unauthorized

AUDIENCE = "https://oauth2.googleapis.com/token"
"""Whom an assertion is for, wherever it is sent ("Using OAuth 2.0 for server to server applications")."""
SERVICE = "https://storage.googleapis.com/"
SCOPES = frozenset(
    f"https://www.googleapis.com/auth/{name}"
    for name in ("cloud-platform", "devstorage.full_control", "devstorage.read_write")
)
"""What a token that an account signs itself is for: this service, or one of the scopes that allow reading and writing."""


@dataclass
class Accounts:
    """Public keys by e-mail. With `tokens` a caller of the JSON API needs one of them; without any, everybody may call."""

    keys: dict[str, RSAPublicKey] = field(default_factory=dict)
    signers: dict[str, RSAPrivateKey] = field(default_factory=dict, repr=False)
    """Accounts in whose name IAM signs, for a caller who may: those of `add_file`."""
    tokens: set[str] = field(default_factory=set, repr=False)
    guarded: bool = False

    @classmethod
    def with_token(cls, token: str | None) -> "Accounts":
        return cls(tokens={token} if token else set(), guarded=bool(token))

    def add_public(self, email: str, pem: bytes) -> None:
        """Know an account by its public key. Raises TypeError for what is no RSA key."""
        key = load_pem_public_key(pem)
        if not isinstance(key, RSAPublicKey):
            raise TypeError("the key is no RSA key")
        self.keys[email] = key

    def add_file(self, path: Path) -> None:
        """Know an account by the JSON file that Google gives out for it, and sign for it as IAM does."""
        account = json.loads(path.read_text(encoding="utf-8"))
        key = load_pem_private_key(account["private_key"].encode(), password=None)
        if not isinstance(key, RSAPrivateKey):
            raise TypeError("the key is no RSA key")
        self.keys[account["client_email"]] = key.public_key()
        self.signers[account["client_email"]] = key

    def signed(self, email: str, message: bytes, signature: bytes) -> bool:
        """Whether this account signed the message (RSASSA-PKCS1-v1_5 with SHA-256)."""
        key = self.keys.get(email)
        if key is None:
            return False
        try:
            key.verify(signature, message, PKCS1v15(), SHA256())
        except InvalidSignature:
            return False
        return True

    def check_bearer(self, authorization: str | None, now: float) -> None:
        """Raise a 401 for a caller without the right token, where tokens are asked for.

        That is one which was given out, or one that an account has signed itself for this service (AIP-4111).
        """
        scheme, _, token = (authorization or "").partition(" ")
        if self.guarded and (scheme != "Bearer" or not (token in self.tokens or self._signed_itself(token, now))):
            raise unauthorized()

    def _signed_itself(self, token: str, now: float) -> bool:
        try:
            claims = self._claims(token, now)
        except GcsError:
            return False
        scopes = set(str(claims.get("scope", "")).split())
        return claims.get("sub") == claims["iss"] and bool(claims.get("aud") == SERVICE or scopes & SCOPES)

    def token_for(self, assertion: str, now: float) -> str:
        """Give a token for a signed assertion (RFC 7523, as Google's token endpoint does). Raises a 400."""
        if self._claims(assertion, now).get("aud") != AUDIENCE:
            raise _invalid_grant("Invalid JWT: its audience is wrong")
        token = secrets.token_urlsafe(24)
        self.tokens.add(token)
        return token

    def _claims(self, assertion: str, now: float) -> dict[str, Any]:
        """Return what a known account claims in a JWT that it has signed and that is in time. Raises a 400."""
        try:
            signed, _, signature = assertion.rpartition(".")
            claims: dict[str, Any] = json.loads(_unpadded(signed.split(".")[1]))
            valid = self.signed(claims["iss"], signed.encode(), _unpadded(signature))
            timely = claims["iat"] - 300 <= now <= min(claims["exp"], claims["iat"] + 3600)
        except (ValueError, KeyError, IndexError, TypeError):
            raise _invalid_grant("Invalid JWT") from None
        if not valid:
            raise _invalid_grant("Invalid JWT Signature")
        if not timely:
            raise _invalid_grant("Invalid JWT: its time is wrong")
        return claims


def _unpadded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _invalid_grant(why: str) -> GcsError:
    return GcsError(400, "invalid_grant", "InvalidArgument", why)


def hex_signature(text: str) -> bytes | None:
    """Return a signature that is written in hexadecimal digits, None for what is not."""
    try:
        return binascii.unhexlify(text)
    except ValueError:
        return None
