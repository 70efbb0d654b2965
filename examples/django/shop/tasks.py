"""What happens after the answer has left."""

from django.utils import timezone

from comanda import Retry, Secret
from comanda.django import app

from .models import Order


@app.task
def send_receipt(order_id: int) -> str:
    """Send the receipt of an order."""
    order = Order.objects.get(pk=order_id)
    order.receipt_sent_at = timezone.now()
    order.save()
    return f"sent for {order.item}"


@app.task(queue="payments", retry=Retry(max_attempts=2, backoff=0.1))
def charge(order_id: int, card: Secret[str]) -> None:
    """Charge a card; the bank refuses those that end in 0."""
    if card.reveal().endswith("0"):
        raise PermissionError(f"the bank refused the card of order {order_id}")
