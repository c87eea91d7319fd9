"""Settings of these tests. The database is named in NEWSROOM_DATABASE."""

import os
from pathlib import Path
from urllib.parse import urlsplit


def database(url):
    if url.startswith("sqlite:"):
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": url.removeprefix("sqlite:///")}
    parts = urlsplit(url)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path[1:],
        "USER": parts.username,
        "HOST": parts.hostname,
        "PORT": str(parts.port),
    }


SECRET_KEY = "a-secret-key-of-the-tests"
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "penstock_django",
    "newsroom",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
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
ROOT_URLCONF = "newsroom_urls"
ALLOWED_HOSTS = ["testserver"]
DATABASES = {"default": database(os.environ.get("NEWSROOM_DATABASE", "sqlite:///none.db"))}
for file in Path(os.environ.get("NEWSROOM_MORE", "nowhere")).glob("*.url"):
    DATABASES[file.stem] = database(file.read_text())
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
PAYMENT_API_KEY = "sesame-in-a-setting"
STATIC_URL = "static/"
USE_TZ = True
PENSTOCK_STATE = Path(os.environ.get("NEWSROOM_MORE", "nowhere")) / "state"
