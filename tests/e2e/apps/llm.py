"""The slow, flaky step of S1: a language model behind HTTP."""

from __future__ import annotations

import os
import urllib.request

from comanda import Comanda, Retry

app = Comanda()


@app.task(retry=Retry(max_attempts=5, backoff=0.05))
def ask(prompt: str) -> str:
    """Ask the model whose address the environment names."""
    request = urllib.request.Request(os.environ["LLM_URL"], data=prompt.encode())
    with urllib.request.urlopen(request, timeout=10) as answer:
        return str(answer.read().decode())
