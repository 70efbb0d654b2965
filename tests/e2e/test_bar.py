"""The checks of the bar that are scripts (reliability guide, section 3)."""

from __future__ import annotations

import pytest

from .processes import Launcher


@pytest.mark.parametrize("check", ["check_15_old_sqlite", "check_16_network_file_system"])
def test_a_check_of_the_bar_holds(launcher: Launcher, check: str) -> None:
    script = launcher.python("-m", f"scripts.bar.{check}")
    assert script.end() == 0, script.output()
    lines = script.output().splitlines()
    assert (lines[0].startswith(check[:5]), lines[-1]) == (True, "holds")
    assert len(lines) > 15
    assert {line.split()[0] for line in lines[1:-1]} == {"ok"}
