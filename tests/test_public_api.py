"""The public names are a promise: this list changes only on purpose."""

from __future__ import annotations

import inspect
import re

import pytest

import comanda
import comanda.testing
from comanda import errors

PUBLIC = {
    "Attempt", "Comanda", "Job", "Message", "MessageQueue", "Retry", "Secret", "State", "Task", "__version__",
    "current_job",
    # errors
    "BrokerError", "BrokerTimeout", "BrokerUnavailable", "Cancelled", "ComandaError", "ConfigurationError",
    "DuplicateJob", "EnqueueError", "EnqueueUncertain", "InvalidArguments", "JobCancelled", "JobError", "JobExpired",
    "JobFailed", "JobNotFound", "LostLease", "MissingExtra", "NotInTransaction", "NotSupported", "PayloadTooLarge",
    "QueueEmpty", "QueueFull", "ResultTimeout", "RetryLater", "SchemaMismatch", "TimedOut", "UnknownOption",
}  # fmt: skip


def test_the_public_names_are_these() -> None:
    assert set(comanda.__all__) == PUBLIC
    assert comanda.__all__ == sorted(comanda.__all__)
    assert all(hasattr(comanda, name) for name in PUBLIC)


def test_every_public_name_says_what_it_is() -> None:
    named = [getattr(comanda, name) for name in PUBLIC - {"__version__"}]
    assert [thing for thing in named if not (thing.__doc__ or "").strip()] == []


def test_every_public_method_says_what_it_does() -> None:
    silent = [
        f"{kind.__name__}.{name}"
        for kind in (comanda.Comanda, comanda.Task, comanda.Job, comanda.MessageQueue, comanda.Retry, comanda.Secret)
        for name, member in vars(kind).items()
        if not name.startswith("_") and (inspect.isfunction(member) or isinstance(member, property))
        if not (member.__doc__ or "").strip()
    ]
    assert silent == []


def test_every_blocking_verb_has_an_async_twin() -> None:
    """`a` + the verb, on the same object (design section 3)."""
    verbs = {
        comanda.Comanda: ("enqueue", "enqueue_many", "get_job"),
        comanda.Task: ("enqueue",),
        comanda.Job: ("result", "refresh", "follow", "cancel", "retry"),
        comanda.MessageQueue: ("put", "get", "receive", "consume", "peek", "clear"),
    }
    missing = [
        f"{kind.__name__}.a{verb}" for kind, names in verbs.items() for verb in names if not hasattr(kind, f"a{verb}")
    ]
    assert missing == []


def test_the_errors_are_one_tree_as_it_is_drawn() -> None:
    """The module's docstring draws each class under its base."""
    raised_inside = {
        "RetryLater": Exception,
        "LostLease": Exception,
        "Cancelled": BaseException,
        "TimedOut": BaseException,
    }
    drawn: dict[int, str] = {}
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"^(?P<indent>[ │├└─]*)(?P<name>[A-Z]\w+)(\(|\s|$)", line)
        if not found or not hasattr(errors, found["name"]):
            continue
        name, depth = found["name"], len(found["indent"])
        kind = getattr(errors, name)
        if name in raised_inside:
            assert kind.__base__ is raised_inside[name]
            continue
        parents = [drawn[level] for level in sorted(drawn) if level < depth]
        assert kind.__base__.__name__ == (parents[-1] if parents else "Exception"), name
        drawn = {level: known for level, known in drawn.items() if level < depth} | {depth: name}
    defined = {name for name, kind in vars(errors).items() if inspect.isclass(kind) and issubclass(kind, BaseException)}
    assert defined - {name for name in defined if name in (errors.__doc__ or "")} == set()


def test_the_names_of_the_test_kit_are_these() -> None:
    assert comanda.testing.__all__ == ["EnqueuedJob", "FakeClock", "assert_enqueued", "enqueued", "inline", "run_jobs"]
    assert [name for name in comanda.testing.__all__ if not inspect.getdoc(getattr(comanda.testing, name))] == []


PLAIN = [kind for kind in vars(errors).values() if inspect.isclass(kind) and "__init__" not in vars(kind)]


@pytest.mark.parametrize("kind", [kind for kind in PLAIN if issubclass(kind, errors.ComandaError)])
def test_the_docstring_of_an_error_is_its_default_message(kind: type[errors.ComandaError]) -> None:
    assert str(kind()) == kind.__doc__
    assert str(kind("said better")) == "said better"


def test_a_copied_error_says_the_same_and_is_another_object() -> None:
    uncertain = errors.EnqueueUncertain("42")
    uncertain.add_note("a note")
    uncertain.__cause__ = OSError(5, "I/O error")
    copy = errors.copied(uncertain)
    assert copy is not uncertain
    assert isinstance(copy, errors.EnqueueUncertain)
    assert (copy.job_id, str(copy), copy.__notes__) == ("42", str(uncertain), ["a note"])
    assert copy.__cause__ is uncertain.__cause__
    assert isinstance(errors.copied(FileNotFoundError(2, "no such file")), FileNotFoundError)


def test_a_missing_extra_names_the_command_that_brings_it() -> None:
    error = errors.MissingExtra("sqlalchemy", "comanda.sqlalchemy")
    assert str(error) == "comanda.sqlalchemy needs an optional dependency: pip install 'comanda[sqlalchemy]'"
    assert error.extra == "sqlalchemy"


def test_a_later_run_lies_ahead() -> None:
    assert errors.RetryLater(after=1.5).after.total_seconds() == 1.5
    with pytest.raises(ValueError, match="must not be negative"):
        errors.RetryLater(after=-1)
