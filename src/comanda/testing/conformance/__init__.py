"""The suite that every broker passes, ours or a third party's (needs pytest).

    from comanda.testing.conformance import BrokerConformance, BrokerFactory

    class TestMyBroker(BrokerConformance):
        @pytest.fixture
        def make_broker(self, tmp_path: Path) -> BrokerFactory:
            return lambda clock: MyBroker(tmp_path / "jobs", clock=clock)

`make_broker` opens the same store each time it is called: two brokers of one test are two processes to the suite,
where the broker declares CROSS_PROCESS. One that declares DURABLE, TRANSACTIONAL_ENQUEUE or TRANSACTIONAL_COMPLETION
adds `Durability`, `TransactionalEnqueue` or `TransactionalCompletion` to its bases. The name of a test is what holds,
its docstring says why.
"""

from __future__ import annotations

from pkgutil import iter_modules

import pytest

pytest.register_assert_rewrite(*(f"{__name__}.{module.name}" for module in iter_modules(__path__)))

from .capabilities import Capabilities  # noqa: E402 - after the rewriting of its asserts is arranged
from .case import BrokerCase, BrokerFactory  # noqa: E402
from .claiming import Claiming  # noqa: E402
from .completion import TransactionalCompletion  # noqa: E402
from .crashes import Crashes  # noqa: E402
from .durability import Durability  # noqa: E402
from .enqueueing import Enqueueing  # noqa: E402
from .filtering import Filtering  # noqa: E402
from .interleavings import Interleavings  # noqa: E402
from .keeping import Keeping  # noqa: E402
from .liveness import Liveness  # noqa: E402
from .messages import Messages  # noqa: E402
from .moving import Moving  # noqa: E402
from .operating import Operating  # noqa: E402
from .parking import Parking  # noqa: E402
from .reading import Reading  # noqa: E402
from .rotation import RotatingQueues  # noqa: E402
from .settling import Settling  # noqa: E402
from .transactions import TransactionalEnqueue  # noqa: E402
from .waiting import Waiting  # noqa: E402
from .walk import RandomWalks  # noqa: E402

__all__ = [
    "BrokerCase",
    "BrokerConformance",
    "BrokerFactory",
    "Durability",
    "TransactionalCompletion",
    "TransactionalEnqueue",
]


class BrokerConformance(
    Capabilities,
    Enqueueing,
    Claiming,
    RotatingQueues,
    Settling,
    Liveness,
    Crashes,
    Parking,
    Operating,
    Filtering,
    Reading,
    Keeping,
    Messages,
    Moving,
    Waiting,
    Interleavings,
    RandomWalks,
):
    """Everything that all brokers owe."""
