"""Measure: every part of the page, or those that are named (`python -m bench gateway growth`).

Only a whole run writes bench/RESULTS.md, so that the page is of one machine in one state.
"""

import argparse
import sys
import time
from importlib import import_module
from importlib.util import find_spec

from bench import measure, results
from bench.results import Row

# Each is a module with `rows()`, which gives its rows as they come in.
PAGE_PARTS = ("gateway", "service", "topologies", "footprint", "growth")
UNDER_LOAD = {"gateway", "service", "topologies", "growth"}  # by wrk
OTHER_PARTS = ("bulk", "ops")  # what is not compared with anything: minutes more, and only when they are named


def run(part: str) -> list[Row]:
    """The rows of one part, printed as they come in."""
    started = time.perf_counter()
    print(f"\n{part}", flush=True)
    found = []
    for row in import_module(f"bench.{part}").rows():
        found.append(row)
        results.show(row)
    print(f"  {part} took {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
    return found


def main() -> None:
    """Print the rows; write the page when none was left out."""
    present = [part for part in (*PAGE_PARTS, *OTHER_PARTS) if find_spec(f"bench.{part}")]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"one of {', '.join(present)}")
    chosen = parser.parse_args().parts
    if unknown := set(chosen) - set(present):
        parser.error(f"there is no part {', '.join(sorted(unknown))}: choose from {', '.join(present)}")
    wanted = [part for part in present if part in (chosen or PAGE_PARTS)]
    if UNDER_LOAD & {*wanted}:
        measure.need("wrk", "nginx", "taskset")
    found = {part: run(part) for part in wanted}
    if not chosen:
        results.write(found)
        print(f"\nWritten to {results.PAGE.relative_to(results.PAGE.parent.parent)}.")


if __name__ == "__main__":
    main()
