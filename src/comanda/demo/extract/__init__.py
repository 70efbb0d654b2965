"""The slow step of Dev-Guro: the technologies named in a developer's log."""

from __future__ import annotations

from .answer import ExtractionFailed
from .llm import configured, extract_with_model
from .offline import extract_offline

__all__ = ["ExtractionFailed", "extract"]


def extract(entry: str) -> list[str]:
    """Return the technologies named in `entry`, at most 120 characters each, in order of first appearance, no doubles.

    With OPENAI_API_KEY or OPENAI_BASE_URL in the environment a language model is asked (`extract_with_model` says what
    it raises), otherwise the catalogue.
    """
    endpoint = configured()
    return extract_offline(entry) if endpoint is None else extract_with_model(entry, endpoint)
