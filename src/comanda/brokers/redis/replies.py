"""What a server refuses, in comanda's words."""

from __future__ import annotations

import re

from redis.exceptions import AuthenticationError, RedisError
from redis.exceptions import TimeoutError as RedisTimeout

from ...errors import BrokerError, BrokerTimeout, BrokerUnavailable

_IN_SCRIPT = re.compile(r"@user_script: ?\d+: -([A-Z]+) ")
"""How Redis 6.2 passes on the refusal of a script's command; later versions pass it on as it is."""


class ServerError(Exception):
    """An error reply. `code` is the first word of what was refused."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        inner = _IN_SCRIPT.search(message)
        self.code = message.partition(" ")[0] if inner is None else inner[1]

    @property
    def moved_to(self) -> dict[str, str | int] | None:
        """Where the node is that holds the slot, as settings of a connection; None when the reply is another."""
        if self.code != "MOVED":
            return None
        host, _, port = str(self).split()[-1].rpartition(":")
        return {"port": int(port)} | ({"host": host} if host else {})


_SENTENCES = {
    "MOVED": "has handed this namespace to another node of its cluster: the next call goes there",
    "OOM": "is out of memory and takes no more jobs; nothing was written: raise maxmemory, or keep finished jobs "
    "shorter",
    "READONLY": "is a read-only replica: name the primary in the URL",
    "LOADING": "is loading its data after a start: it will answer when that is done",
    "MISCONF": "refuses writes because it cannot save to its disk: look into its log",
    "NOAUTH": "asks for a password: put it into the URL, redis://:password@host",
    "WRONGPASS": "does not accept the user or the password of the URL",
    "NOPERM": "does not let the user of the URL do this: it needs scripts, publish, subscribe, and all keys of "
    "its namespace",
    "CLUSTERDOWN": "is a cluster that is down: not all of its slots are served",
    "MASTERDOWN": "is a replica without its primary",
    "TRYAGAIN": "is moving this namespace to another node of its cluster: it will answer when that is done",
    "ASK": "is moving this namespace to another node of its cluster: it will answer when that is done",
    "BUSY": "is busy with a script of somebody else's",
    "NOREPLICAS": "has fewer replicas than it needs to take a write",
}

_AWAY = "cannot be reached: {}; check that it runs and that the URL is right"


def translate(error: BaseException, where: str, deadline: float, *, may_have_written: bool) -> BrokerError:
    """Return an error of the server or of the connection to it as comanda's, with what to do about it.

    `may_have_written`: a write had been sent, and no reply came.
    """
    if isinstance(error, ServerError):
        return BrokerUnavailable(f"the server {where} {_SENTENCES.get(error.code, f'refused: {error}')}")
    if isinstance(error, AuthenticationError):
        return BrokerUnavailable(f"the server {where} {_authentication(str(error))}")
    text = str(error)
    if isinstance(error, RedisError) and not isinstance(error, RedisTimeout):
        found = next((sentence for code, sentence in _SENTENCES.items() if text.startswith(code)), None)
        return BrokerUnavailable(f"the server {where} {found or _AWAY.format(text)}")
    if may_have_written:
        unavailable = BrokerUnavailable(
            f"the connection to {where} failed after a write was sent ({text}): nobody knows whether it is there"
        )
        unavailable.may_have_written = True
        return unavailable
    if isinstance(error, TimeoutError | RedisTimeout):
        return BrokerTimeout(f"the server {where} did not answer within {deadline:g} s; nothing was written")
    return BrokerUnavailable(f"the server {where} {_AWAY.format(text)}")


def _authentication(text: str) -> str:
    return _SENTENCES["NOAUTH" if "required" in text.lower() else "WRONGPASS"]
