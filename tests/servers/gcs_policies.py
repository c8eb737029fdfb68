"""Signed policy documents of HTML forms: what the policy does not allow, and what it does not mention, is refused."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.servers.gcs_accounts import Accounts, hex_signature
from tests.servers.gcs_errors import GcsError, malformed, not_modelled
from tests.servers.gcs_requests import parse_object
from tests.servers.gcs_signatures import ALGORITHM, Credential, does_not_match, expired, moment

UNMENTIONED = frozenset({"policy", "x-goog-signature", "file"})
"""Fields that the policy need not mention, as are those that begin with x-ignore-."""
NEEDED = ("key", "policy", "x-goog-algorithm", "x-goog-credential", "x-goog-date", "x-goog-signature")


@dataclass(frozen=True)
class Policy:
    """A policy that is signed and in time. `smallest` and `largest` are the bytes that the file may have."""

    smallest: int
    largest: int

    @classmethod
    def checked(cls, fields: Mapping[str, str], bucket: str, accounts: Accounts, now: float) -> "Policy":
        """Verify a form but for its file. Raises a 403 SignatureDoesNotMatch, a 400 InvalidPolicyDocument or ExpiredToken.

        `fields` has names in lower case.
        """
        for name in NEEDED:
            if name not in fields:
                raise _unmet(f"Missing {name}")
        _check_signature(fields, accounts)
        policy = _parsed(fields["policy"])
        _check_expiration(policy.get("expiration"), now)
        return cls(*_check_conditions(policy.get("conditions"), {**fields, "bucket": bucket}))


def _check_signature(fields: Mapping[str, str], accounts: Accounts) -> None:
    if fields["x-goog-algorithm"] != ALGORITHM:
        raise not_modelled(f"the algorithm {fields['x-goog-algorithm']}, only {ALGORITHM}")
    moment(fields["x-goog-date"], "x-goog-date")
    credential = Credential.parsed(fields["x-goog-credential"], fields["x-goog-date"])
    signature = hex_signature(fields["x-goog-signature"])
    if signature is None or not accounts.signed(credential.email, fields["policy"].encode(), signature):
        raise does_not_match(fields["policy"])


def _parsed(policy: str) -> dict[str, Any]:
    try:
        return parse_object(base64.b64decode(policy, validate=True))
    except (ValueError, GcsError):
        raise _unmet("The policy is not JSON in base64") from None


def _check_expiration(expiration: Any, now: float) -> None:
    try:
        ends = datetime.fromisoformat(str(expiration))
    except ValueError:
        raise malformed("policy", f"{expiration} is no moment in ISO 8601") from None
    if ends.tzinfo is None:
        raise malformed("policy", f"{expiration} names no time zone")
    if now >= ends.timestamp():
        raise expired(f"The policy expired at {expiration}")


def _check_conditions(conditions: Any, fields: Mapping[str, str]) -> tuple[int, int]:
    """Return the range of the file's size."""
    if not isinstance(conditions, list):
        raise _unmet("The policy has no conditions")
    smallest, largest = 0, 2**63
    mentioned = set()
    for operator, name, value in map(_condition, conditions):
        if operator == "content-length-range":
            smallest, largest = max(smallest, int(name)), min(largest, int(value))
            continue
        mentioned.add(name)
        held = fields.get(name, "")
        if not (held.startswith(value) if operator == "starts-with" else held == value):
            raise _unmet(f'The condition ["{operator}", "${name}", "{value}"] does not hold')
    unmentioned = {name for name in fields.keys() - mentioned - UNMENTIONED if not name.startswith("x-ignore-")}
    if unmentioned - {"bucket"}:
        raise _unmet(f"Policy did not reference these fields: {', '.join(sorted(unmentioned - {'bucket'}))}")
    return smallest, largest


def _condition(condition: Any) -> tuple[str, str, str]:
    """Return operator, field in lower case, and value; of content-length-range the two bounds."""
    if isinstance(condition, Mapping) and len(condition) == 1:
        [(name, value)] = condition.items()
        return "eq", str(name).lower(), str(value)
    if isinstance(condition, list) and len(condition) == 3:
        operator, name, value = condition
        if operator == "content-length-range" and isinstance(name, int) and isinstance(value, int):
            return operator, str(name), str(value)
        if operator in {"eq", "starts-with"} and str(name).startswith("$"):
            return operator, str(name)[1:].lower(), str(value)
    raise _unmet(f"The policy has a condition that makes no sense: {condition}")


def _unmet(details: str) -> GcsError:
    message = "The content of the form does not meet the conditions specified in the policy document."
    return GcsError(400, "invalid", "InvalidPolicyDocument", message, details=details)
