"""What `comanda demo` prints."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.text import Text

from comanda.cli.output import one_line

from .extract.llm import configured
from .visitor import Posted, Tagged


class Terminal:
    """Lines for people. Nothing from outside can steer the terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def opening(self, address: str, database: Path, *, wanted_port: int | None) -> None:
        """Say where everything is; `wanted_port` is one that was taken.

        Raises ConfigurationError when the environment describes a language model that cannot be asked.
        """
        if wanted_port is not None:
            self._line(f"Port {wanted_port} is taken; this is the next free one.", style="yellow")
        self._fact("Dev-Guro", address, f"the API: {address}/docs", style="bold cyan")
        self._fact("store", str(database), "logs, tags and jobs in one SQLite file")
        self._fact("extractor", *_extractor())
        self._line()

    def posted(self, posted: Posted, entry: str) -> None:
        """Say how long an answer took."""
        self._event("POST", f"201 in {posted.milliseconds:5.1f} ms", posted.id, entry, style="cyan")

    def tagged(self, log_id: int, seconds: float, tagged: Tagged, missing: list[str]) -> None:
        """Say what was found, and what should have been."""
        found = ", ".join(tagged.tags) or f"no tags, the job is {tagged.state}"
        lack = f" (missing: {', '.join(missing)})" if missing else ""
        self._event(
            "tags", f"after {seconds * 1000:5.0f} ms", log_id, found + lack, style="red" if missing else "green"
        )

    def trouble(self, sentence: str) -> None:
        """Say what went wrong."""
        self._line(one_line(sentence), style="bold red")

    def closing(self, *, complete: bool, once: bool) -> None:
        """Say how it ended, and what can be done now."""
        self._line()
        verdict = "All tags came." if complete else "Not all tags came."
        self._line(
            verdict if once else f"{verdict} Serving until Ctrl-C.", style="bold green" if complete else "bold red"
        )

    def _fact(self, name: str, value: str, remark: str, style: str = "") -> None:
        self._console.print(Text.assemble((f"{name:<11}", "dim"), (one_line(value), style), ("   " + remark, "dim")))

    def _event(self, kind: str, time: str, log_id: int, text: str, *, style: str) -> None:
        line = Text.assemble((f"{kind:<6}", style), f"{time:<17}", (f"No. {log_id:<4}", "dim"), one_line(text))
        self._console.print(line, no_wrap=True, overflow="ellipsis")

    def _line(self, sentence: str = "", style: str = "") -> None:
        self._console.print(Text(sentence, style))


def _extractor() -> tuple[str, str]:
    endpoint = configured()
    if endpoint is None:
        return "offline", "with OPENAI_API_KEY or OPENAI_BASE_URL set, a language model is asked instead"
    return f"{endpoint.model} at {endpoint.host}", "OPENAI_API_KEY or OPENAI_BASE_URL is set"
