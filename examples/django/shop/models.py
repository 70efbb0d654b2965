"""Orders."""

from django.db import models


class Order(models.Model):
    """An order, and when its receipt was sent."""

    item = models.CharField(max_length=100)
    receipt_sent_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        """Return what was ordered."""
        return str(self.item)
