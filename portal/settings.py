"""The one settings file. Everything that differs between sites comes from the environment through ``portal.env``."""

from __future__ import annotations

import contextlib
import secrets
from pathlib import Path
from urllib.parse import urlsplit

import dj_database_url
import dj_email_url
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured

from portal import env
from portal.clamd import is_address
from portal.logs import LOGGING as LOGGING
from portal.version import VERSION as VERSION

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = Path(env.text("DATA_DIR", str(BASE_DIR / "var"))).expanduser().resolve()
DATA_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)

DEMO = env.boolean("DEMO", default=False)
"""The demonstration hospital: its own secret key, plain HTTP on this machine, known log-ins, SYNTHETIC data."""

if DEMO:
    DEMO_PASSWORD = "senolens-demo-2026"
    """Of every log-in of the demonstration; shown on its sign-in page. Does not exist on a real site."""
    DEMO_LOGINS = tuple(f"{who}@demo.local" for who in ("radiologist", "admin", "second-admin", "it", "patient"))
    """The log-ins that ``seed_demo`` makes with that password, and so the only ones that the page names."""

DEBUG = env.boolean("DEBUG", default=False)


def _secret_key() -> str:
    given = env.text("SECRET_KEY", "")
    if given:
        return given
    if not DEMO:
        raise ImproperlyConfigured(
            "SECRET_KEY is not set. Set it to a long random text (or SECRET_KEY_FILE to a file that holds one), "
            "or set DEMO=1 to run the demonstration hospital."
        )
    file = DATA_DIR / "secret_key"
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(secrets.token_urlsafe(50), encoding="utf-8")
    return file.read_text(encoding="utf-8")


SECRET_KEY = _secret_key()


def _field_keys() -> list[str]:
    """Keys of contact data and messages in the database (accounts.encryption); the first one encrypts.

    A site that gives none gets one in ``DATA_DIR``, beside what it protects: ``check --deploy`` asks to move it.
    """
    a_new_one = 'python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"'
    given = env.text("FIELD_KEYS", "").replace(",", " ").split()
    if not given:
        file = DATA_DIR / "field_keys"
        if not file.exists():
            # Web and worker start at the same moment: the file appears whole, and only once.
            fresh = DATA_DIR / f".field_keys-{secrets.token_hex(4)}"
            fresh.touch(mode=0o600)
            fresh.write_text(Fernet.generate_key().decode(), encoding="utf-8")
            with contextlib.suppress(FileExistsError):
                file.hardlink_to(fresh)
            fresh.unlink()
        given = file.read_text(encoding="utf-8").split()
    for place, key in enumerate(given, start=1):
        try:
            Fernet(key)
        except ValueError as error:
            raise ImproperlyConfigured(
                f"Key {place} of FIELD_KEYS is not one: a key has 44 characters. Make one with: {a_new_one}"
            ) from error
    return given


FIELD_KEYS = _field_keys()
FIELD_KEYS_GIVEN = bool(env.text("FIELD_KEYS", ""))
"""Whether the keys come from outside ``DATA_DIR``."""
PUBLIC_URL = env.text("PUBLIC_URL", f"http://localhost:{env.integer('PORT', 8000, minimum=1, maximum=65535)}").rstrip(
    "/"
)
HTTPS = PUBLIC_URL.startswith("https://")
BEHIND_PROXY = HTTPS and env.boolean("BEHIND_PROXY", default=True)
"""One reverse proxy ends TLS and alone reaches this site: its X-Forwarded-Proto and -For are believed."""
ALLOWED_HOSTS = env.items(
    "ALLOWED_HOSTS", ",".join(["localhost", "127.0.0.1", "[::1]", urlsplit(PUBLIC_URL).hostname or ""])
)
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]

INSTALLED_APPS = [
    "portal.apps.SiteAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.forms",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "crispy_forms",
    "crispy_bootstrap5",
    "django_filters",
    "django_htmx",
    "django_structlog",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "portal.apps.PortalConfig",
    "accounts.apps.AccountsConfig",
    "diagnosis.apps.DiagnosisConfig",
]

