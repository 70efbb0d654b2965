"""How the whole suite runs. Fixtures stand beside the tests that use them."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# No deadline for a single example, nor for making some: on two busy cores the first one pays for imports. The limit on
# a whole test holds.
settings.register_profile(
    "comanda", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize="CI" in os.environ
)
settings.load_profile("comanda")

pytest_plugins = ["tests.servers.fixtures", "tests.servers.stores"]
