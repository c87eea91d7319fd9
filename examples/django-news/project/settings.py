"""Settings. DATABASE_URL chooses PostgreSQL; without it, SQLite in NEWS_STATE or in this folder."""

import os
from pathlib import Path
from urllib.parse import urlsplit

BASE_DIR = Path(__file__).resolve().parents[1]
STATE = Path(os.environ.get("NEWS_STATE", BASE_DIR))
PENSTOCK_STATE = STATE / ".penstock"


def database(url):
    if not url:
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": STATE / "news.db",
        }
    parts = urlsplit(url)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path[1:],
        "USER": parts.username,
        "PASSWORD": parts.password or "",
        "HOST": parts.hostname,
        "PORT": str(parts.port or 5432),
    }


DATABASES = {"default": database(os.environ.get("DATABASE_URL"))}
SECRET_KEY = os.environ.get("SECRET_KEY", "only-for-this-example")
INSTALLED_APPS = ["django.contrib.contenttypes", "penstock_django", "news"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
LOGGING = {  # what fails is kept in the database, and shown from there
    "version": 1,
    "handlers": {"nowhere": {"class": "logging.NullHandler"}},
    "loggers": {"pipeline": {"handlers": ["nowhere"], "propagate": False}},
}
