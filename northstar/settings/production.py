"""A deployment that holds data someone pays for: nothing is generated, nothing is guessed, everything is over TLS."""

from northstar import logs
from northstar.settings import sources
from northstar.settings.base import *  # noqa: F403
from northstar.settings.base import BASE_DIR, env

NORTHSTAR_DEPLOYMENT = "production"

SECRET_KEY = sources.required(
    env, "NORTHSTAR_SECRET_KEY", "Set it to at least 50 random characters and keep it secret."
)
NORTHSTAR_ENCRYPTION_KEYS = sources.encryption_keys(env.str("NORTHSTAR_ENCRYPTION_KEYS", default=""))
ALLOWED_HOSTS = sources.required(env, "ALLOWED_HOSTS", "Name the hosts that clients use, separated by commas.").split(
    ","
)
NORTHSTAR_ALLOWED_ROOTS = env.list("NORTHSTAR_ALLOWED_ROOTS", default=[])

if env.bool("NORTHSTAR_BEHIND_PROXY", default=False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_SSL_REDIRECT = True
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]
SECURE_HSTS_SECONDS = env.int("NORTHSTAR_HSTS_SECONDS", default=31_536_000)
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True

STATIC_ROOT = BASE_DIR / "staticfiles"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

logs.configure(readable=False)
