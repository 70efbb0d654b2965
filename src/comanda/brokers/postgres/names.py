"""Task and queue names as small integers (PG15), cached: a number never changes and is never removed.

They are added on a connection of their own and committed at once, before the transaction that needs them: a name that
stood uncommitted in an application's long transaction would make everybody wait who uses it.
"""

from __future__ import annotations

from collections.abc import Iterable

from ...errors import ConfigurationError
from ..records import MESSAGE
from ..rules import kind_clash
from .store import Store
from .wire import bool_, text, texts

_TASKS = "SELECT n, name FROM {ns}.tasks"
_QUEUES = "SELECT n, name, messages, shown FROM {ns}.queues"
_ADD_TASKS = """
INSERT INTO {ns}.tasks (name) SELECT name FROM unnest($1::text[]) AS given(name) ORDER BY name
ON CONFLICT (name) DO NOTHING
"""
_ADD_QUEUE = """
INSERT INTO {ns}.queues AS q (name, messages, shown) VALUES ($1::text, $2::boolean, $3::boolean)
ON CONFLICT (name) DO UPDATE SET shown = true WHERE excluded.shown AND NOT q.shown AND q.messages = excluded.messages
"""


class Names:
    """What this process knows of the tables `tasks` and `queues`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._task_ids: dict[str, int] = {}
        self._task_names: dict[int, str] = {}
        self._task_lists: dict[frozenset[str], tuple[int, ...]] = {}
        self._queues: dict[str, tuple[int, bool, bool]] = {}
        self._queue_names: dict[int, str] = {}

    def task_id(self, name: str) -> int:
        """Return the number of a task, adding it when it is new."""
        if name not in self._task_ids:
            self.add_tasks([name])
        return self._task_ids[name]

    def add_tasks(self, names: Iterable[str]) -> list[int]:
        """Return the numbers of tasks, adding those that are new."""
        wanted = list(names)
        if not self._task_ids.keys() >= set(wanted):
            self._load_tasks()
            missing = [name for name in wanted if name not in self._task_ids]
            if missing:
                self._store.run_aside(_ADD_TASKS, texts(missing))
                self._load_tasks()
        return [self._task_ids[name] for name in wanted]

    def task_list(self, tasks: frozenset[str]) -> tuple[int, ...]:
        """Return the numbers of a worker's tasks."""
        if tasks not in self._task_lists:
            self._task_lists[tasks] = tuple(sorted(self.add_tasks(tasks)))
        return self._task_lists[tasks]

    def queue_id(self, name: str, task: str, *, shown: bool = True) -> int:
        """Return the number of a queue, adding it when it is new; `shown` from now on, if not before.

        Raises ConfigurationError when the queue holds messages and `task` is a task, or the reverse.
        """
        messages = task == MESSAGE
        found = self._queues.get(name)
        if found is None or (shown and not found[2]):
            self._store.run_aside(_ADD_QUEUE, text(name), bool_(messages), bool_(shown))
            self._load_queues()
            found = self._queues[name]
        if found[1] is not messages:
            raise ConfigurationError(kind_clash(name, holds_messages=found[1]))
        return found[0]

    def task_name(self, number: int) -> str:
        """Return the name of a task."""
        if number not in self._task_names:
            self._load_tasks()
        return self._task_names[number]

    def queue_name(self, number: int) -> str:
        """Return the name of a queue."""
        if number not in self._queue_names:
            self._load_queues()
        return self._queue_names[number]

    def known_tasks(self, names: Iterable[str]) -> list[int]:
        """Return the numbers of those among `names` that exist."""
        wanted = list(names)
        if not self._task_ids.keys() >= set(wanted):
            self._load_tasks()
        return [self._task_ids[name] for name in wanted if name in self._task_ids]

    def known_queues(self, names: Iterable[str]) -> list[int]:
        """Return the numbers of those among `names` that exist."""
        wanted = list(names)
        if not self._queues.keys() >= set(wanted):
            self._load_queues()
        return [self._queues[name][0] for name in wanted if name in self._queues]

    def _load_tasks(self) -> None:
        self._task_names = dict(self._store.run_aside(_TASKS))
        self._task_ids = {name: number for number, name in self._task_names.items()}

    def _load_queues(self) -> None:
        rows = self._store.run_aside(_QUEUES)
        self._queues = {name: (number, messages, shown) for number, name, messages, shown in rows}
        self._queue_names = {number: name for number, name, _, _ in rows}
