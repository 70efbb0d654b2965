"""Taking orders: the order and its jobs are committed together."""

from django.db import connection, transaction
from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from comanda import Secret

from .models import Order
from .tasks import charge, send_receipt


@csrf_exempt  # it is called by scripts, and who orders is not who is signed in
@require_POST
def order(request: HttpRequest) -> JsonResponse:
    """Store an order; its card is charged and its receipt sent in the background."""
    with transaction.atomic():
        placed = Order.objects.create(item=request.POST["item"])
        receipt = send_receipt.using(connection=connection).enqueue(placed.pk)
        payment = charge.using(connection=connection).enqueue(placed.pk, Secret(request.POST["card"]))
    return JsonResponse({"order": placed.pk, "receipt": receipt.id, "payment": payment.id}, status=202)
