"""Where the lock files of a store's workers lie."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from comanda.errors import ConfigurationError
from tests.brokers.redis_stores import broker_on


def test_a_store_has_one_private_directory_however_it_is_spelt(
    redis_url: str, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Named by the store's own id; another namespace has another one."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    urls = (redis_url, redis_url.replace("127.0.0.1", "localhost"))
    brokers = [*(broker_on(url, namespace) for url in urls), broker_on(redis_url, f"{namespace}_2")]
    first, same, other = (broker.runtime_directory() for broker in brokers)
    for broker in brokers:
        broker.close()
    assert first == same != other
    assert first is not None
    assert first.parent == tmp_path / f"comanda-{os.geteuid()}"
    assert {stat.S_IMODE(path.stat().st_mode) for path in (first, first.parent)} == {0o700}


def test_a_directory_of_another_user_is_refused(
    redis_url: str, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a temporary directory that all may write in, somebody else may have made it first."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    somebody = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: somebody)
    broker = broker_on(redis_url, namespace)
    with pytest.raises(ConfigurationError, match="belongs to another user"):
        broker.runtime_directory()
    broker.close()
