"""The heap behind the memory broker, against the plainest thing that does the same."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from comanda.brokers.memory.line import Line

_STEPS = st.lists(st.tuples(st.sampled_from(["add", "discard", "first"]), st.integers(0, 8), st.integers(0, 3)))


@given(_STEPS)
def test_a_line_is_a_sorted_list_from_which_anything_may_be_removed(steps: list[tuple[str, int, int]]) -> None:
    line = Line()
    model: dict[int, tuple[int, ...]] = {}
    for step, n, key in steps:
        if step == "add":
            line.add(n, (key,))
            model[n] = (key,)
        elif step == "discard":
            line.discard(n)
            model.pop(n, None)
        in_order = sorted((key, n) for n, key in model.items())
        assert line.first() == (in_order[0] if in_order else None)
        assert (len(line), set(line), sorted(line.keys())) == (len(model), set(model), sorted(model.values()))
        assert line.below((2,), 3) == [n for key, n in in_order if key < (2,)][:3]


def test_dead_entries_do_not_pile_up() -> None:
    """R28: a job that is rescheduled for ever takes the room of one."""
    line = Line()
    for key in range(10_000):
        line.add(1, (key,))
        line.discard(1)
        line.add(1, (key + 1,))
    assert len(line._heap) < 200
