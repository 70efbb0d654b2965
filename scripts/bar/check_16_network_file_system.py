"""Check 16 of the bar: `python -m scripts.bar.check_16_network_file_system`.

A database on a file system without memory that all openers share is refused with a clear text, before anything is
created. The mount table is faked: it is all that comanda goes by, since opening the file would already be a mistake.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from unittest.mock import patch

from comanda import Comanda
from comanda.brokers.sqlite import filesystem
from comanda.errors import ConfigurationError

from .report import Report, comanda

REFUSED = ("nfs", "nfs4", "cifs", "smb3", "9p", "virtiofs", "fuse.sshfs", "fuse.s3fs", "fuseblk", "ceph", "glusterfs")
TAKEN = ("ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "apfs")

APP = """
from pathlib import Path
from comanda import Comanda
from comanda.brokers.sqlite import filesystem
filesystem._MOUNTS = Path("mounts")
app = Comanda("sqlite:///jobs.db")
"""


def mounted(directory: Path, kind: str) -> Path:
    """Write a mount table that has this directory on a file system of this kind, inside an ext4; return it."""
    table = directory / "mounts"
    table.write_text(
        "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
        f"30 22 0:26 / {directory.resolve()} rw shared:2 - {kind} host:/share rw\n"
    )
    return table


def answer(directory: Path, kind: str) -> str:
    """Return the refusal of a database there, '' when it is opened."""
    app = Comanda(f"sqlite:///{directory / 'jobs.db'}")
    with patch.object(filesystem, "_MOUNTS", mounted(directory, kind)):
        try:
            app.broker.open()
        except ConfigurationError as refusal:
            return str(refusal)
        finally:
            app.close()
    return ""


def main() -> int:
    """Print what was seen; return the exit code."""
    report = Report("check 16: a database on a network file system is refused")
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        for kind in REFUSED:
            refusal = answer(directory, kind)
            clear = f"lies on a {kind} file system" in refusal and "put the file on a local disk" in refusal
            report.see(clear and not (directory / "jobs.db").exists(), f"{kind}: {refusal or 'opened'}")
        (directory / "far.py").write_text(APP)
        for command in ("worker", "doctor"):
            code, said = comanda(directory, command, "far:app")
            told = "lies on a glusterfs file system" in said
            report.see(told and code != 0, f"comanda {command}: exit code {code}, {'told why' if told else said}")
        for kind in TAKEN:
            refusal = answer(directory, kind)
            report.see(not refusal, f"{kind}: {refusal or 'opened'}")
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
