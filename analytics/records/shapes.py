"""What a record may say: one typed shape, compiled once, that checks a whole batch in one call and says what is wrong where."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Final, Literal

from pydantic import ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from northstar.errors import FieldError

ERRORS_KEPT: Final = 20
GOT_CHARACTERS: Final = 200

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}$")]
Short = Annotated[str, StringConstraints(max_length=256)]
Whole = Annotated[int, Field(ge=-(2**63), lt=2**63)]
ClickName = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Long = Annotated[str, StringConstraints(max_length=2048)]
Instant = Annotated[str, StringConstraints(max_length=40)]
Status = Literal["success", "error", "gatechainerror"]
Platform = Literal["web", "mobile", "desktop", "api"]


@with_config(ConfigDict(extra="forbid", strict=True))
class UsageIn(TypedDict):
    """What the record used up: counted against the budget of this provider and metric, once per analytics_id."""

    provider: Short
    metric: Short
    amount: Short | Whole


@with_config(ConfigDict(extra="forbid", strict=True))
class RecordFields(TypedDict, total=False):
    """One record as it is sent. What is left out is unknown; a name that is not here makes the record invalid.

    `tenant_id`, `env`, `mode` and `project_id` may repeat the context's, and never change it.
    """

    analytics_id: Annotated[Name | None, Field(description="Names the record for good; generated when left out.")]
    tenant_id: Short | None
    env: Short | None
    mode: Short | None
    project_id: Short | None
    app: Short | None
    surface: Short | None
    platform: Platform | None
    session_id: Short | None
    request_id: Short | None
    run_id: Short | None
    step_id: Short | Whole | None
    user_id: Short | None
    utm_source: Long | None
    utm_medium: Long | None
    utm_campaign: Long | None
    utm_content: Long | None
    utm_term: Long | None
    utm_id: Long | None
    utm_source_platform: Long | None
    utm_creative_format: Long | None
    utm_marketing_tactic: Long | None
    click_ids: Annotated[
        dict[ClickName, Long] | None, Field(description="By parameter name: gclid, fbclid, …; kept exactly.")
    ]
    ad_platform: Short | None
    landing_url: Annotated[str, StringConstraints(max_length=8192)] | None
    referrer: Long | None
    user_agent: Long | None
    payload: Any
    status: Annotated[Status | None, Field(description="`success` when left out.")]
    error_message: Annotated[str, StringConstraints(max_length=10_000)] | None
    timestamp: Annotated[Instant | None, Field(description="When it happened, by the client's clock.")]
    sent_at: Annotated[
        Instant | None, Field(description="When it was sent, by the same clock: tells how wrong that is.")
    ]
    usage: UsageIn | None


_RECORDS: Final[TypeAdapter[list[RecordFields]]] = TypeAdapter(list[RecordFields])

Errors = tuple[FieldError, ...]


def wrong_fields(records: Sequence[Any]) -> dict[int, Errors]:
    """Return what is wrong with each record, by its position; nothing for those that are as they should be."""
    try:
        _RECORDS.validate_python(records)
    except ValidationError as error:
        return _by_position(error.errors(include_context=False, include_url=False))
    return {}


def _by_position(problems: Iterable[Any]) -> dict[int, Errors]:
    found: dict[int, list[FieldError]] = {}
    for problem in problems:
        position, *path = problem["loc"]
        errors = found.setdefault(position, [])
        if len(errors) < ERRORS_KEPT:
            errors.append(FieldError(_path(path), _CODES.get(problem["type"], problem["type"]), _detail(problem)))
    return {position: tuple(errors) for position, errors in found.items()}


def _path(path: Sequence[str | int]) -> str:
    return ".".join(str(part) for part in path)[:200].encode(errors="backslashreplace").decode()


def _detail(problem: Any) -> str:
    if problem["type"] == "extra_forbidden":
        return "A record has no such field. What is your own belongs into payload."
    return f"{problem['msg'].rstrip('.')}; got {problem['input']!a:.{GOT_CHARACTERS}}."


_CODES: Final = {"extra_forbidden": "unknown_field", "literal_error": "not_allowed", "string_too_long": "too_long"}