MIDDLEWARE = [
    *(["portal.middleware.ProxyAddressMiddleware"] if BEHIND_PROXY else []),
    # Before whatever answers by itself, so that every response carries them: files, redirects and refusals too.
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "portal.middleware.TlsForProgramsMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "accounts.middleware.LedgerMiddleware",
    "accounts.timeouts.SessionTimeoutMiddleware",
    "accounts.mfa_policy.MfaPolicyMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "django_structlog.middlewares.RequestMiddleware",
    "portal.middleware.NoStoreMiddleware",
]

ROOT_URLCONF = "portal.urls"
WSGI_APPLICATION = "portal.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "portal.context.site",
                "accounts.context.session",
            ],
        },
    }
]
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"
CRISPY_ALLOWED_TEMPLATE_PACKS = "bootstrap5"
CRISPY_TEMPLATE_PACK = "bootstrap5"

# Storage

DATABASES = {"default": dj_database_url.parse(env.text("DATABASE_URL", f"sqlite:///{DATA_DIR / 'senolens.sqlite3'}"))}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["OPTIONS"] = {
        # A transaction takes the write lock when it begins: no upgrade from reader to writer, so no deadlock.
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        # FULL: a committed row survives a power cut, not only a killed process.
        # secure_delete: what is deleted or replaced is overwritten with zeros, so that an erased patient is gone.
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-16000; "
        "PRAGMA secure_delete=ON;",
    }
else:
    DATABASES["default"]["CONN_MAX_AGE"] = 60
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True

CELERY_BROKER_URL = env.text("CELERY_BROKER_URL", "filesystem://localhost")
CACHES: dict[str, dict[str, object]]
if CELERY_BROKER_URL.startswith("redis"):
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": CELERY_BROKER_URL}}
else:
    # Counted tries hold for all web processes: a table that `migrate` makes (portal.apps). A process's own memory would
    # give a guesser as many tries as there are processes.
    CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.db.DatabaseCache",
            "LOCATION": "counted_tries",
            "OPTIONS": {"MAX_ENTRIES": 20_000},
        }
    }

MEDIA_ROOT = DATA_DIR / "files"
"""Images, maps and reports. Never served by the web server: each file passes a view that asks the permission table."""

LEDGER_KEY_FILE = Path(env.text("LEDGER_KEY_FILE", str(DATA_DIR / "ledger-key.pem")))
"""Signs the anchors and exports of the ledger; made at first use."""
LEDGER_ANCHOR_FILE = Path(env.text("LEDGER_ANCHOR_FILE", str(DATA_DIR / "ledger-anchors.jsonl")))
"""Where the ledger's newest digest is noted from time to time: best where the database's owner cannot write."""

STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
NODE_MODULES = BASE_DIR / "node_modules"
STATICFILES_DIRS = [
    BASE_DIR / "static",
    *(
        (prefix, NODE_MODULES / path)
        for prefix, path in (
            ("vendor/bootstrap", "bootstrap/dist"),
            ("vendor/htmx", "htmx.org/dist"),
            ("vendor/chart.js", "chart.js/dist"),
        )
        if (NODE_MODULES / path).is_dir()
    ),
]
STORAGES = {
    "default": {"BACKEND": "portal.storage.DurableFileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = DEBUG
WHITENOISE_ALLOW_ALL_ORIGINS = False
"""Other sites read nothing from here, not even a style."""

# People

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
# Length and known bad choices count, mixtures of characters do not (ASVS 5.0, V6.2).
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "accounts.passwords.MaximumLengthValidator"},
    {"NAME": "accounts.passwords.CommonCoreValidator"},
    {"NAME": "accounts.passwords.SiteWordsValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "home"
ACCOUNT_ADAPTER = "accounts.adapter.ClosedSignupAdapter"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_LOGOUT_ON_PASSWORD_CHANGE = False
ACCOUNT_SESSION_REMEMBER = False
ACCOUNT_DEFAULT_HTTP_PROTOCOL = "https" if HTTPS else "http"
ACCOUNT_EMAIL_SUBJECT_PREFIX = "Senolens: "
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False
ACCOUNT_LOGOUT_REDIRECT_URL = LOGIN_URL
ACCOUNT_REAUTHENTICATION_TIMEOUT = 5 * 60
ACCOUNT_FORMS = {
    "login": "accounts.sign_in_forms.SignInForm",
    "change_password": "accounts.sign_in_forms.ChangePasswordForm",
    "reset_password": "accounts.sign_in_forms.AskResetForm",
    "reset_password_from_key": "accounts.sign_in_forms.ResetPasswordForm",
    "reauthenticate": "accounts.sign_in_forms.ReauthenticateForm",
}
SIGN_IN_REFUSAL_SECONDS = 5 * 60
# "key" is account and browser, or account and address (accounts.adapter). A hospital often is one address, so limits by
# "ip" are wide. Every action that can be guessed at has its line here, ours too (accounts.rate_limits).
ACCOUNT_RATE_LIMITS = {
    "login": "300/m/ip",
    "login_failed": f"60/m/ip,5/{SIGN_IN_REFUSAL_SECONDS}s/key",
    "login_failed_known_browser": f"5/{SIGN_IN_REFUSAL_SECONDS}s/key",
    "login_failed_elsewhere": "100/h/key",
    "token_refused": "10/m/ip",
    "token_refused_account": "10/m/key",
    "reset_password": "30/m/ip,5/h/key",
    "reset_password_from_key": "60/m/ip",
    "reauthenticate": "20/m/user",
    "change_password": "10/m/user",
    "signup": "60/m/ip",
    "patient_invitation": "20/m/ip,10/h/key",
    "patient_join_address": "20/m/ip,5/h/key",
    "patient_join_number": "60/m/ip,15/h/key",
}

# Second factors

MFA_ROLES = frozenset(env.items("MFA_ROLES", "" if DEMO else "radiologist,administrator,it_staff"))
"""Roles that get nowhere without a second factor."""
if unknown_roles := MFA_ROLES - {"radiologist", "administrator", "it_staff", "patient"}:
    raise ImproperlyConfigured(f"MFA_ROLES names roles that do not exist: {', '.join(sorted(unknown_roles))}.")
MFA_ADAPTER = "accounts.second_factor.SecondFactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes", "webauthn"]
MFA_PASSKEY_LOGIN_ENABLED = True
# A code counts in its own step of 30 seconds alone (ASVS V6.5.5): who types too late takes the next one.
MFA_TOTP_TOLERANCE = 0
MFA_RECOVERY_CODE_DIGITS = 10
MFA_ALLOW_UNVERIFIED_EMAIL = True
MFA_RATE_LIMITS = {"webauthn_login": "60/m/ip"}
MFA_FORMS = {
    "authenticate": "accounts.sign_in_forms.OneTimeCodeForm",
    "reauthenticate": "accounts.sign_in_forms.OneTimeCodeAgainForm",
    "activate_totp": "accounts.sign_in_forms.ActivateTotpForm",
    "add_webauthn": "accounts.sign_in_forms.AddPasskeyForm",
    "edit_webauthn": "accounts.sign_in_forms.RenamePasskeyForm",
}

# Single sign-on by OpenID Connect

OIDC_URL = env.text("OIDC_URL", "").rstrip("/")
"""The provider's address, below which it has ``.well-known/openid-configuration``; empty: no single sign-on."""
if OIDC_URL and not DEMO and not OIDC_URL.startswith("https://"):
    raise ImproperlyConfigured("OIDC_URL has to begin with https://: the provider says who somebody is.")
OIDC_NAME = env.text("OIDC_NAME", "the hospital's sign-in")
OIDC_SATISFIES_MFA = env.boolean("OIDC_SATISFIES_MFA", default=False)
"""Whether the provider asks for a second factor itself, so that this site need not."""
SOCIALACCOUNT_ADAPTER = "accounts.single_sign_on.KnownPeopleAdapter"
SOCIALACCOUNT_AUTO_SIGNUP = False
SOCIALACCOUNT_STORE_TOKENS = False
SOCIALACCOUNT_PROVIDERS = (
    {
        "openid_connect": {
            "OAUTH_PKCE_ENABLED": True,
            "APPS": [
                {
                    "provider_id": "hospital",
                    "name": OIDC_NAME,
                    "client_id": env.text("OIDC_CLIENT_ID"),
                    "secret": env.text("OIDC_CLIENT_SECRET"),
                    "settings": {"server_url": OIDC_URL},
                }
            ],
        }
    }
    if OIDC_URL
    else {}
)

# Sessions

SESSION_IDLE_SECONDS = 60 * env.number("SESSION_IDLE_MINUTES", 15, minimum=0.05, maximum=24 * 60)
"""Without activity of the person a session ends after this."""
SESSION_ABSOLUTE_SECONDS = 3600 * env.number("SESSION_ABSOLUTE_HOURS", 12, minimum=0.001, maximum=7 * 24)
"""After this a session ends in any case."""
SESSION_COOKIE_AGE = int(SESSION_ABSOLUTE_SECONDS) + 60
SESSION_EXPIRE_AT_BROWSER_CLOSE = True
API_TOKEN_HOURS = env.integer("API_TOKEN_HOURS", 12, minimum=1, maximum=24 * 365)

# Transport security

SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
if HTTPS:
    # The browser takes such a cookie only over TLS, for this very host and the whole of it (RFC 6265bis, 4.1.3.2).
    SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = "__Host-sessionid", "__Host-csrftoken"
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
# Messages may name a patient: they wait in the session on the server, not in a cookie.
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
SESSION_COOKIE_HTTPONLY = True
CSRF_COOKIE_HTTPONLY = True
SECURE_SSL_REDIRECT = HTTPS and env.boolean("SECURE_SSL_REDIRECT", default=True)
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^api/"]
"""The API refuses instead (``TlsForProgramsMiddleware``)."""
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
if BEHIND_PROXY:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:", "blob:"],
        "font-src": ["'self'", "data:"],
        "connect-src": ["'self'"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    }
}

