"""A backend's config on a command line: one `--config key=value` per field."""

from argparse import ArgumentTypeError
from collections.abc import Mapping
from typing import Any, Final

from northstar.errors import FieldError, InvalidConfig
from routing.configs import REFERENCE_HINT, config_class

_REFERENCES: Final = ("env:", "file:")


def config_option(text: str) -> tuple[str, str]:
    """Split a field of a config; a wrong one is not repeated in the refusal, as it may hold a secret."""
    name, separator, value = text.partition("=")
    if not separator or not name.isidentifier():
        raise ArgumentTypeError("write it as key=value, such as region=eu-central-1")
    return name, value


def config_of(
    resource_kind: str, backend_type: str, options: Mapping[str, str], *, clear_secrets: bool = True
) -> dict[str, Any]:
    """Return the config that the options say. A secret may be a reference, `env:NORTHSTAR_SECRET_…` or `file:<name>`.

    Raises UnsupportedBackend or BackendNotImplemented, and InvalidConfig for a secret in clear where those are not wanted: others
    see command lines. Whether the config fits is told by whoever uses it.
    """
    secrets = config_class(resource_kind, backend_type).secret_fields() & set(options)
    clear = sorted(name for name in secrets if not options[name].startswith(_REFERENCES))
    if clear and not clear_secrets:
        errors = [FieldError(f"config.{name}", "clear", REFERENCE_HINT) for name in clear]
        raise InvalidConfig("A secret stands on the command line, where others see it.", errors=errors)
    refers = secrets - set(clear)
    return {name: {"$secret": value} if name in refers else value for name, value in options.items()}
