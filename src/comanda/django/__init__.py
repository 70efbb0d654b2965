"""Django: the queue in the project's own database, with pages in its admin.

Put "comanda.django" into INSTALLED_APPS, declare tasks with `from comanda.django import app`, and run
`python manage.py comanda worker`. The setting COMANDA is optional, see `conf.py`.

conf.py          the setting COMANDA               database.py       from DATABASES to the URL of the queue
project_app.py   the app                           project.py        what workers load: Django set up, tasks found
runner.py        using(connection=…)               surroundings.py   what is cleaned up around each job
receivers.py     Django's signals                  checks.py         what `manage.py check` says
models.py, admin.py, listing.py, actions.py, detail.py: the pages in the admin
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import MissingExtra

try:
    import django as _django
except ImportError:
    raise MissingExtra("django", "comanda.django") from None
del _django

__all__ = ["app"]

if TYPE_CHECKING:
    from .project_app import app as app
else:

    def __getattr__(name: str) -> object:
        """Make `app` at its first use: it reads Django's settings, which this package's import does not need."""
        if name != "app":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from .project_app import app

        globals()["app"] = app
        return app
