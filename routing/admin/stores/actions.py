"""Actions of a page over a store: a page that asks first, a token, a right, a row of the audit trail, and then the deed."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect

from northstar.errors import NorthstarError
from routing.admin.base import Refusable, cause_of, denied
from routing.audit import Cause
from routing.changes.stored import record_stored_change

if TYPE_CHECKING:
    from routing.admin.stores.visits import Visit


class ActionForm(Refusable, forms.Form):
    """What an action asks for. A refusal shows on the field that it names."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a person is asked before an action. `subject` tells the thing in the trail, `back` is where Cancel leads."""

    text: str
    subject: str
    back: str
    facts: list[tuple[str, Any]] = field(default_factory=list)
    before: dict[str, Any] | None = None
    """The thing as it is now, for the trail. It holds no secret."""
    initial: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Done:
    """What was done, in a sentence, and the address that shows it."""

    message: str
    back: str


class StoreAction:
    """Something that changes what a route keeps.

    `audit_action` is its name in the trail: the row is written before the deed, so nothing is done that was not recorded, and a
    deed that fails has a second row. It is empty where the service that `carry_out` calls audits itself, with the given cause.
    """

    slug: ClassVar[str]
    title: ClassVar[str]
    verb: ClassVar[str]
    audit_action: ClassVar[str] = ""
    acted_by: ClassVar[str] = ""
    danger: ClassVar[bool] = False
    form_class: ClassVar[type[ActionForm]] = ActionForm

    def question(self, visit: "Visit") -> Question:
        """Return what to ask. Raises NotFound for a thing that is not there."""
        raise NotImplementedError

    def carry_out(self, visit: "Visit", asked: Question, given: dict[str, Any], cause: Cause) -> Done:
        """Do it. `given` are the form's values."""
        raise NotImplementedError

    def after(self, given: dict[str, Any]) -> dict[str, Any] | None:
        """Return the thing as it will be, for the trail; None when it will be gone."""
        return given or None


def perform(action: StoreAction, visit: "Visit") -> HttpResponse:
    """Ask, or do what was confirmed. A refusal comes back on the form."""
    asked = action.question(visit)
    posted = visit.request.method == "POST"
    form = action.form_class(visit.request.POST) if posted else action.form_class(initial=asked.initial)
    if posted and form.is_valid():
        try:
            done = _carried_out(action, visit, asked, form.cleaned_data)
        except NorthstarError as refusal:
            denied(visit.request, refusal)
            form.show(refusal)
        else:
            messages.success(visit.request, done.message)
            return HttpResponseRedirect(done.back)
    return visit.answer("stores/action", action.title, action=action, asked=asked, form=form)


def _carried_out(action: StoreAction, visit: "Visit", asked: Question, given: dict[str, Any]) -> Done:
    cause = cause_of(visit.request, str(given.get("rationale", "")))
    if not action.audit_action:
        return action.carry_out(visit, asked, given, cause)
    subject = visit.subject(asked.subject)
    record_stored_change(action.audit_action, subject, cause, before=asked.before, after=action.after(given))
    try:
        return action.carry_out(visit, asked, given, cause)
    except NorthstarError as refusal:
        failed = {"error_code": refusal.code, "detail": refusal.detail}
        record_stored_change(f"{action.audit_action}_FAILED", subject, cause, after=failed)
        raise
