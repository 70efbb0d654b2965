"""The application "comanda.django" of INSTALLED_APPS."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ComandaConfig(AppConfig):
    """The queue in Django's lists: its name, its signals, its checks. Nothing is opened and nothing started (F30)."""

    name = "comanda.django"
    label = "comanda"
    verbose_name = _("Task queue")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Connect what listens to Django."""
        from . import checks, receivers

        checks.register()
        receivers.connect(self)
