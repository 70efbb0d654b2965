"""The example of a systemd service. Without systemd at hand it is still parsed, and its command is run as a process."""

from __future__ import annotations

import shlex
import shutil
import signal
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest

from comanda.cli.times import seconds_of
from comanda.worker.supervisor import MARGIN

from .processes import started
from .shop import SOURCE

UNIT = Path(__file__).parents[2] / "examples" / "comanda-worker.service"


@pytest.fixture
def service() -> dict[str, str]:
    """The section [Service]."""
    parser = ConfigParser(interpolation=None, delimiters=("=",), comment_prefixes=("#",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # names keep their capitals
    parser.read(UNIT)
    return dict(parser["Service"])


def test_the_supervisor_alone_is_told_to_stop_and_gets_longer_than_the_grace_time(service: dict[str, str]) -> None:
    command = shlex.split(service["ExecStart"])
    grace = seconds_of(command[command.index("--grace") + 1])
    assert (service["Type"], service["KillMode"], service["KillSignal"]) == ("exec", "mixed", "SIGTERM")
    assert float(service["TimeoutStopSec"]) > grace + MARGIN
    assert service["Restart"] == "always"


def test_systemd_finds_nothing_wrong_with_the_unit(workplace: Path) -> None:
    """Its paths are moved to where they exist; without systemd the parser above has to do."""
    text = UNIT.read_text().replace("/srv/shop", str(workplace))
    executable = workplace / ".venv" / "bin" / "comanda"
    executable.parent.mkdir(parents=True)
    executable.symlink_to(sys.executable)
    unit = workplace / UNIT.name
    unit.write_text(text)
    analyze = shutil.which("systemd-analyze")
    if analyze is not None:
        found = subprocess.run([analyze, "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False)
        assert UNIT.name not in found.stdout + found.stderr
        assert found.returncode == 0
    assert "[Install]" in text


def test_its_command_starts_a_worker_that_sigterm_ends_in_order(workplace: Path, service: dict[str, str]) -> None:
    (workplace / "shop").mkdir()
    (workplace / "shop" / "tasks.py").write_text(SOURCE)
    program, *arguments = shlex.split(service["ExecStart"])
    assert Path(program).name == "comanda"
    with started(*arguments, directory=workplace) as (worker, lines):
        lines.until("is at work")
        worker.send_signal(signal.SIGTERM)
        lines.rest()
        assert worker.wait() == 0
