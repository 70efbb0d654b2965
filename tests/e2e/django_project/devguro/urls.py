"""Routes: one that enqueues and waits, so that a test sees the whole way."""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse
from django.urls import path

from .tasks import add


def sums(_request: HttpRequest, left: int, right: int) -> JsonResponse:
    """Add in the worker."""
    return JsonResponse({"sum": add.enqueue(left, right).result(20)})


urlpatterns = [path("sums/<int:left>/<int:right>/", sums)]
