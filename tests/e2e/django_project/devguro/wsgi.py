"""What a web server loads, `runserver` included, and no other management command: so the worker starts here."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

from .tasks import app

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "devguro.settings")
application = get_wsgi_application()
worker = app.start_worker()
