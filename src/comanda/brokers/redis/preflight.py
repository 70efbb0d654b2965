"""What a server promises: version, eviction, persistence (R7)."""

from __future__ import annotations

from msgspec import Struct

from ...errors import ConfigurationError
from .connection import Connection
from .replies import ServerError

OLDEST = (6, 2)
"""The first version with ZMSCORE, on which each claim and enqueue rests. Valkey began at 7.2."""

_ASKED = ("maxmemory-policy", "appendonly", "appendfsync")


class Server(Struct, frozen=True):
    """What was found; None for what the server does not tell."""

    name: str
    version: str
    policy: str | None
    appendonly: bool | None
    appendfsync: str | None

    @property
    def missing(self) -> list[str]:
        """The guarantees that this server does not give, a sentence each; empty when nothing confirmed can be lost."""
        found = []
        if self.policy is None:
            found.append("whether it evicts jobs when its memory is full is not known (maxmemory-policy)")
        elif self.policy != "noeviction":
            found.append(f"maxmemory-policy {self.policy} is meant for caches: set noeviction")
        if self.appendonly is None:
            found.append("whether it keeps jobs on disk is not known (appendonly)")
        elif not self.appendonly:
            found.append("appendonly no: all jobs since the last snapshot are lost when it stops")
        elif self.appendfsync is None:
            found.append("how often it syncs to disk is not known (appendfsync)")
        elif self.appendfsync != "always":
            lost = "the last second" if self.appendfsync == "everysec" else "up to half a minute"
            found.append(f"appendfsync {self.appendfsync}: {lost} may be lost at a crash")
        return found

    @property
    def durability(self) -> str:
        """What happens at a crash, in a few words."""
        if self.appendonly is None:
            return "unknown: the server does not tell"
        if not self.appendonly:
            return "appendonly no"
        return f"appendonly yes, appendfsync {self.appendfsync or 'unknown'}"


def look(connection: Connection, until: float) -> Server:
    """Ask the server; raises ServerError and OSError, but not for a CONFIG that is forbidden: then INFO answers."""
    info = _info(connection.call(until, b"INFO"))
    settings = dict.fromkeys(_ASKED, "")
    for name in _ASKED:
        try:
            answer = connection.call(until, b"CONFIG", b"GET", name)
        except ServerError:  # managed servers forbid or rename it
            break
        settings[name] = answer[1].decode() if answer else ""
    appendonly = settings["appendonly"] or {"1": "yes", "0": "no"}.get(info.get("aof_enabled", ""), "")
    return Server(
        name="Valkey" if info.get("server_name") == "valkey" else "Redis",
        version=info.get("valkey_version") or info.get("redis_version", ""),
        policy=settings["maxmemory-policy"] or info.get("maxmemory_policy") or None,
        appendonly=appendonly == "yes" if appendonly else None,
        appendfsync=settings["appendfsync"] or None,
    )


def check(server: Server, where: str, *, strict: bool) -> None:
    """Raise ConfigurationError for a server that cannot hold a queue, or in strict mode may lose what it confirmed."""
    parts = server.version.split(".")
    if all(part.isdigit() for part in parts[:2]) and tuple(map(int, parts[:2])) < OLDEST:
        raise ConfigurationError(f"{where} runs {server.name} {server.version}; comanda needs 6.2 or newer")
    if server.policy is not None and server.policy.startswith("allkeys-"):
        raise ConfigurationError(
            f"{where} has maxmemory-policy {server.policy}: it throws jobs away when its memory is full. "
            "Set maxmemory-policy noeviction, or use a server of the queue's own"
        )
    if strict and server.missing:
        raise ConfigurationError(f"{where} is refused by durability=strict: {'; '.join(server.missing)}")


def _info(answer: bytes) -> dict[str, str]:
    lines = (line.partition(":") for line in answer.decode().splitlines())
    return {name: value for name, separator, value in lines if separator}
