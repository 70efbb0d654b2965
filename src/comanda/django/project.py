"""What a worker of a Django project loads: `comanda worker comanda.django.project:app`.

Needs DJANGO_SETTINGS_MODULE. Django is set up and the `tasks` module of each installed app imported, so that the worker
knows every task. Raises ConfigurationError, when it is imported, where the project's database can hold no queue.
"""

from __future__ import annotations

import django
from django.utils.module_loading import autodiscover_modules

django.setup()
autodiscover_modules("tasks")

from .project_app import app  # noqa: E402 - it reads the settings, which are there now

__all__ = ["app"]

if not app.url:
    app.broker  # noqa: B018 - it says why there is none, which a command that only sees the empty URL could not
