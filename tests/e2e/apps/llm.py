"""The slow, flaky step of S1: a language model behind HTTP."""

from __future__ import annotations

import os

import httpx

from comanda import Comanda, Retry

app = Comanda()


@app.task(retry=Retry(max_attempts=5, backoff=0.05))
def ask(prompt: str) -> str:
    """Ask the model whose address the environment names."""
    with httpx.Client(trust_env=False) as client:
        return client.post(os.environ["LLM_URL"], content=prompt).raise_for_status().text
