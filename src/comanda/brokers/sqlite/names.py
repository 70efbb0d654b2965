"""Task and queue names as small integers (PG15), cached: an id never changes and is never removed."""

from __future__ import annotations

from ...errors import ConfigurationError
from ..records import MESSAGE
from ..rules import kind_clash
from .session import Session

_ADD_TASK = "INSERT INTO {ns}_tasks (name) VALUES (?) ON CONFLICT DO NOTHING"
_TASK = "SELECT n FROM {ns}_tasks WHERE name = ?"
_TASKS = "SELECT n, name FROM {ns}_tasks"
_ADD_QUEUE = "INSERT INTO {ns}_queues (name, messages) VALUES (?, ?) ON CONFLICT DO NOTHING"
_QUEUE = "SELECT n, messages FROM {ns}_queues WHERE name = ?"
_QUEUES = "SELECT n, name FROM {ns}_queues"


class Names:
    """What this process knows of the tables `tasks` and `queues`.

    A transaction that fails must `forget` what it added.
    """

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Drop the cache: a rollback may have undone an insert."""
        self._task_ids: dict[str, int] = {}
        self._task_names: dict[int, str] = {}
        self._task_lists: dict[frozenset[str], str] = {}
        self._queue_ids: dict[tuple[str, bool], int] = {}
        self._queue_names: dict[int, str] = {}
        self._pairs: dict[tuple[str, str], tuple[int, int]] = {}

    def task_id(self, session: Session, name: str) -> int:
        """Return the number of a task, adding it when it is new."""
        found = self._task_ids.get(name)
        if found is None:
            session.run(_ADD_TASK, (name,))
            found = self._task_ids[name] = session.run(_TASK, (name,))[0][0]
        return found

    def known(self, task: str, queue: str) -> tuple[int, int] | None:
        """Return the numbers of a task and of its queue when both are known without looking."""
        pair = self._pairs.get((task, queue))
        if pair is None:
            task_id, queue_id = self._task_ids.get(task), self._queue_ids.get((queue, task == MESSAGE))
            if task_id is not None and queue_id is not None:
                pair = self._pairs[task, queue] = (task_id, queue_id)
        return pair

    def task_list(self, session: Session, tasks: frozenset[str]) -> str:
        """Return the numbers of tasks as SQL text: `IN (…)` over literals keeps a claim inside the index `ready`."""
        if tasks not in self._task_lists:
            self._task_lists[tasks] = ",".join(str(self.task_id(session, task)) for task in sorted(tasks))
        return self._task_lists[tasks]

    def queue_id(self, session: Session, name: str, task: str) -> int:
        """Return the number of a queue, adding it when it is new.

        Raises ConfigurationError when the queue holds messages and `task` is a task, or the reverse.
        """
        messages = task == MESSAGE
        found = self._queue_ids.get((name, messages))
        if found is None:
            session.run(_ADD_QUEUE, (name, messages))
            found, kind = session.run(_QUEUE, (name,))[0]
            if bool(kind) is not messages:
                raise ConfigurationError(kind_clash(name, holds_messages=bool(kind)))
            self._queue_ids[(name, messages)] = found
        return found

    def task_name(self, session: Session, number: int) -> str:
        """Return the name of a task."""
        if number not in self._task_names:
            self._task_names = dict(session.run(_TASKS))
        return self._task_names[number]

    def queue_name(self, session: Session, number: int) -> str:
        """Return the name of a queue."""
        if number not in self._queue_names:
            self._queue_names = dict(session.run(_QUEUES))
        return self._queue_names[number]
