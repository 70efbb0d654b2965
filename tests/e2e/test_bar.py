"""The checks of the bar that are scripts (reliability guide, section 3)."""

from __future__ import annotations

import pytest

from tests.servers import pgbouncer

from .processes import Launcher

LONG = 240.0
"""Seconds for one check: the snapshot is held for a minute."""


CHECKS = [
    ("check_15_old_sqlite",),
    ("check_16_network_file_system",),
    ("check_21_snapshot", "--minutes", "1"),
    ("check_22_concurrent_transactions", "--rounds", "1", "--seconds", "0.5", "--locks-only"),
    ("check_23_pgbouncer",),
    ("check_24_rollback_and_commit",),
    ("check_36_redis_guarantees",),
]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check[0])
def test_a_check_of_the_bar_holds(launcher: Launcher, check: tuple[str, ...]) -> None:
    name, *arguments = check
    if name == "check_23_pgbouncer":
        pgbouncer.binary()
    script = launcher.python("-m", f"scripts.bar.{name}", *arguments)
    assert script.end(LONG) == 0, script.output()
    lines = script.output().splitlines()
    assert (lines[0].startswith(name[:5]), lines[-1]) == (True, "holds")
    assert len(lines) > 7
    assert {line.split()[0] for line in lines[1:-1]} == {"ok"}
