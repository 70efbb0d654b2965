"""Search words to a filter: `state:failed task:send_mail queue:mail since:1h id:0192`, all of which must hold.

A word of one kind given twice, or its values separated by commas, matches either. A task may be named without its
module. `state:waiting` is ready and scheduled. A word without a colon is a job's id or the beginning of one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from ..app import Comanda
from ..brokers.records import JobFilter, State
from ..errors import ConfigurationError, JobNotFound
from ..ids import from_text, to_text
from .exits import Exit, Stop
from .times import past

KINDS = ("state", "task", "queue", "since", "id")
LATER = ("arg", "error", "tag", "failure")
"""Words of the search language that are not there yet."""

_NEWEST = 1_000
"""Jobs in which the name of a task is looked for that no worker has ever known."""

_WAITING = (State.SCHEDULED, State.READY)


def filter_of(words: Sequence[str], app: Comanda) -> JobFilter:
    """Return the filter of search words; raise ConfigurationError for a word that is none.

    Reads the store only to complete the names of tasks.
    """
    given = _by_kind(words)
    for kind in ("since", "id"):
        if len(given.get(kind, ())) > 1:
            raise ConfigurationError(f"{kind}: can be given once")
    return JobFilter(
        id_prefix=_prefix(given["id"][0]) if "id" in given else None,
        states=_states(given["state"]) if "state" in given else None,
        tasks=_tasks(given["task"], app) if "task" in given else None,
        queues=tuple(given["queue"]) if "queue" in given else None,
        since=past(given["since"][0], app.now()) if "since" in given else None,
    )


def is_id(word: str) -> bool:
    """Return whether a word names one job: it has no colon."""
    return ":" not in word and not word.startswith("-")


def find_id(word: str, app: Comanda) -> bytes:
    """Return the id that a word is or begins; raise JobNotFound for none and ConfigurationError for several."""
    prefix = _prefix(word)
    if len(prefix) == 32:
        return from_text(prefix)
    found = app.broker.find(JobFilter(id_prefix=prefix), limit=2)
    if not found:
        raise JobNotFound(f"no job's id begins with {word}; it may have been deleted or pruned")
    if len(found) > 1:
        raise ConfigurationError(
            f"several jobs' ids begin with {word}, such as {to_text(found[0].id)} and {to_text(found[1].id)}: "
            "write more of it"
        )
    return found[0].id


def complete(name: str, known: Iterable[str]) -> list[str]:
    """Return the names that `name` is or ends, the module left out."""
    return sorted({full for full in known if full == name or full.endswith(f".{name}")})


def unknown(what: str, name: str, known: Iterable[str]) -> Stop:
    """Return the end of a command that was given a name which does not exist, with near ones."""
    names = sorted(set(known))
    short = {full.rpartition(".")[2]: full for full in names}
    near = get_close_matches(name, [*names, *short], 3, 0.5)
    full_names = list(dict.fromkeys(short.get(found, found) for found in near))
    hint = f"; near it: {', '.join(full_names)}" if full_names else ""
    if not hint and names:
        hint = f"; known are {', '.join(names[:10])}{', …' if len(names) > 10 else ''}"
    return Stop(Exit.NOT_FOUND, f"there is no {what} {name!r}{hint}")


def _by_kind(words: Sequence[str]) -> dict[str, list[str]]:
    given: dict[str, list[str]] = {}
    for word in words:
        if word.startswith("-"):
            raise ConfigurationError(f"{word!r}: leaving jobs out with - is not there yet; {_help()}")
        kind, _, value = ("id", "", word) if is_id(word) else word.partition(":")
        if kind in LATER or kind.startswith("arg."):
            raise ConfigurationError(f"{word!r}: searching by {kind.partition('.')[0]} is not there yet; {_help()}")
        if kind not in KINDS:
            near = get_close_matches(kind, KINDS, 1)
            hint = f"did you mean {near[0]}:?" if near else _help()
            raise ConfigurationError(f"{word!r} is no search word; {hint}")
        values = [part for part in value.split(",") if part]
        if not values:
            raise ConfigurationError(f"{word!r} names nothing to search for")
        given.setdefault(kind, []).extend(values)
    return given


def _help() -> str:
    return f"search words are {', '.join(f'{kind}:' for kind in KINDS)} and ids"


def _prefix(word: str) -> str:
    digits = word.replace("-", "").lower()
    if not 0 < len(digits) <= 32 or not set(digits) <= set("0123456789abcdef"):
        raise ConfigurationError(f"{word!r} is no job id, nor the beginning of one, nor a search word; {_help()}")
    return digits


def _states(values: Sequence[str]) -> tuple[State, ...]:
    wanted: dict[State, None] = {}
    for value in values:
        if value == "waiting":
            wanted |= dict.fromkeys(_WAITING)
        elif value in list(State):
            wanted[State(value)] = None
        else:
            near = get_close_matches(value, list(State), 1)
            hint = f"did you mean {near[0]}?" if near else f"states are {', '.join(State)}, and waiting"
            raise ConfigurationError(f"there is no state {value!r}; {hint}")
    return tuple(wanted)


def _tasks(values: Sequence[str], app: Comanda) -> tuple[str, ...]:
    """Return the full names that the app, the workers or else the newest jobs know; others stay as they are."""
    known = set(app.tasks) | {task for worker in app.broker.workers() for task in worker.tasks}
    if not all(complete(value, known) for value in values):
        known |= {record.task for record in app.broker.find(JobFilter(), limit=_NEWEST)}
    return tuple(dict.fromkeys(full for value in values for full in complete(value, known) or [value]))
