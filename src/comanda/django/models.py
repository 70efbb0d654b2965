"""The model behind the admin's pages: a name and permissions, no table.

Jobs are read through the broker's contract, so the pages are the same on every store.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _


class _NoRows(models.Manager):
    """Finds nothing: `dumpdata` and others read the tables of all models, and here is none."""

    def get_queryset(self) -> Any:
        """Return an empty query set."""
        return super().get_queryset().none()


class Job(models.Model):
    """A job of the queue; `id` is its public id."""

    id = models.CharField(primary_key=True, max_length=36, editable=False)

    objects = _NoRows()

    class Meta:
        """No table, and permissions for what operators do."""

        managed = False
        default_permissions = ("view", "delete")
        permissions: ClassVar = [("retry_job", _("Can retry job")), ("cancel_job", _("Can cancel job"))]
        verbose_name = _("job")
        verbose_name_plural = _("jobs")

    def __str__(self) -> str:
        """Return the id."""
        return str(self.id)
