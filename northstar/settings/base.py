"""What every deployment shares. The environment configures the deployment only: it never chooses a backend for tenant data."""

import logging
from pathlib import Path
from typing import Any, Final

import environ

from northstar import logs
from northstar.settings import sources

env: Final = sources.Environment()

BASE_DIR: Final = Path(__file__).resolve().parent.parent.parent

NORTHSTAR_HOME: Path = Path(env.str("NORTHSTAR_HOME", default="") or BASE_DIR / "var").expanduser().resolve()
"""All local state lies below this folder."""
PORT: int = sources.port(env)
NORTHSTAR_ALLOWED_ROOTS: list[str] = env.list("NORTHSTAR_ALLOWED_ROOTS", default=[str(NORTHSTAR_HOME)])
"""Folders below which a route may keep data."""
NORTHSTAR_ALLOWED_ENDPOINTS: list[str] = sources.origins(env, "NORTHSTAR_ALLOWED_ENDPOINTS")
"""Origins that a route may name as its endpoint, such as `https://dynamodb.internal` or `http://127.0.0.1:*`; no others."""
NORTHSTAR_SECRETS_DIR: Path = Path(env.str("NORTHSTAR_SECRETS_DIR", default="") or NORTHSTAR_HOME / "secrets").resolve()
"""The folder that a `file:` secret reference reads from."""
NORTHSTAR_SNAPSHOT_POLL_SECONDS: float = env.float("NORTHSTAR_SNAPSHOT_POLL_SECONDS", default=0.25)
"""How old a process's view of the routes may grow before it asks the database for the revision."""
NORTHSTAR_RULES_POLL_SECONDS: float = env.float("NORTHSTAR_RULES_POLL_SECONDS", default=0.5)
"""How old a process's view of a tenant's rules may grow before it asks the store for the revision."""
NORTHSTAR_RULES_STALE_SECONDS: float = env.float("NORTHSTAR_RULES_STALE_SECONDS", default=900.0)
"""With the store of the rules away: how long what was known last is answered, marked as stale; 0 refuses at once."""
NORTHSTAR_PROBE_SECONDS: float = env.float("NORTHSTAR_PROBE_SECONDS", default=300.0)
"""Between probes of a route that works; 0 leaves them to the command `probe_routes`."""
NORTHSTAR_REPORT_SECONDS: float = env.float("NORTHSTAR_REPORT_SECONDS", default=15.0)
"""Between the times that a process keeps what it counted, and says which routes it knows. A crash loses at most this much."""
NORTHSTAR_BUDGET_SWEEP_SECONDS: float = env.float("NORTHSTAR_BUDGET_SWEEP_SECONDS", default=60.0)
"""Between sweeps of budgets: what was held too long is given back, alerts are delivered. 0 leaves them to `budget sweep`."""
NORTHSTAR_SPOOL_SECONDS: float = env.float("NORTHSTAR_SPOOL_SECONDS", default=5.0)
"""Between the times that a process tries to carry out what waits in the spool of its machine."""
NORTHSTAR_SPOOL_BYTES: int = env.int("NORTHSTAR_SPOOL_BYTES", default=1024 * 1024 * 1024)
"""How much may wait there. What comes beyond is refused, so that its sender keeps it."""
NORTHSTAR_PRICES_FILE: str = env.str("NORTHSTAR_PRICES_FILE", default="")
"""A price table to use instead of the one that Northstar ships."""
NORTHSTAR_WEB_THREADS: int = env.int("NORTHSTAR_WEB_THREADS", default=32)
"""Threads of one process that answer API and admin requests."""
NORTHSTAR_METRICS_TOKEN: str = env.str("NORTHSTAR_METRICS_TOKEN", default="")
"""When set, `/metrics` asks for it as a bearer token."""

NORTHSTAR_SSE_HEARTBEAT_SECONDS: float = env.float("NORTHSTAR_SSE_HEARTBEAT_SECONDS", default=15.0)
NORTHSTAR_SSE_RETRY_MILLISECONDS: int = env.int("NORTHSTAR_SSE_RETRY_MILLISECONDS", default=2000)
NORTHSTAR_SSE_POLL_SECONDS: float = env.float("NORTHSTAR_SSE_POLL_SECONDS", default=0.5)
NORTHSTAR_SSE_QUIET_POLL_SECONDS: float = env.float("NORTHSTAR_SSE_QUIET_POLL_SECONDS", default=5.0)
NORTHSTAR_SSE_RECHECK_SECONDS: float = env.float("NORTHSTAR_SSE_RECHECK_SECONDS", default=60.0)
NORTHSTAR_SSE_MAX_AGE_SECONDS: float = env.float("NORTHSTAR_SSE_MAX_AGE_SECONDS", default=600.0)
NORTHSTAR_SSE_MAX_STREAMS: int = env.int("NORTHSTAR_SSE_MAX_STREAMS", default=10_000)
NORTHSTAR_SSE_MAX_STREAMS_PER_TENANT: int = env.int("NORTHSTAR_SSE_MAX_STREAMS_PER_TENANT", default=2_000)
NORTHSTAR_SSE_SEND_TIMEOUT_SECONDS: float = env.float("NORTHSTAR_SSE_SEND_TIMEOUT_SECONDS", default=30.0)

DEBUG = False
ROOT_URLCONF = "northstar.urls"
WSGI_APPLICATION = "northstar.wsgi.application"
ASGI_APPLICATION = "northstar.asgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
APPEND_SLASH = False
"""Keys may end in anything, a slash included: no URL is ever redirected for one."""

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False
FORMAT_MODULE_PATH = ["northstar.formats"]

