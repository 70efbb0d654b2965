"""The one place of the version: the build, `comanda --version` and the workers' records read it here."""

from __future__ import annotations

__version__ = "0.1.0.dev0"
