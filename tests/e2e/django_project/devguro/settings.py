"""Settings of the project."""

from __future__ import annotations

import logging
from pathlib import Path

from django.utils.log import CallbackFilter

BASE_DIR = Path(__file__).parents[1]
SECRET_KEY = "of no use outside of a test"
DEBUG = True
ROOT_URLCONF = "devguro.urls"
WSGI_APPLICATION = "devguro.wsgi.application"
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "site.db"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
TIME_ZONE = "UTC"
USE_TZ = True


def _is_about_urls(record: logging.LogRecord) -> bool:
    return "devguro/urls.py" in record.getMessage()


# The reloader says that it has seen this file: from then on a change of it counts.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"urls": {"()": CallbackFilter, "callback": _is_about_urls}},
    "handlers": {"console": {"class": "logging.StreamHandler", "filters": ["urls"]}},
    "loggers": {"django.utils.autoreload": {"handlers": ["console"], "level": "DEBUG"}},
}