INSTALLED_APPS = [
    "northstar",
    "routing",
    "analytics",
    "media",
    "rules",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "django_structlog",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
]

MIDDLEWARE = [
    "northstar.middleware.RequestIds",
    "northstar.metrics.Measured",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django_structlog.middlewares.RequestMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# Infrastructure of the control plane -------------------------------------------------------------------------------------

SQLITE_OPTIONS: Final = {
    # Without IMMEDIATE two writers that began as readers refuse each other, however long they would wait.
    "transaction_mode": "IMMEDIATE",
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    "timeout": 20,
}


POOL_SPARE: Final = 16
"""Connections for the threads besides those of requests: streams, the relay."""


DATABASE_WAIT_SECONDS: Final = 3
"""For a connection: with one per thread a wait means that the database is away, and requests that go on without it wait too."""


def database(address: str) -> dict[str, Any]:
    """Return Django's settings for a database URL; without one, SQLite below NORTHSTAR_HOME."""
    if not address:
        chosen: dict[str, Any] = {"ENGINE": "django.db.backends.sqlite3", "NAME": NORTHSTAR_HOME / "northstar.sqlite3"}
    else:
        chosen = dict(environ.Env.db_url_config(address))
    if chosen["ENGINE"] == "django.db.backends.sqlite3":
        return {**chosen, "OPTIONS": SQLITE_OPTIONS, "CONN_MAX_AGE": None}
    # A thread may keep its connection until its next request: fewer connections than threads would make requests wait.
    pool = {"min_size": 1, "max_size": NORTHSTAR_WEB_THREADS + POOL_SPARE, "timeout": DATABASE_WAIT_SECONDS}
    return {**chosen, "OPTIONS": {"pool": pool, **chosen.get("OPTIONS", {})}}


DATABASES = {"default": database(env.str("DATABASE_URL", default=""))}


def shared_cache(address: str) -> dict[str, Any]:
    """Return Django's settings for a Redis URL; without one, the cache is each process's own."""
    if not address:
        return {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
    # A cache that is away is a miss, and is logged; /readyz tells.
    return {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": address, "OPTIONS": {"IGNORE_EXCEPTIONS": True}}


def rules_cache(address: str) -> dict[str, Any]:
    """Return the settings of the cache of rules: its failures are told, nobody waits long for it, and nothing is unpickled."""
    if not address:
        return {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "rules"}
    options = {
        "SERIALIZER": "rules.cache.Plain",
        "IGNORE_EXCEPTIONS": False,
        "SOCKET_CONNECT_TIMEOUT": 0.5,
        "SOCKET_TIMEOUT": 0.5,
    }
    return {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": address,
        "KEY_PREFIX": "northstar-rules",
        "OPTIONS": options,
    }


DJANGO_REDIS_LOG_IGNORED_EXCEPTIONS = True
REDIS_URL: str = env.str("REDIS_URL", default="")
CACHES = {"default": shared_cache(REDIS_URL), "rules": rules_cache(REDIS_URL)}

# The API -----------------------------------------------------------------------------------------------------------------

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["northstar.access.KeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["northstar.access.ScopePermission"],
    "DEFAULT_RENDERER_CLASSES": ["northstar.rendering.JsonRenderer"],
    "DEFAULT_PARSER_CLASSES": [],
    "DEFAULT_SCHEMA_CLASS": "northstar.schema.Operation",
    "EXCEPTION_HANDLER": "northstar.problems.exception_handler",
    "UNAUTHENTICATED_USER": None,
    "URL_FORMAT_OVERRIDE": None,
}

SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "Northstar",
    "DESCRIPTION": "Routes decide where every tenant's data lives, and put it there.",
    "VERSION": "0.1.0",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "COMPONENT_SPLIT_PATCH": False,
    "SERVE_PUBLIC": True,
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "POSTPROCESSING_HOOKS": ["northstar.schema.complete"],
    "SWAGGER_UI_SETTINGS": {"persistAuthorization": False, "deepLinking": True},
}

# Security ----------------------------------------------------------------------------------------------------------------

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "/admin/login/"
LOGIN_REDIRECT_URL = "/admin/"
ACCOUNT_ADAPTER = "northstar.second_factor.adapters.AccountAdapter"
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"]
ACCOUNT_REAUTHENTICATION_METHODS = ["password", "mfa"]
ACCOUNT_REAUTHENTICATION_TIMEOUT = 5 * 60
ACCOUNT_RATE_LIMITS = {"login_failed": "30/m/ip,5/5m/key"}
"""Failed logins and wrong codes, by address and by person."""
MFA_ADAPTER = "northstar.second_factor.adapters.FactorAdapter"
MFA_SUPPORTED_TYPES = ["recovery_codes", "totp"]
MFA_TOTP_TOLERANCE = 1
"""Steps of 30 seconds that a telephone's clock may be off, either way."""
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 12 * 60 * 60
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "northstar.problems.csrf_failure"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
        "base-uri": ["'none'"],
    }
}

# Static files, logs ------------------------------------------------------------------------------------------------------

STATIC_URL = "/static/"
DJANGO_STRUCTLOG_TRUST_UPSTREAM_REQUEST_ID = True  # northstar.middleware.RequestIds has checked or made it
DJANGO_STRUCTLOG_USER_ID_FIELD = (
    ""  # the key's id is bound by authentication; reading the session here would cost a query
)
DJANGO_STRUCTLOG_IP_LOGGING_ENABLED = False  # behind a proxy that nobody named, an address is only a claim
DJANGO_STRUCTLOG_STATUS_4XX_LOG_LEVEL = logging.INFO  # the caller's mistake, and the caller is told
LOGGING_CONFIG = None
logs.configure(readable=True)
