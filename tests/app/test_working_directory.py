"""Working directories that are closed to the process, or gone: settings may lie there, so that is no default."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from comanda import Comanda
from comanda.errors import ConfigurationError
from comanda.loading import load_app

NOBODY = 65534
"""A user who may not look into another one's directory; root may look into all."""


@pytest.fixture
def closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work in a directory that this process may not read."""
    monkeypatch.chdir(tmp_path)
    tmp_path.chmod(0)
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    yield tmp_path
    os.seteuid(user)
    tmp_path.chmod(0o700)


@pytest.fixture
def removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a directory that was removed."""
    directory = tmp_path / "release-41"
    directory.mkdir()
    monkeypatch.chdir(directory)
    directory.rmdir()


@pytest.mark.usefixtures("closed")
def test_a_closed_working_directory_is_told_in_a_sentence() -> None:
    with pytest.raises(ConfigurationError, match=r"comanda\.toml cannot be read: Permission denied"):
        Comanda("memory://")


@pytest.mark.usefixtures("removed")
def test_a_removed_working_directory_is_told_in_a_sentence() -> None:
    with pytest.raises(ConfigurationError, match="the working directory cannot be read: No such file or directory"):
        Comanda("memory://")
    with pytest.raises(ConfigurationError, match="the working directory cannot be read"):
        load_app("shop:app")
