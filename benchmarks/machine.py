"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
import sqlite3
import tempfile
import time
from pathlib import Path
from statistics import median

import apsw

from comanda.version import __version__

_BLOCK = 4096


def describe(directory: Path | None = None) -> dict[str, str]:
    """Return hardware, versions and settings as text; measures the disk below `directory` for a moment."""
    place = Path(directory or tempfile.gettempdir())
    return {
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "load": " ".join(f"{load:.1f}" for load in os.getloadavg()) + " (1, 5, 15 minutes)",
        "disk": f"{place} on {_file_system(place)}, a sync of 4 kB takes {sync_microseconds(place):.0f} µs",
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "comanda": __version__,
        "libraries": f"sqlite3 {sqlite3.sqlite_version}, apsw {apsw.sqlite_lib_version()}",
        "durability": "synchronous=FULL, fsync=on, appendfsync=always, for comanda and the bare loops",
        "batch": "500 in the bare drain, chosen by the worker in comanda's",
        "payload": 'one small int, {"n": 1}; results and history kept',
    }


def sync_microseconds(directory: Path, times: int = 200) -> float:
    """Return the median time of writing one block in place and syncing it."""
    took = []
    with tempfile.TemporaryFile(dir=directory) as file:
        file.write(bytes(_BLOCK))
        os.fsync(file.fileno())
        for index in range(times):
            begin = time.perf_counter()
            os.pwrite(file.fileno(), bytes([index % 256]) * _BLOCK, 0)
            os.fsync(file.fileno())
            took.append(time.perf_counter() - begin)
    return median(took) * 1e6


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _file_system(place: Path) -> str:
    """Return the type of file system that holds `place`."""
    mounts = Path("/proc/self/mounts")
    if not mounts.is_file():
        return "an unknown file system"
    found = ("", "an unknown file system")
    for line in mounts.read_text().splitlines():
        _, point, kind, *_ = line.split()
        if place.resolve().is_relative_to(point) and len(point) >= len(found[0]):
            found = (point, kind)
    return found[1]
