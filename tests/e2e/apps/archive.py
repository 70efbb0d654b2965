"""Jobs with large arguments, so that their removal is seen in the size of the file."""

from __future__ import annotations

from comanda import Comanda, Retry

app = Comanda()


@app.task(retry=Retry(max_attempts=1))
def read(text: str) -> int:
    """Return the length; refuse an empty text."""
    if not text:
        raise ValueError("nothing to read")
    return len(text)
