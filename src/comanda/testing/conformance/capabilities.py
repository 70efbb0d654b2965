# ruff: noqa: S101 - pytest's assert
"""What a broker says it can do."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

from ...brokers.base import Broker, Capability
from ...errors import NotSupported
from .case import BrokerCase, new_job
from .completion import TransactionalCompletion
from .durability import Durability
from .transactions import TransactionalEnqueue

_THEMES = {
    Capability.DURABLE: Durability,
    Capability.TRANSACTIONAL_ENQUEUE: TransactionalEnqueue,
    Capability.TRANSACTIONAL_COMPLETION: TransactionalCompletion,
}


class Capabilities(BrokerCase):
    """Declared means proved, and the rest is refused."""

    def test_each_declared_capability_has_its_tests(self, broker: Broker) -> None:
        """What a broker says it can do it proves in this suite, and nothing else."""
        proved = {capability for capability, theme in _THEMES.items() if issubclass(type(self), theme)}
        assert proved == broker.capabilities & _THEMES.keys()

    def test_what_a_broker_cannot_do_it_refuses(self, broker: Broker) -> None:
        """NotSupported, with a sentence: nothing pretends to have worked."""
        can = Capability.TRANSACTIONAL_ENQUEUE in broker.capabilities
        with nullcontext() if can else pytest.raises(NotSupported, match="cannot enqueue in the caller's transaction"):
            assert broker.enqueue_statements(new_job())
        with nullcontext() if can else pytest.raises(NotSupported, match="has no transactions"):
            assert isinstance(broker.transaction(), AbstractContextManager)
        can = Capability.TRANSACTIONAL_COMPLETION in broker.capabilities
        with nullcontext() if can else pytest.raises(NotSupported, match="the task's own transaction"):
            broker.completion().close()
        can = Capability.ASYNC_COMPLETION in broker.capabilities
        with nullcontext() if can else pytest.raises(NotSupported, match="a coroutine's own transaction"):
            assert not broker.acompletion().is_begun

    def test_a_broker_without_a_backup_names_who_has_one(self, broker: Broker, tmp_path: Path) -> None:
        """The server's own tools, and the way that works on every broker."""
        if Capability.BACKUP not in broker.capabilities:
            with pytest.raises(NotSupported, match=r"pg_dump.*BGSAVE.*comanda db export"):
                broker.backup(tmp_path / "backup")
            with pytest.raises(NotSupported, match=r"pg_dump.*BGSAVE.*comanda db export"):
                broker.restore(tmp_path / "backup")
            assert not (tmp_path / "backup").exists()

    def test_the_schema_of_an_open_store_is_the_one_that_is_wanted(self, broker: Broker) -> None:
        """`comanda db status` and `migrate` have nothing to tell of it."""
        found, wanted = broker.schema_status()
        assert found == wanted
        assert broker.migrate() == []
        oldest = broker.oldest_client()
        assert oldest is None or oldest <= found