# Intake

MAX_IMAGE_BYTES = env.integer("MAX_IMAGE_MB", 64, minimum=1, maximum=2048) * 1024 * 1024
# Django refuses the body while it streams once a file passes this; nothing is kept of it.
DATA_UPLOAD_MAX_NUMBER_FILES = 200
FILE_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
FILE_UPLOAD_HANDLERS = ["portal.uploads.BoundedTemporaryFileUploadHandler"]
FILE_UPLOAD_TEMP_DIR = str(DATA_DIR / "incoming")
Path(FILE_UPLOAD_TEMP_DIR).mkdir(exist_ok=True)

CLAMD = env.text("CLAMD", "")
"""Where ClamAV's daemon listens (``unix:///run/clamav/clamd.ctl`` or ``tcp://host:3310``); empty: uploads are not
scanned. Once it is set, a scanner that is down means that no file is taken."""
if CLAMD and not is_address(CLAMD):
    raise ImproperlyConfigured(f"CLAMD is {CLAMD!r}; write unix:///run/clamav/clamd.ctl or tcp://host:3310.")

# Background work

CELERY_TASK_ACKS_LATE = False
CELERY_TASK_IGNORE_RESULT = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_CONCURRENCY = env.integer("WORKER_CONCURRENCY", 1, minimum=1, maximum=64)
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_TASK_PUBLISH_RETRY = False
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
JOB_TIME_LIMIT_SECONDS = env.integer("JOB_TIME_LIMIT_SECONDS", 60, minimum=5, maximum=3600)
"""A job that works longer is ended; the soft limit derives from it. The lease is shorter: a heartbeat extends it."""
CELERY_TASK_TIME_LIMIT = JOB_TIME_LIMIT_SECONDS
CELERY_TASK_SOFT_TIME_LIMIT = JOB_TIME_LIMIT_SECONDS * 0.9
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
QUEUE_TROUBLE_MINUTES = env.integer("QUEUE_TROUBLE_MINUTES", 10, minimum=1, maximum=24 * 60)
"""IT staff are told when the oldest job has waited longer than this (portal.trouble)."""
QUEUE_TROUBLE_FAILURES = env.integer("QUEUE_TROUBLE_FAILURES", 5, minimum=1, maximum=10_000)
"""IT staff are told when so many jobs failed within an hour."""
QUEUE_DIR = DATA_DIR / "queue"
CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, object] = (
    {"folder": str(QUEUE_DIR), "polling_interval": 0.05}
    if CELERY_BROKER_URL.startswith("filesystem:")
    # An upload must not wait for a broker that is down: one attempt, then the sweep makes up for it.
    else {"socket_connect_timeout": 1, "socket_timeout": 1, "max_retries": 0}
)

