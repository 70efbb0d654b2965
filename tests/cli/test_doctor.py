"""`comanda doctor`: each check finds what it is there for, and says what to do about it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from comanda.brokers.records import WorkerInfo
from comanda.brokers.sqlite import filesystem, library
from comanda.cli.checks import database, store, work
from comanda.clock import SECOND

from .conftest import Run
from .shop import Shop

Check = Callable[[str], list[tuple[str, str, str]]]


@pytest.fixture
def check(shop: Shop, data: Callable[..., Any]) -> Check:
    """Run the doctor on the shop and return (level, message, fix) of each finding of one check."""

    def findings(name: str) -> list[tuple[str, str, str]]:
        report = data("doctor", "--url", shop.url)
        return [
            (found["level"], found["message"], found["fix"]) for found in report["checks"] if found["check"] == name
        ]

    return findings


def test_a_sound_store_with_a_worker_has_no_problem(shop: Shop, run: Run, data: Callable[..., Any]) -> None:
    shop.successful()
    shop.send_mail.enqueue("ann")
    report = data("doctor", "--url", shop.url)
    assert report["problems"] == 0
    assert {found["check"] for found in report["checks"]} == {
        *("file system", "permissions", "store", "library", "contents", "log", "workers", "waiting", "retention"),
    }
    result = run("doctor", "--url", shop.url)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1].startswith("0 problems, ")


def test_the_store_is_shown_with_its_path_and_the_time_of_a_round_trip(shop: Shop, check: Check) -> None:
    shop.app.broker.open()
    ((level, message, _),) = check("store")
    assert level == "ok"
    assert f"sqlite:///{shop.path}, schema current, round trip 0." in message


def test_a_guarantee_that_the_server_does_not_give_is_a_hint(
    postgres_url: str, redis_url: str, data: Callable[..., Any]
) -> None:
    """The PostgreSQL of the tests does without fsync; their Redis does all it can."""
    levels = {}
    for url in (postgres_url, redis_url):
        (found,) = [one for one in data("doctor", "--url", url)["checks"] if one["check"] == "server"]
        levels[found["message"].split()[0]] = found["level"]
        assert ("fsync is off: jobs that were accepted are lost" in found["message"]) == (found["level"] == "hint")
    assert levels == {"PostgreSQL": "hint", "Redis": "ok"}


def test_a_slow_store_is_a_hint(shop: Shop, check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.app.broker.open()
    monkeypatch.setattr(store, "_SLOW", -1.0)
    ((level, _, fix),) = check("store")
    assert (level, fix) == ("hint", "look at the load of this host and of the disk")


@pytest.mark.parametrize(
    ("version", "level"), [((3, 40, 1), "hint"), ((3, 44, 6), "ok"), ((3, 51, 2), "hint"), ((3, 51, 3), "ok")]
)
def test_a_library_with_the_wal_reset_race_is_a_hint_with_what_the_application_must_do(
    shop: Shop, check: Check, monkeypatch: pytest.MonkeyPatch, version: tuple[int, int, int], level: str
) -> None:
    shop.app.broker.open()
    monkeypatch.setattr(library, "version", lambda _name: version)
    ((found, message, fix),) = check("library")
    assert found == level
    assert ".".join(map(str, version)) in message
    assert ("wal_autocheckpoint = 0" in fix) is (level == "hint")


def test_a_network_file_system_is_a_problem(
    shop: Shop, check: Check, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.app.broker.open()
    monkeypatch.setattr(filesystem, "type_of", lambda _directory: "nfs4")
    ((level, message, _),) = check("file system")
    assert level == "problem"
    assert "lies on a nfs4 file system" in message
    assert run("doctor", "--url", shop.url).exit_code == 2  # the store refuses it, too


def test_a_file_that_others_may_read_is_a_hint(shop: Shop, check: Check) -> None:
    shop.app.broker.open()
    assert check("permissions") == [("ok", "mode 0600, for its owner alone", "")]
    shop.path.chmod(0o644)
    ((level, message, fix),) = check("permissions")
    assert (level, fix.partition(",")[0]) == ("hint", f"chmod 600 {shop.path}")
    assert "mode 0644" in message


@pytest.mark.parametrize("refused", ["shop.db", "shop.db-wal", "."])
def test_what_this_user_may_not_write_is_a_problem(
    shop: Shop, check: Check, workplace: Path, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    shop.send_mail.enqueue("ann")
    monkeypatch.setattr(os, "access", lambda path, _mode: path != workplace / refused)
    ((level, message, _),) = check("permissions")
    assert level == "problem"
    assert str(workplace / refused) in message


def test_damage_is_a_problem(shop: Shop, check: Check, run: Run) -> None:
    shop.app.enqueue_many(shop.send_mail.call("ann" * 50) for _ in range(500))
    shop.app.close()
    with shop.path.open("r+b") as file:
        file.seek(shop.path.stat().st_size // 2)
        file.write(b"\xff" * 16384)
    ((level, message, fix),) = check("contents")
    assert level == "problem"
    assert "is damaged" in message
    assert "restore a backup" in fix
    assert run("doctor", "--url", shop.url).exit_code == 1


def test_a_large_file_is_not_read_whole(shop: Shop, check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.app.broker.open()
    monkeypatch.setattr(database, "CHECKED_AT_MOST", 0)
    ((level, _, fix),) = check("contents")
    assert level == "hint"
    assert "PRAGMA quick_check" in fix


def test_a_long_log_is_a_hint(shop: Shop, check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.send_mail.enqueue("ann")
    assert check("log")[0][0] == "ok"
    monkeypatch.setattr(database, "LONG_LOG", 4_096)
    ((level, message, _),) = check("log")
    assert level == "hint"
    assert "the write-ahead log has grown to" in message


def test_waiting_jobs_that_no_worker_takes_are_a_problem(shop: Shop, check: Check, run: Run) -> None:
    shop.send_mail.enqueue("ann")
    shop.make_report.using(run_after=300).enqueue("may")
    found = {message: (level, fix) for level, message, fix in check("workers")}
    assert found["queue 'default' has 1 waiting job and no worker takes it"] == (
        "problem",
        "comanda worker APP -q default",
    )
    assert "queue 'reports' has 1 waiting job and no worker takes it" in found
    result = run("doctor", "--url", shop.url)
    assert result.exit_code == 1
    assert "problem  workers" in result.stdout
    assert "fix: comanda worker APP -q default" in result.stdout


def test_a_worker_of_other_queues_does_not_count(shop: Shop, check: Check) -> None:
    shop.send_mail.enqueue("ann")
    shop.register(queues=("reports",))
    assert [level for level, *_ in check("workers")] == ["ok", "problem"]


def test_a_silent_worker_is_a_hint_and_does_not_count(
    shop: Shop, check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.send_mail.enqueue("ann")
    shop.register()
    monkeypatch.setenv("COMANDA_LEASE", "0.00001")
    monkeypatch.setenv("COMANDA_HEARTBEAT", "0.000001")
    levels = [(level, message) for level, message, _ in check("workers")]
    assert [level for level, _ in levels] == ["hint", "problem"]
    assert "has been silent for" in levels[0][1]


def test_a_paused_queue_with_waiting_jobs_is_a_hint(shop: Shop, check: Check) -> None:
    shop.register()
    shop.send_mail.enqueue("ann")
    shop.app.broker.pause("default")
    assert check("queues") == [
        ("hint", "queue 'default' has 1 waiting job and is paused", "comanda queues resume default")
    ]


def test_messages_need_no_worker(shop: Shop, check: Check) -> None:
    shop.app.message_queue("letters").put({"to": "ann"})
    assert check("workers") == [("ok", "none is alive", "")]


def test_jobs_of_a_task_that_no_worker_knows_are_a_problem(shop: Shop, check: Check) -> None:
    shop.park()
    ((level, message, fix),) = check("tasks")
    assert (level, message) == ("problem", "1 ready job of task 'shop.lost', which no living worker knows")
    assert fix.endswith("comanda jobs cancel task:shop.lost")


def test_the_look_for_unknown_tasks_is_bounded_and_says_so(
    shop: Shop, check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.park()
    shop.send_mail.enqueue("ann")
    monkeypatch.setattr(work, "_PAGE", 1)
    monkeypatch.setattr(work, "LOOKED_AT", 1)
    ((_, message, _),) = check("tasks")
    assert message == "at least 1 ready job of task 'shop.lost', which no living worker knows"


def test_a_job_that_has_waited_long_is_a_hint(shop: Shop, check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.send_mail.enqueue("ann")
    assert check("waiting")[0][0] == "ok"
    now = shop.app.now()
    monkeypatch.setattr("comanda.app.Comanda.now", lambda _app: now + 900 * SECOND)
    ((level, message, _),) = check("waiting")
    assert (level, message) == ("hint", "the oldest ready job waits for 15 m, in queue 'default'")


def test_more_finished_jobs_than_are_kept_are_a_hint(shop: Shop, check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.successful()
    assert check("retention")[0][1].startswith("1 finished jobs; kept are successful ones for 7 d, others for 30 d")
    monkeypatch.setenv("COMANDA_KEEP_AT_MOST", "0")
    assert check("retention")[0][0] == "hint"


def test_with_an_app_tasks_without_a_time_limit_are_a_hint(shop: Shop, module: str, data: Callable[..., Any]) -> None:
    shop.app.broker.open()
    for command in (("doctor", module), ("doctor", "--app", module)):
        found = next(found for found in data(*command)["checks"] if found["check"] == "time-outs")
        assert found["level"] == "hint"
        assert found["message"] == f"1 of 2 tasks may run for ever: {module}.send_mail"


def test_an_app_whose_tasks_all_have_a_time_limit_is_well(shop: Shop, module: str, data: Callable[..., Any]) -> None:
    shop.app.broker.open()
    file = Path(f"{module}.py")
    file.write_text(file.read_text().replace("@app.task\n", "@app.task(timeout=5)\n"))
    found = next(found for found in data("doctor", module)["checks"] if found["check"] == "time-outs")
    assert (found["level"], found["message"]) == ("ok", "each of 2 tasks has one")


def test_the_fix_for_a_missing_worker_names_the_app(shop: Shop, module: str, data: Callable[..., Any]) -> None:
    shop.send_mail.enqueue("ann")
    fixes = [found["fix"] for found in data("doctor", module)["checks"]]
    assert f"comanda worker {module} -q default" in fixes


def test_a_store_that_cannot_be_opened_is_a_finding_with_the_exit_code_of_its_error(
    run: Run, data: Callable[..., Any]
) -> None:
    report = data("doctor", "--url", "sqlite:///nowhere.db")
    assert report["problems"] == 1
    assert (report["checks"][-1]["check"], report["checks"][-1]["level"]) == ("store", "problem")
    assert run("doctor", "--url", "sqlite:///nowhere.db").exit_code == 3


def test_a_probe_asks_for_a_worker_of_its_own_host_alone(shop: Shop, run: Run) -> None:
    """Other hosts' workers and what waits elsewhere are no reason to restart this one."""
    shop.app.broker.open()
    absent = run("doctor", "--worker", "--url", shop.url)
    assert absent.exit_code == 1
    assert "was heard of within 10 s" in absent.stdout
    elsewhere = WorkerInfo(host="elsewhere", pid=1, version="1.0", kind="child", tasks=("shop.send_mail",))
    shop.app.broker.register(elsewhere)
    assert run("doctor", "--worker", "--url", shop.url).exit_code == 1
    assert shop.owner
    shop.make_report.using(queue="nobody").enqueue("may")
    assert run("doctor", "--worker", "--url", shop.url).exit_code == 0
    assert run("doctor", "--worker", "--url", "sqlite:///none.db").exit_code == 3
