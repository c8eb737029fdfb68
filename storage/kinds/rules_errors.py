"""What rules, their cache and their files answer besides a value: all below BlueStarError, so that an agent catches one class."""

from collections.abc import Sequence
from typing import Any, ClassVar

from northstar.errors import FieldError, NorthstarError


class BlueStarError(NorthstarError):
    """The root of every error of rules, their cache and their files. No error of a library ever comes out of them."""

    title: ClassVar[str] = "Rules error"


class RuleNotFoundError(BlueStarError):
    """Neither the client nor anybody that it falls back to has the rule on that day; the same for a pipeline or a year."""

    code, status, title = "RULE_NOT_FOUND", 404, "Rule not found"


class NotPublishedError(RuleNotFoundError):
    """The year's figures are not published yet; `last_known_year` is the newest year that has some. Nothing is extrapolated."""

    code, title = "NOT_PUBLISHED", "Not published yet"

    def __init__(self, year: int, last_known_year: int) -> None:
        super().__init__(
            f"No limits are published for {year}; the last known year is {last_known_year}.",
            fix="Publish them when the authority has, or ask for a year that has figures.",
        )
        self.year = year
        self.last_known_year = last_known_year

    def facts(self) -> dict[str, Any]:
        return {"year": self.year, "last_known_year": self.last_known_year}


class RulesRefused(BlueStarError):
    """What is to be published breaks a rule of the store: periods that overlap, a chain that leads back to itself."""

    code, status, title = "INVALID_REQUEST", 400, "Invalid rules"
    usual_fix = "Correct the changes in `errors`."

    @classmethod
    def over(cls, errors: Sequence[FieldError]) -> "RulesRefused":
        """Return the refusal of these changes, named by their place in the request."""
        told = "; ".join(f"{one.field}: {one.detail}" for one in errors[:3])
        return cls(f"The changes cannot be published. {told}", errors=errors)


class RevisionGone(BlueStarError):
    """The revision is older than what is kept of a unit that changed very often."""

    code, status, title = "REVISION_GONE", 410, "Revision gone"


class DamagedRules(BlueStarError):
    """What is stored is not what Northstar wrote."""

    code, status, title = "BACKEND_REJECTED", 502, "Damaged rules"
    usual_fix = "Restore the store from a backup, or publish the unit again."


class CacheError(BlueStarError):
    """The shared cache did not answer. Reads go on without it: slower, and as correct."""

    code, status, title, retryable = "CACHE_UNAVAILABLE", 503, "Cache unavailable", True


class _Told(BlueStarError):
    """Tells an error of a store in its own words and with its own code, as one of ours."""

    def __init__(self, cause: NorthstarError) -> None:
        super().__init__(cause.detail, fix=cause.fix, errors=cause.errors)
        self.code = cause.code  # type: ignore[misc]  # callers branch on the code, whichever class carries it
        self.status = cause.status  # type: ignore[misc]
        self.title = cause.title  # type: ignore[misc]
        self.retryable = cause.retryable  # type: ignore[misc]
        self.retry_after = cause.retry_after
        self.cause = cause

    def facts(self) -> dict[str, Any]:
        return self.cause.facts()


class StoreError(_Told):
    """The store of the rules refused or did not answer: `code`, `status` and `retryable` are those of the cause."""


class FileStoreError(_Told):
    """The store of the files refused or did not answer, or a file is not there: code and status are those of the cause."""
