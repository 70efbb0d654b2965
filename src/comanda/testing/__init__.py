"""What tests of applications and of brokers need. Importing it imports no test framework."""

from __future__ import annotations

from .clock import FakeClock

__all__ = ["FakeClock"]
