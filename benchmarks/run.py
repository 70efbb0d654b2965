"""All benchmarks and their floors: make bench, or python -m benchmarks.run [--library redis] [--runs 5] [--deep]

Exit 0 when every floor holds, 1 otherwise.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from benchmarks import drain, enqueue, latency, machine, scale, servers
from benchmarks.store import SCHEMES, STORES

Figures = dict[str, dict[str, float]]
"""Store to figure to value."""


class Floor(NamedTuple):
    """One figure, how it is shown, and its bound by store; no bound where the figure is for information."""

    figure: str
    title: str
    form: str
    at_least: Mapping[str, float] = MappingProxyType({})
    at_most: Mapping[str, float] = MappingProxyType({})

    def holds(self, library: str, value: float) -> bool:
        """Return whether the bound holds; a value that could not be measured breaks none."""
        low, high = self.at_least.get(library), self.at_most.get(library)
        return not ((low is not None and value < low) or (high is not None and value > high))

    def bound(self, library: str) -> str:
        """Return the bound as text."""
        for sign, bounds in (("≥", self.at_least), ("≤", self.at_most)):
            if library in bounds:
                return f"{sign} {self.form.format(bounds[library])}"
        return ""


def _both(value: float) -> dict[str, float]:
    return dict.fromkeys(SCHEMES, value)


def _all(value: float) -> dict[str, float]:
    return dict.fromkeys(STORES, value)


_DRAIN = {"apsw": 50_000, "sqlite3": 35_000, "postgres": 40_000, "redis": 60_000}
_START = {**_both(2), "postgres": 1.4, "redis": 0.5}
_RESULT = {"postgres": 2.0, "redis": 0.8}


FLOORS = (
    Floor("jobs_per_second", "drain, jobs/s", "{:,.0f}", at_least=_DRAIN),
    Floor("bare", "  the bare loop", "{:,.0f}"),
    Floor("ratio", "  of the bare loop", "{:.2f}", at_least={"apsw": 0.3, "postgres": 0.5, "redis": 0.4}),
    Floor("depth_ratio", "  at a backlog of 1,000,000, of the above", "{:.2f}", at_least=_all(0.8)),
    Floor("backlog_ratio", "rate of the broker with 1,000,000 waiting, of 100,000", "{:.2f}", at_least=_all(0.8)),
    Floor("history_ratio", "  beside 200,000 finished jobs, of none", "{:.2f}", at_least=_all(0.9)),
    Floor("statistics_ratio", "  200,000 never analysed, of 10,000", "{:.2f}", at_least={"postgres": 0.8}),
    Floor("enqueue_bare", "enqueue, bare loop that commits each row, jobs/s", "{:,.0f}"),
    Floor("one", "  one caller", "{:,.0f}"),
    Floor("one_ratio", "  of the bare loop", "{:.2f}", at_least=_both(0.8)),
    Floor("threads", "  8 threads", "{:,.0f}"),
    Floor("threads_ratio", "  of the bare loop", "{:.2f}", at_least=_both(2)),
    Floor("share", "  slowest thread, of the fastest one", "{:.2f}", at_least=_both(0.5)),
    Floor("coroutines", "  100 coroutines", "{:,.0f}"),
    Floor("coroutines_ratio", "  of the bare loop", "{:.2f}", at_least=_both(6)),
    Floor("start_p50_ms", "enqueue to start, idle, p50 ms", "{:.2f}", at_most=_START),
    Floor("start_p99_ms", "  p99 ms", "{:.2f}"),
    Floor("result_p50_ms", "enqueue to result, idle, p50 ms", "{:.2f}", at_most=_RESULT),
    Floor("result_p99_ms", "  p99 ms", "{:.2f}"),
    Floor("idle_percent", "idle worker, percent of a core", "{:.2f}", at_most=_all(1)),
)


def measure(
    runs: int, *, deep: bool, directory: Path | None, jobs: int = drain.JOBS, libraries: Sequence[str] = STORES
) -> Figures:
    """Run everything on each store; enqueueing one by one on SQLite only."""
    figures: Figures = {}
    for library in libraries:
        drained = drain.measure(library, runs, jobs, directory=directory)
        if deep:
            deeply = drain.measure(library, runs, jobs, backlog=10 * jobs, directory=directory)
            drained["depth_ratio"] = deeply["jobs_per_second"] / drained["jobs_per_second"]
            drained |= scale.measure(library, min(runs, 3), directory=directory)
        if library in SCHEMES:
            enqueued = enqueue.measure(library, 2 * runs, directory=directory)
            enqueued["enqueue_bare"] = enqueued.pop("bare")
            drained |= enqueued
        figures[library] = drained | latency.measure(library, directory=directory)
    return figures


def failures(figures: Figures) -> list[str]:
    """Return a sentence for each floor that does not hold."""
    return [
        f"{library}: {floor.title.strip()} {floor.form.format(values[floor.figure])}, wanted {floor.bound(library)}"
        for library, values in figures.items()
        for floor in FLOORS
        if floor.figure in values and not floor.holds(library, values[floor.figure])
    ]


def show(console: Console, described: dict[str, str], figures: Figures) -> None:
    """Print the machine and the table."""
    for name, text in described.items():
        console.print(f"{name:11}{text}", highlight=False)
    table = Table(show_edge=False, pad_edge=False, header_style="")
    table.add_column("")
    for library in figures:
        table.add_column(library, justify="right")
    for floor in FLOORS:
        if any(floor.figure in values for values in figures.values()):
            table.add_row(floor.title, *(_cell(floor, name, values) for name, values in figures.items()))
    console.print(table)


def _cell(floor: Floor, library: str, values: Mapping[str, float]) -> str:
    if floor.figure not in values:
        return ""
    bound = floor.bound(library)
    return f"{floor.form.format(values[floor.figure])}{f' ({bound})' if bound else ''}"


def main() -> None:
    """Measure, print, and judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    parser.add_argument("--runs", type=int, default=5, help="interleaved runs behind each median (default: 5)")
    parser.add_argument("--library", choices=STORES, nargs="+", default=STORES, help="stores (default: all)")
    parser.add_argument("--deep", action="store_true", help="also drain from a backlog of 1,000,000")
    parser.add_argument(
        "--directory", type=Path, help="where the files are made (default: the system's temporary files)"
    )
    given = parser.parse_args()
    described = machine.describe(given.directory)
    described["servers"] = ", ".join(servers.version(name) for name in given.library if name in servers.SERVERS)
    figures = measure(given.runs, deep=given.deep, directory=given.directory, libraries=given.library)
    failed = failures(figures)
    if given.json:
        print(json.dumps({"machine": described, "figures": figures, "failures": failed}))
    else:
        show(Console(), described, figures)
        print(*(f"below its floor: {sentence}" for sentence in failed), sep="\n")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
