"""Three dev logs to show, with the technologies that must be found in them."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple


class Sample(NamedTuple):
    """A log and its expected tags."""

    entry: str
    tags: frozenset[str]

    def missing(self, found: Collection[str]) -> list[str]:
        """Return the expected tags that `found` lacks, whatever their case: a language model chooses its own."""
        return sorted(tag for tag in self.tags if tag.casefold() not in {name.casefold() for name in found})


SAMPLES = (
    Sample(
        "Heute habe ich eine Anwendung mit Django geschrieben. Diese Anwendung schreibt Informationen nach "
        "Elasticsearch und ist auf ImaginaryNoneExistence Cloud deployed.",
        frozenset({"Django", "Elasticsearch", "ImaginaryNoneExistence Cloud"}),
    ),
    Sample(
        "Moved the billing service from Flask to FastAPI today. PostgreSQL stays, the sessions go to Redis, and all of "
        "it runs on Kubernetes.",
        frozenset({"Flask", "FastAPI", "PostgreSQL", "Redis", "Kubernetes"}),
    ),
    Sample(
        "Hoje escrevi os testes da API em Go com Docker e publiquei as métricas no Prometheus; falta o painel no "
        "Grafana.",
        frozenset({"Go", "Docker", "Prometheus", "Grafana"}),
    ),
)
