"""What the names in a routing key look like. Every pattern is matched in full: a trailing newline never passes."""

from typing import Final

from django.core.validators import RegexValidator

TENANT_PATTERN: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
ENV_PATTERN: Final = r"[a-z][a-z0-9-]{0,30}"
IDENTIFIER_PATTERN: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
"""Project, app and user ids."""
SURFACE_PATTERN: Final = r"[a-z0-9._-]{1,128}"
"""A canonical surface id."""


def full_match(pattern: str, message: str) -> RegexValidator:
    """Return a Django validator that accepts exactly what the pattern describes."""
    return RegexValidator(rf"\A(?:{pattern})\Z", message)


tenant_validator: Final = full_match(TENANT_PATTERN, "Use 1 to 64 letters, digits, dots, dashes or underscores.")
env_validator: Final = full_match(ENV_PATTERN, "Use 1 to 31 lower-case letters, digits or dashes, a letter first.")
identifier_validator: Final = full_match(
    IDENTIFIER_PATTERN, "Use 1 to 128 letters, digits, dots, dashes or underscores."
)
surface_validator: Final = full_match(
    SURFACE_PATTERN, "Use 1 to 128 lower-case letters, digits, dots, dashes or underscores."
)
