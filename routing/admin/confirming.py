"""Asking first whether it is really you: before a page that moves data opens, and before one that hands out the right to."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from northstar.second_factor.rule import fresh_proof_required, has_fresh_proof


def confirmed(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Let a page be opened only by somebody who has just confirmed the second factor.

    A form that is sent is let through: held back until the confirmation, its secrets would lie in the session meanwhile.
    What it asks for needs a fresh proof as well (`cause_of`).
    """
    asked_first = fresh_proof_required(view)

    def by_method(request: HttpRequest, *args: Any, **options: Any) -> HttpResponse:
        return (asked_first if request.method == "GET" else view)(request, *args, **options)

    return by_method


def confirmed_throughout(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """The same for a page whose change asks for no proof itself: a form that is sent too late is thrown away, and asked again."""
    opened = confirmed(view)

    def by_proof(request: HttpRequest, *args: Any, **options: Any) -> HttpResponse:
        if request.method == "GET" or has_fresh_proof(request):
            return opened(request, *args, **options)
        messages.error(request, "Nothing was changed: confirm that it is you, then do this again.")
        return HttpResponseRedirect(request.get_full_path())

    return by_proof
