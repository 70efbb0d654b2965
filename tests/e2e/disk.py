"""What a disk may hold after a power cut: a log of system calls, replayed to any point (reliability guide 2.5).

Writes count as durable once a sync of their file that began after them has returned. What is not durable follows one of
four models: nothing of it is there, all of it is, some of it in any order, or the last of it is torn.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

CALLS = "pwrite64,write,fdatasync,fsync,ftruncate,unlink"
SECTOR = 512

_LINE = re.compile(r"(\d+) +(.*)")
_RESUMED = re.compile(r"<\.\.\. \w+ resumed>(.*)")
_CALL = re.compile(r"(\w+)\((.*)\) += (-?\d+)")
_FILE = re.compile(r'(?:\d+<|")((?:\\x[0-9a-f]{2})*)(?:>|")')
_DATA = re.compile(r', "((?:\\x[0-9a-f]{2})*)"')


class Write(NamedTuple):
    """Bytes at a place of a file."""

    file: Path
    offset: int
    data: bytes


class Cut(NamedTuple):
    """A file brought to a size."""

    file: Path
    size: int


class Synced(NamedTuple):
    """A file made durable, with all that had been written when `began` events had happened."""

    file: Path
    began: int


class Unlinked(NamedTuple):
    """A file removed."""

    file: Path


Event = Write | Cut | Synced | Unlinked


def parse(log: Path) -> list[Event]:
    """Read what `strace -f -y -xx -e trace=CALLS` wrote; calls that failed did nothing."""
    events: list[Event] = []
    begun: dict[str, tuple[str, int]] = {}
    for line in log.read_text().splitlines():
        found = _LINE.fullmatch(line)
        assert found, f"strace wrote something else: {line[:200]}"
        process, text = found.groups()
        if text.endswith("<unfinished ...>"):
            begun[process] = (text.removesuffix("<unfinished ...>").rstrip(), len(events))
            continue
        began = len(events)
        if resumed := _RESUMED.fullmatch(text):
            head, began = begun.pop(process)
            text = head + resumed[1]
        if call := _CALL.match(text):
            events += _event(call[1], call[2], int(call[3]), began)
    return events


def _event(name: str, arguments: str, result: int, began: int) -> list[Event]:
    file = Path(_bytes(_match(_FILE, arguments)).decode())
    if result < 0:
        return []
    if name in ("pwrite64", "write"):
        data = _bytes(_match(_DATA, arguments))
        assert len(data) >= result, "strace cut a write short: raise its limit of strings"
        return [Write(file, int(arguments.rpartition(", ")[2]) if name == "pwrite64" else -1, data[:result])]
    if name == "ftruncate":
        return [Cut(file, int(arguments.rpartition(", ")[2]))]
    return [Unlinked(file)] if name == "unlink" else [Synced(file, began)]


def _match(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    assert found, f"strace wrote something else: {text[:200]}"
    return found[1]


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


Files = dict[Path, bytes]


class Disk:
    """The files of one database, event by event."""

    def __init__(self) -> None:
        self._durable: dict[Path, bytearray] = {}
        self._pending: list[tuple[int, Write | Cut]] = []

    def take(self, number: int, event: Event) -> None:
        """Let the event with this number happen."""
        if isinstance(event, Unlinked):
            self._durable.pop(event.file, None)
            self._pending = [(at, other) for at, other in self._pending if other.file != event.file]
        elif isinstance(event, Synced):
            for at, other in self._pending:
                if other.file == event.file and at < event.began:
                    _apply(self._durable, other)
            self._pending = [
                (at, other) for at, other in self._pending if other.file != event.file or at >= event.began
            ]
        else:
            self._pending.append((number, event))

    def images(self, chance: random.Random) -> Iterator[tuple[str, Files]]:
        """Yield what the disk may hold if the power fails now, by model."""
        pending = [event for _, event in self._pending]
        some = chance.sample(pending, chance.randint(0, len(pending)))
        kept = pending[: chance.randint(0, len(pending))]
        for model, events in (
            ("none", []),
            ("all", pending),
            ("some", some),
            ("torn", [*kept[:-1], *_torn(kept[-1:])]),
        ):
            files = {file: bytearray(data) for file, data in self._durable.items()}
            for event in events:
                _apply(files, event)
            yield model, {file: bytes(data) for file, data in files.items()}


def _torn(last: list[Write | Cut]) -> list[Write | Cut]:
    """Return the first half of a write, in whole sectors where it is that long."""
    if not last or isinstance(last[0], Cut):
        return last
    half = len(last[0].data) // 2
    return [last[0]._replace(data=last[0].data[: half // SECTOR * SECTOR or half])]


def _apply(files: dict[Path, bytearray], event: Write | Cut) -> None:
    data = files.setdefault(event.file, bytearray())
    if isinstance(event, Cut):
        del data[event.size :]
        data.extend(bytes(event.size - len(data)))
        return
    data.extend(bytes(max(0, event.offset - len(data))))
    data[event.offset : event.offset + len(event.data)] = event.data
