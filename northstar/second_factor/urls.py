"""The pages of the second factor, below the admin's."""

from typing import Any, Final

from allauth.account.views import reauthenticate
from allauth.mfa.base import views as base
from allauth.mfa.recovery_codes import views as codes
from allauth.mfa.totp import views as totp
from django.urls import path
from django.views.generic import RedirectView

from routing.admin_site import NorthstarAdminSite


def _page(view: Any, title: str) -> Any:
    """Return one of allauth's views with what our page frame wants to know."""
    return view.as_view(
        extra_context={
            "site_header": NorthstarAdminSite.site_header,
            "site_title": NorthstarAdminSite.site_title,
            "title": title,
        }
    )


_CONFIRM: Final = "Confirm that it is you"

urlpatterns = [
    path("", _page(base.IndexView, "Second factor"), name="mfa_index"),
    path("authenticate/", _page(base.AuthenticateView, "Second factor"), name="mfa_authenticate"),
    path("confirm/", _page(base.ReauthenticateView, _CONFIRM), name="mfa_reauthenticate"),
    path("confirm/password/", reauthenticate, name="account_reauthenticate"),
    path("app/activate/", _page(totp.ActivateTOTPView, "Set up your second factor"), name="mfa_activate_totp"),
    path("app/deactivate/", _page(totp.DeactivateTOTPView, "Remove the authenticator app"), name="mfa_deactivate_totp"),
    path("codes/", _page(codes.ViewRecoveryCodesView, "Recovery codes"), name="mfa_view_recovery_codes"),
    path("codes/download/", codes.download_recovery_codes, name="mfa_download_recovery_codes"),
    path(
        "codes/generate/",
        _page(codes.GenerateRecoveryCodesView, "New recovery codes"),
        name="mfa_generate_recovery_codes",
    ),
    path("login/", RedirectView.as_view(pattern_name="admin:login"), name="account_login"),
]
