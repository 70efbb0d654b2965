"""What the server refuses, in comanda's words."""

from __future__ import annotations

import pytest

from comanda.brokers.records import JobFilter, State
from comanda.brokers.redis.replies import ServerError, translate
from comanda.errors import BrokerError, BrokerUnavailable, SchemaMismatch
from comanda.testing.conformance.case import Worker, enqueue_one, new_jobs, success
from tests.brokers.redis_stores import broker_on, server_with


def test_a_server_without_memory_takes_no_job_and_loses_none() -> None:
    """noeviction: what was confirmed stays, what cannot be stored is refused whole."""
    with server_with() as server, server.client() as client:
        broker = broker_on(server.url)
        kept = enqueue_one(broker)
        client.config_set("maxmemory", "1")
        with pytest.raises(BrokerUnavailable, match="out of memory") as raised:
            broker.enqueue(new_jobs(3))
        assert not raised.value.may_have_written
        client.config_set("maxmemory", "0")
        assert broker.get([kept])[0] is not None
        assert broker.counts() == {("default", State.READY): 1}
        broker.close()


def test_on_a_server_without_memory_jobs_are_worked_off() -> None:
    """Otherwise a full queue would stay full, and running jobs would lose their lease."""
    with server_with() as server, server.client() as client:
        broker = broker_on(server.url)
        kept = [job.id for job in broker.enqueue(new_jobs(3))]
        client.config_set("maxmemory", "1")
        worker = Worker(broker)
        claimed = worker.claim()
        assert [job.id for job in claimed] == kept
        assert worker.beat()
        assert worker.settle(*map(success, claimed[:2])) == []
        assert broker.cancel(JobFilter(ids=(kept[2],))) == [kept[2]]
        assert broker.release(worker.owner, ()) == 1
        assert broker.counts() == {("default", State.SUCCESSFUL): 2, ("default", State.CANCELLED): 1}
        assert broker.prune(successful_before=2**52, ended_before=2**52, keep_at_most=0) == 3
        assert broker.counts() == {}
        broker.close()


def test_a_replica_is_refused_as_such() -> None:
    with server_with() as server, server.client() as client:
        broker = broker_on(server.url)
        broker.open()
        client.execute_command("REPLICAOF", "127.0.0.1", "1")
        with pytest.raises(BrokerUnavailable, match="read-only replica"):
            enqueue_one(broker)
        client.execute_command("REPLICAOF", "NO", "ONE")
        enqueue_one(broker)
        broker.close()


@pytest.mark.parametrize(("user", "words"), [("", "asks for a password"), (":wrong@", "does not accept")])
def test_a_missing_or_wrong_password_is_said_and_not_shown(user: str, words: str) -> None:
    with server_with() as server, server.client() as client:
        client.config_set("requirepass", "right")
        with pytest.raises(BrokerUnavailable, match=words) as raised:
            broker_on(server.url.replace("://", f"://{user}")).open()
        assert "wrong@" not in str(raised.value)
        broker = broker_on(server.url.replace("://", "://:right@"))
        assert broker.counts() == {}
        broker.close()


def test_a_user_without_the_rights_is_told_which() -> None:
    with server_with() as server, server.client() as client:
        client.execute_command("ACL", "SETUSER", "ann", "on", ">secret", "~other:*", "+@all")
        with pytest.raises(BrokerUnavailable, match="all keys of its namespace"):
            broker_on(server.url.replace("://", "://ann:secret@")).open()


def test_the_rights_that_the_documents_name_suffice() -> None:
    """docs/brokers/redis.md."""
    with server_with() as server, server.client() as client:
        rights = ("resetchannels", "~{comanda}:*", "&{comanda}:*", "+@all", "-@dangerous", "+info")
        client.execute_command("ACL", "SETUSER", "ann", "on", ">secret", *rights)
        broker = broker_on(server.url.replace("://", "://ann:secret@"))
        worker = Worker(broker)
        enqueue_one(broker)
        assert worker.settle(success(worker.claim_one())) == []
        broker.wait_for_work(0)
        broker.rescue(10, lambda _owner: None)
        assert broker.counts() == {("default", State.SUCCESSFUL): 1}
        broker.close()


def test_a_server_that_is_not_there_is_named() -> None:
    with server_with() as server:
        url = server.url
    with pytest.raises(BrokerUnavailable, match=f"the server {url} cannot be reached: .* check that it runs"):
        broker_on(url).open()


def test_a_newer_schema_is_refused(redis_url: str, namespace: str) -> None:
    """A namespace that a later comanda has changed says how old its users may be."""
    import redis

    broker = broker_on(redis_url, namespace)
    broker.open()
    broker.close()
    with redis.Redis.from_url(redis_url) as client:
        client.hset(f"{{{namespace}}}:meta", mapping={"schema": 9, "oldest_client": 8})
    with pytest.raises(SchemaMismatch, match="knows schema 8 or newer; this one knows 1"):
        broker.counts()


@pytest.mark.parametrize("code", ["LOADING", "MISCONF", "CLUSTERDOWN", "MASTERDOWN", "TRYAGAIN", "BUSY", "NOREPLICAS"])
def test_every_refusal_has_a_sentence(code: str) -> None:
    error = translate(ServerError(f"{code} as the server says it"), "redis://host", 5, may_have_written=False)
    assert isinstance(error, BrokerUnavailable)
    assert code not in str(error)
    assert "redis://host" in str(error)


def test_an_unknown_refusal_is_quoted() -> None:
    error = translate(ServerError("ERR something else"), "redis://host", 5, may_have_written=False)
    assert isinstance(error, BrokerError)
    assert "ERR something else" in str(error)
