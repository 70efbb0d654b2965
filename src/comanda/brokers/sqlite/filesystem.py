"""The file-system gate: WAL needs memory shared between all who open the file (R40)."""

from __future__ import annotations

import stat
from pathlib import Path

from ...errors import BrokerUnavailable, ConfigurationError

_NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "virtiofs", "fuseblk", "ceph", "glusterfs", "lustre", "afs"}
    | {"vboxsf", "prl_fs", "drvfs"}
)

_MOUNTS = Path("/proc/self/mountinfo")


def check(path: Path) -> None:
    """Raise ConfigurationError when `path` lies on a file system that cannot carry WAL, or in an unsafe directory.

    Raises BrokerUnavailable when the directory does not exist.
    """
    directory = path.parent
    try:
        mode = directory.stat().st_mode
    except OSError:
        raise BrokerUnavailable(f"the database {path} cannot be opened: {directory} is not a directory") from None
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        raise ConfigurationError(
            f"{directory} may be written by everybody, so anybody could replace the queue: chmod o-w {directory}"
        )
    kind = type_of(directory)
    if kind in _NETWORK or kind.startswith("fuse"):
        raise ConfigurationError(
            f"{path} lies on a {kind} file system, where SQLite's write-ahead log loses data: "
            "put the file on a local disk of the one host whose processes share it"
        )


def type_of(directory: Path) -> str:
    """Return the type of the file system under `directory` as the kernel names it, '' where it cannot be read.

    Read from the mount table: opening the database file and closing it again would drop SQLite's locks (R43).
    """
    try:
        table = _MOUNTS.read_text()
    except OSError:
        return ""
    wanted = directory.resolve()
    best, kind = -1, ""
    for line in table.splitlines():
        fields, _, rest = line.partition(" - ")
        point = Path(fields.split()[4].encode().decode("unicode_escape"))
        if wanted.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), rest.split()[0]
    return kind
