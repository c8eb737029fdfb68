"""One log line per fact, on standard error: JSON in production, readable in a lab, and never a secret in either."""

import logging
import logging.config
import re
import sys
from collections.abc import Mapping
from typing import Any, Final

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

MASK: Final = "****"
_SECRET_NAMES: Final = re.compile(
    r"(?i)(authorization|cookie|password|passwd|secret|token|api_?key|private_?key|credential|account_?key|connection_?string)"
)
_TOKEN: Final = re.compile(r"(ns_[a-z0-9]{12})_[0-9a-f]{8,}")
_CREDENTIALS: Final = re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}")
_USERINFO: Final = re.compile(r"(?<=://)[^/@\s:]+:[^/@\s]+(?=@)")
_ASSIGNED: Final = re.compile(
    r"(?i)((?:password|passwd|secret|token|api_?key|access_?key|account_?key|sig|signature)(?:_key)?[\"']?\s*[=:]\s*[\"']?)[^\s\"'&,;}]{4,}"
)

_PRESIGNED: Final = re.compile(r"(/storage/presigned/)[^\s\"'?<>]+")


def redact_text(text: str) -> str:
    """Return the text without API tokens, authorization headers, presigned URLs, user info and `secret=…` assignments."""
    text = _TOKEN.sub(rf"\1_{MASK}", text)
    text = _CREDENTIALS.sub(rf"\1 {MASK}", text)
    text = _USERINFO.sub(MASK, text)
    text = _PRESIGNED.sub(rf"\1{MASK}", text)
    return _ASSIGNED.sub(rf"\1{MASK}", text)


def redact(value: Any) -> Any:
    """Return a value for the log: members whose name tells of a secret are masked, texts are searched for them."""
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, bytes):
        return redact_text(value.decode("utf-8", "backslashreplace"))
    if isinstance(value, Mapping):
        return {name: MASK if _SECRET_NAMES.search(str(name)) else redact(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redact(inner) for inner in value]
    return value if value is None or isinstance(value, int | float) else redact_text(str(value))


def redact_event(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Mask secrets in everything that a line is about to say. structlog's own records pass untouched."""
    return {
        name: value if name.startswith("_") else MASK if _SECRET_NAMES.search(name) else redact(value)
        for name, value in event.items()
    }


_SHARED: Final[list[Processor]] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
    structlog.processors.UnicodeDecoder(),
]


_PROCESSORS: Final[list[Processor]] = [
    structlog.stdlib.filter_by_level,
    *_SHARED,
    structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
]
"""One list for all calls: a logger keeps the one that it was first used with."""


def configure(*, readable: bool) -> None:
    """Set up logging for this process; a second call replaces the first."""
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)
        if readable
        else structlog.processors.JSONRenderer(sort_keys=True)
    )
    last: list[Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.format_exc_info,  # a text, so that secrets in it are found
        redact_event,
        renderer,
    ]
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "lines": {
                    "()": structlog.stdlib.ProcessorFormatter,
                    "processors": last,
                    "foreign_pre_chain": _SHARED,
                }
            },
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "lines"}},
            "root": {"handlers": ["stderr"], "level": "INFO"},
            "loggers": {
                # A line per request is what a production log is for; in a lab it hides what matters.
                "django_structlog": {"level": "WARNING" if readable else "INFO"},
                "django.request": {"level": "CRITICAL"},  # northstar.problems logs unknown errors, once
                "django.security.DisallowedHost": {"level": "CRITICAL"},
                "_granian": {"level": "WARNING"},
                "granian": {"level": "WARNING"},
                # The cloud SDKs tell of every request, data and headers included.
                **{sdk: {"level": "WARNING"} for sdk in ("azure", "boto3", "botocore", "google", "urllib3")},
            },
        }
    )
    structlog.configure(
        processors=_PROCESSORS,
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
