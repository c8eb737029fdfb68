"""What a route's config may hold: one typed schema per backend, and the two field types that need care.

A driver module subclasses `BackendConfig`. The API, the admin form and `GET /routing/kinds` all derive from that class.
"""

import os
import re
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final

from django.conf import settings
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from northstar.errors import ForbiddenEndpoint, InvalidConfig
from northstar.origins import parse_origin

REFERENCE_ENV_PREFIX: Final = "NORTHSTAR_SECRET_"
_REFERENCE: Final = re.compile(r"(env:NORTHSTAR_SECRET_[A-Z0-9_]{1,100}|file:[A-Za-z0-9][A-Za-z0-9._-]{0,99})")
MASK: Final = "****"


def _check_reference(reference: str) -> str:
    if not _REFERENCE.fullmatch(reference):
        raise ValueError(f"must be env:{REFERENCE_ENV_PREFIX}… or file:<name in the secrets folder>")
    return reference


class SecretReference(BaseModel):
    """A secret that stays outside the database: `{"$secret": "env:NORTHSTAR_SECRET_…"}` or `{"$secret": "file:name"}`."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    reference: Annotated[str, AfterValidator(_check_reference), Field(alias="$secret")]

    def resolve(self) -> str:
        """Return the secret's value. Raises InvalidConfig, naming the reference but never the value."""
        kind, _, name = self.reference.partition(":")
        if kind == "env":
            value = os.environ.get(name)
        else:
            path = Path(settings.NORTHSTAR_SECRETS_DIR) / name
            value = path.read_text(encoding="utf-8").rstrip("\n") if path.is_file() and not path.is_symlink() else None
        if value is None:
            raise InvalidConfig(f"The secret {self.reference} is not set here.", fix="Set it where the server runs.")
        return value


Secret = SecretStr | SecretReference
"""A write-only field: sealed at rest, `****` in every output, or a reference."""


def reveal(secret: Secret) -> str:
    """Return a secret's value, for the SDK only."""
    return secret.get_secret_value() if isinstance(secret, SecretStr) else secret.resolve()


def _check_root(value: str) -> str:
    path = Path(os.path.realpath(Path(settings.NORTHSTAR_HOME) / value))  # an absolute value stands alone
    roots = [Path(os.path.realpath(root)) for root in settings.NORTHSTAR_ALLOWED_ROOTS]
    if not any(path == root or root in path.parents for root in roots):
        raise ForbiddenEndpoint(
            f"The folder {value!a} lies outside the allowed roots.",
            fix="Choose a folder below NORTHSTAR_HOME, or add its root to NORTHSTAR_ALLOWED_ROOTS.",
        )
    return value


Root = Annotated[str, AfterValidator(_check_root)]
"""A folder, absolute or below NORTHSTAR_HOME, inside the deployment's allowed roots (links followed before the check)."""


def _check_endpoint(value: str) -> str:
    """Refuse an address that the deployment has not allowed: a route must not make the server call its own network."""
    origin = parse_origin(value)
    if not any(origin.is_allowed_by(parse_origin(allowed)) for allowed in settings.NORTHSTAR_ALLOWED_ENDPOINTS):
        raise ForbiddenEndpoint(
            "This endpoint is not on the deployment's list.",
            fix="Add it to NORTHSTAR_ALLOWED_ENDPOINTS where the server runs, or use the service's own.",
        )
    return value


Endpoint = Annotated[str, AfterValidator(_check_endpoint)]
"""An address to use instead of the service's own, such as an emulator's: only one in NORTHSTAR_ALLOWED_ENDPOINTS."""


class BackendConfig(BaseModel):
    """The config of one backend. Unknown keys are refused; `title` and `description` of a field are its help text."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    location_fields: ClassVar[frozenset[str]] = frozenset()
    """Fields that say where the data lies: changing one of them is a switch, not an update."""

    shelf_fields: ClassVar[frozenset[str]] = frozenset()
    """Those of them that only choose where in the service: configs that differ in nothing else send secrets to the same one."""

    @classmethod
    def secret_fields(cls) -> frozenset[str]:
        """Names of the fields that hold a secret."""
        return frozenset(name for name, field in cls.model_fields.items() if _holds_secret(field.annotation))

    def location(self) -> dict[str, Any]:
        """Return the fields that say where the data lies."""
        return {name: getattr(self, name) for name in sorted(self.location_fields)}

    def service(self) -> dict[str, Any]:
        """Return the fields that say which service the data lie in, wherever in it."""
        return {name: getattr(self, name) for name in sorted(self.location_fields - self.shelf_fields)}


def _holds_secret(annotation: Any) -> bool:
    inner = getattr(annotation, "__args__", ())
    return annotation in {SecretStr, SecretReference} or any(_holds_secret(part) for part in inner)
