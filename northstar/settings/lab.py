"""One machine, no account: what `manage.py` uses unless told otherwise. Its secrets are generated once below NORTHSTAR_HOME."""

from northstar.settings import sources
from northstar.settings.base import *  # noqa: F403
from northstar.settings.base import NORTHSTAR_HOME, env

NORTHSTAR_DEPLOYMENT = "lab"

SECRET_KEY = env.str("NORTHSTAR_SECRET_KEY", default="") or sources.generated_secret_key(NORTHSTAR_HOME)
NORTHSTAR_ENCRYPTION_KEYS = sources.encryption_keys(
    env.str("NORTHSTAR_ENCRYPTION_KEYS", default="") or sources.generated_encryption_keys(NORTHSTAR_HOME)
)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])

NORTHSTAR_ALLOWED_ENDPOINTS = sources.origins(
    env, "NORTHSTAR_ALLOWED_ENDPOINTS", default=["http://localhost:*", "http://127.0.0.1:*", "http://[::1]:*"]
)

NORTHSTAR_PROBE_SECONDS = env.float("NORTHSTAR_PROBE_SECONDS", default=60.0)

WHITENOISE_USE_FINDERS = True
"""Static files are served from where the apps keep them: nothing to collect first."""