# API

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.tokens.BearerAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["accounts.api_permissions.TablePermission"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["portal.api_parsers.BoundedJSONParser"],
    "DEFAULT_PAGINATION_CLASS": "portal.api_pagination.PositionPagination",
    "EXCEPTION_HANDLER": "portal.api_errors.exception_handler",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Senolens API",
    "DESCRIPTION": "Decision support for breast imaging. Not a diagnosis.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "SCHEMA_PATH_PREFIX": r"/api/v1",
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "portal.api_schema.document_refusals",
    ],
    "SERVE_PERMISSIONS": ["accounts.api_permissions.TablePermission"],
    "ENUM_NAME_OVERRIDES": {
        "StudyState": "diagnosis.models.Study.State",
        "AnalysisState": "portal.jobs.State",
        "ReportStatus": "diagnosis.models.Report.Status",
        "ModelStatus": "diagnosis.models.ModelVersion.Status",
    },
}

# E-mail, language, site

_email = dj_email_url.parse(env.text("EMAIL_URL", f"file://{DATA_DIR / 'mail'}"))
EMAIL_BACKEND = _email["EMAIL_BACKEND"]
EMAIL_FILE_PATH = str(DATA_DIR / "mail") if "filebased" in EMAIL_BACKEND else _email["EMAIL_FILE_PATH"]
EMAIL_HOST = _email["EMAIL_HOST"]
EMAIL_PORT = _email["EMAIL_PORT"]
EMAIL_HOST_USER = _email["EMAIL_HOST_USER"]
EMAIL_HOST_PASSWORD = _email["EMAIL_HOST_PASSWORD"]
EMAIL_USE_TLS = _email["EMAIL_USE_TLS"]
EMAIL_USE_SSL = _email["EMAIL_USE_SSL"]
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.text("DEFAULT_FROM_EMAIL", f"senolens@{urlsplit(PUBLIC_URL).hostname}")
MAIL_CLINICAL_CONTENT = env.boolean("MAIL_CLINICAL_CONTENT", default=False)
"""Whether an e-mail also says what the line under the bell says, and leads to its page. Off: that there is something,
and where to sign in. Never on where mail leaves the hospital unencrypted."""

USE_TZ = True
TIME_ZONE = env.text("TIME_ZONE", "UTC")
LANGUAGE_CODE = env.text("LANGUAGE_CODE", "en")
USE_I18N = True
SITE_NAME = env.text("SITE_NAME", "Senolens demonstration hospital" if DEMO else "Senolens")
SITE_PHONE = env.text("SITE_PHONE", "020 7946 0137" if DEMO else "")
"""What patients are told to call; empty: their pages and letters name only ``SITE_CONTACT``."""
SITE_CONTACT = env.text("SITE_CONTACT", "the reception of the breast clinic")
"""Who answers there, as it stands within a sentence."""
RETENTION_YEARS = env.integer("RETENTION_YEARS", 0, minimum=0, maximum=150)
"""``purge`` erases patients of whom nothing happened for so long; 0: nobody is erased for age."""
EXPORT_DAYS = env.integer("EXPORT_DAYS", 7, minimum=1, maximum=90)
"""How long a de-identified package can be fetched before it is removed."""
EXPORT_NEEDS_CONSENT = env.boolean("EXPORT_NEEDS_CONSENT", default=True)
"""Whether a de-identified package holds only patients who agreed; else the site has another legal ground."""
INVITATION_DAYS = env.integer("INVITATION_DAYS", 14, minimum=1, maximum=90)
"""How long the code that lets a patient make a log-in is valid."""
PATIENT_SEES_STAFF_NAMES = env.boolean("PATIENT_SEES_STAFF_NAMES", default=False)
"""Whether "Who looked at my record" names the people, or only their roles."""
EMERGENCY_ACCESS_MINUTES = env.integer("EMERGENCY_ACCESS_MINUTES", 60, minimum=5, maximum=24 * 60)
"""How long a record that was opened by emergency access stays open."""
EMERGENCY_ACCESS_PER_HOUR = env.integer("EMERGENCY_ACCESS_PER_HOUR", 5, minimum=1, maximum=100)
"""How many records one person may open so within an hour."""
READING_MODE = env.choice("READING_MODE", "concurrent", allowed=("concurrent", "second_reader"))
MODEL_DIR = Path(env.text("MODEL_DIR", str(BASE_DIR / "ml" / "artifacts")))
MODEL_THREADS = env.integer("MODEL_THREADS", 2, minimum=1, maximum=64)
"""Threads of one forward pass."""
