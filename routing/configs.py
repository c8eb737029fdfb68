"""A route's config: validated by its backend's schema, and split into what anybody may see and what is sealed.

The stored config is the one that may be seen: a sealed secret stands in it as `****`, a reference as the reference.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import SecretStr, ValidationError

from northstar.errors import FieldError, ForbiddenEndpoint, InvalidConfig, UnsupportedBackend
from storage.config import MASK, BackendConfig
from storage.registry import Backend, backend_named, driver_class, kind_named

REFERENCE_HINT: Final = (
    "Give the secret itself, or where it lies: env:NORTHSTAR_SECRET_… or file:<name in the secrets folder>, "
    'in JSON as {"$secret": "env:NORTHSTAR_SECRET_…"}.'
)


@dataclass(frozen=True, slots=True)
class SplitConfig:
    """A config in two parts: `public` as stored and shown, `secrets` in clear, to be sealed at once."""

    public: dict[str, Any]
    secrets: dict[str, str]


def known_backend(resource_kind: str, backend_type: str) -> Backend:
    """Return the backend, whatever the name's case. Raises UnsupportedBackend, naming the kind and what may serve it."""
    kind_named(resource_kind)
    try:
        return backend_named(backend_type)
    except UnsupportedBackend as error:
        raise UnsupportedBackend(
            f"Unsupported backend_type={backend_type!a} for resource_kind={resource_kind}.", fix=error.fix
        ) from None


def config_class(resource_kind: str, backend_type: str) -> type[BackendConfig]:
    """Return the config schema of a pair. Raises UnsupportedBackend, BackendNotImplemented."""
    schema: type[BackendConfig] = driver_class(resource_kind, backend_type).Config
    return schema


def parse_config(resource_kind: str, backend_type: str, config: Mapping[str, Any]) -> BackendConfig:
    """Validate a config that holds its secrets.

    Raises InvalidConfig with one entry per wrong field (`config.<field>`), or ForbiddenEndpoint naming its field. No value of
    the config is repeated in either.
    """
    schema = config_class(resource_kind, backend_type)
    try:
        return schema.model_validate(dict(config))
    except ValidationError as error:
        raise InvalidConfig(
            f"The config does not fit backend_type={backend_type} for resource_kind={resource_kind}.",
            fix="Correct these fields; GET /api/v1/routing/kinds shows the schema.",
            errors=_field_errors(error, schema),
        ) from None
    except ForbiddenEndpoint as error:
        raise ForbiddenEndpoint(
            f"The config of backend_type={backend_type} for resource_kind={resource_kind} names a forbidden place.",
            fix=error.fix,
            errors=_forbidden_and_wrong(schema, config),
        ) from None


def split_config(config: BackendConfig) -> SplitConfig:
    """Separate the secrets given in clear from everything else. Fields that were not given stay away."""
    public = config.model_dump(mode="json", by_alias=True, exclude_unset=True)
    secrets = {}
    for name in config.secret_fields() & config.model_fields_set:
        value = getattr(config, name)
        if isinstance(value, SecretStr):
            secrets[name] = value.get_secret_value()
            public[name] = MASK
    return SplitConfig(public, secrets)


def keep_secrets(
    given: Mapping[str, Any], stored: Mapping[str, Any], secrets: Mapping[str, str], secret_names: frozenset[str]
) -> dict[str, Any]:
    """Fill in the stored secrets where the given config leaves them out or says `****`.

    `stored` is the config as it may be seen, `secrets` what was sealed. Raises InvalidConfig for a `****` with nothing stored.
    """
    complete = dict(given)
    for name in sorted(secret_names):
        if complete.get(name, MASK) != MASK:
            continue
        known = secrets.get(name, stored.get(name))
        if known is not None and known != MASK:
            complete[name] = known
        elif name in complete:
            field = FieldError(f"config.{name}", "missing", "There is no stored secret to keep: give its value.")
            raise InvalidConfig(f"The secret {name} is masked, and none is stored.", errors=[field])
    return complete


def _field_errors(error: ValidationError, schema: type[BackendConfig]) -> list[FieldError]:
    secret_names = schema.secret_fields()
    found: dict[str, FieldError] = {}
    for problem in error.errors(include_input=False, include_context=False, include_url=False):
        parts = [str(part) for part in problem["loc"]]
        secret = bool(parts) and parts[0] in secret_names  # its two forms would give two errors, under inner names
        name = ".".join(["config", *(parts[:1] if secret else parts)])
        detail = REFERENCE_HINT if secret else _told(problem["type"], problem["msg"], schema)
        found.setdefault(name, FieldError(name, problem["type"], detail))
    return list(found.values())


def _told(kind: str, message: str, schema: type[BackendConfig]) -> str:
    """Say what is wrong with a field; of one that does not exist, which do."""
    if kind == "extra_forbidden":
        return f"There is no such field. There are: {', '.join(sorted(schema.model_fields))}."
    return message.removeprefix("Value error, ")


def _forbidden_and_wrong(schema: type[BackendConfig], config: Mapping[str, Any]) -> list[FieldError]:
    """Which fields are forbidden, each tried alone as a validator does not know its field's name; and what else is wrong."""
    refused: dict[str, FieldError] = {}
    for name, value in config.items():
        try:
            schema.model_validate({name: value})
        except ForbiddenEndpoint as error:
            refused[name] = FieldError(f"config.{name}", error.code, error.detail)
        except ValidationError:
            continue
    try:
        schema.model_validate({name: value for name, value in config.items() if name not in refused})
    except ValidationError as error:
        wrong = _field_errors(error, schema)
        return [*refused.values(), *(one for one in wrong if one.field.partition(".")[2] not in refused)]
    return list(refused.values())
