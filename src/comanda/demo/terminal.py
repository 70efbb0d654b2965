"""What `comanda demo` prints."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from comanda.cli.output import one_line

from .extract.llm import configured
from .visitor import Posted, Tagged


class Terminal:
    """Lines for people. Nothing from outside can steer the terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def opening(self, address: str, store: str, *, wanted_port: int | None) -> None:
        """Say where everything is; `wanted_port` is one that was taken.

        Raises ConfigurationError when the environment describes a language model that cannot be asked.
        """
        if wanted_port is not None:
            self._line(f"Port {wanted_port} is taken; this is the next free one.", style="yellow")
        self._fact("Dev-Guro", address, style="bold cyan")
        self._fact("API", f"{address}/docs")
        self._fact("store", store)
        self._fact("extractor", _extractor())

    def ready(self, seconds: float) -> None:
        """Say how long the worker took to be there."""
        self._fact("worker", f"ready after {seconds:.1f} s")
        self._line()

    def posted(self, posted: Posted, entry: str) -> None:
        """Say how long an answer took."""
        self._event("POST", posted.milliseconds, posted.id, entry, style="cyan", cut=True)

    def tagged(self, log_id: int, seconds: float, tagged: Tagged, missing: list[str]) -> None:
        """Say what was found, and what should have been."""
        text = ", ".join(tagged.tags) or f"no tags, the job is {tagged.state}"
        if missing:
            text += f" (missing: {', '.join(missing)})"
        self._event("tags", seconds * 1000, log_id, text, style="red" if missing else "green", cut=False)

    def trouble(self, sentence: str) -> None:
        """Say what went wrong."""
        self._line(one_line(sentence), style="bold red")

    def closing(self, *, complete: bool, once: bool) -> None:
        """Say how it ended, and what can be done now."""
        self._line()
        verdict = "All tags came." if complete else "Not all tags came."
        sentence = verdict if once else f"{verdict} Serving until Ctrl-C."
        self._line(sentence, style="bold green" if complete else "bold red")

    def _fact(self, name: str, value: str, style: str = "") -> None:
        self._console.print(Text.assemble((f"{name:<11}", "dim"), (one_line(value), style)))

    def _event(self, kind: str, milliseconds: float, log_id: int, text: str, *, style: str, cut: bool) -> None:
        line = Text.assemble((kind, style), f"{milliseconds:8.1f} ms  ", (f"No. {log_id}  ", "dim"), one_line(text))
        self._console.print(line, no_wrap=cut, overflow="ellipsis" if cut else "fold")

    def _line(self, sentence: str = "", style: str = "") -> None:
        self._console.print(Text(sentence, style))


def _extractor() -> str:
    endpoint = configured()
    if endpoint is None:
        return "offline (OPENAI_API_KEY or OPENAI_BASE_URL brings a language model)"
    return f"{endpoint.model} at {endpoint.host} (by OPENAI_API_KEY or OPENAI_BASE_URL)"
