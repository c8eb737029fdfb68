"""Surface aliases: other spellings of a surface id."""

import re

from django.db import transaction

from northstar.errors import FieldError, InvalidRequest, NotFound
from routing import audit
from routing.audit import Cause, Subject
from routing.models import SurfaceAlias
from routing.patterns import SURFACE_PATTERN

ALIAS_SET = "ALIAS_SET"
ALIAS_DELETED = "ALIAS_DELETED"


def set_alias(alias: str, canonical: str, cause: Cause) -> SurfaceAlias:
    """Create the alias, or point it elsewhere; the same again changes nothing.

    Raises InvalidRequest for a canonical form that is not canonical, or that is an alias of yet another surface.
    """
    with transaction.atomic():
        state = audit.lock()
        _check(alias, canonical)
        row = SurfaceAlias.objects.filter(alias=alias).first()
        if row is not None and row.canonical == canonical:
            return row
        before = None if row is None else {"alias": alias, "canonical": row.canonical}
        row = row or SurfaceAlias(alias=alias)
        row.canonical = canonical
        row.save()
        after = {"alias": alias, "canonical": canonical}
        audit.record(state, ALIAS_SET, Subject(f"alias:{alias}"), cause, before=before, after=after)
    return row


def delete_alias(alias: str, cause: Cause) -> None:
    """Remove the alias. Raises NotFound."""
    with transaction.atomic():
        state = audit.lock()
        row = SurfaceAlias.objects.filter(alias=alias).first()
        if row is None:
            raise NotFound(f"There is no surface alias {alias!a}.")
        before = {"alias": alias, "canonical": row.canonical}
        row.delete()
        audit.record(state, ALIAS_DELETED, Subject(f"alias:{alias}"), cause, before=before)


def _check(alias: str, canonical: str) -> None:
    errors = []
    if not 1 <= len(alias) <= 128 or not alias.isprintable():
        errors.append(FieldError("alias", "pattern", "Use 1 to 128 printable characters."))
    if not re.fullmatch(SURFACE_PATTERN, canonical):
        errors.append(
            FieldError("canonical", "pattern", "Use 1 to 128 lower-case letters, digits, dots, dashes or underscores.")
        )
    # Normalising twice must change nothing, so what an alias leads to leads nowhere else.
    if SurfaceAlias.objects.filter(alias=canonical).exclude(canonical=canonical).exclude(alias=alias).exists():
        errors.append(FieldError("canonical", "chain", f"{canonical} is itself an alias of another surface."))
    if alias != canonical and SurfaceAlias.objects.filter(canonical=alias).exclude(alias=alias).exists():
        errors.append(FieldError("alias", "chain", f"Other aliases lead to {alias}."))
    if errors:
        raise InvalidRequest("The surface alias is not valid.", fix="Correct the fields in `errors`.", errors=errors)
