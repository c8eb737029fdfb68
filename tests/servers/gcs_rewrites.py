"""Rewrites that take several calls: a token stands for what has been copied so far ("Objects: rewrite")."""

import secrets
from dataclasses import dataclass, field

from tests.servers.gcs_errors import GcsError, bad_request

MIB = 1024 * 1024


@dataclass(frozen=True)
class Step:
    """What one call asks for: the generation it copies, where to, and how many bytes it may copy."""

    source: tuple[str, str, int]
    target: tuple[str, str]
    size: int
    limit: int


@dataclass
class Rewrites:
    """The rewrites under way: what was asked for and the bytes copied so far, by token."""

    begun: dict[str, tuple[Step, int]] = field(default_factory=dict)

    def advance(self, step: Step, token: str | None) -> tuple[int, str | None]:
        """Copy on. Return the bytes copied so far, and the token for the next call: None when all is copied.

        Raises a 410 for a token that is not known, a 400 for one of another rewrite.
        """
        done = 0
        if token is not None:
            if token not in self.begun:
                raise GcsError(410, "invalid", "InvalidArgument", "The rewrite token is no longer available.")
            began, done = self.begun[token]
            if began != step:
                raise bad_request("The rewrite token is one of another rewrite")
            del self.begun[token]
        done = min(step.size, done + step.limit)
        if done == step.size:
            return done, None
        token = secrets.token_urlsafe(24)
        self.begun[token] = step, done
        return done, token


def call_limit(asked: int | None) -> int | None:
    """Return maxBytesRewrittenPerCall. Raises a 400 unless it is a multiple of 1 MiB."""
    if asked is not None and (asked == 0 or asked % MIB):
        raise bad_request("maxBytesRewrittenPerCall must be a multiple of 1 MiB")
    return asked
