"""`python -m tests.fuzz --nets 1000`: many random nets, what was violated, and the table of counts."""

import argparse
import json
import math
import sys
import time
from pathlib import Path

from .run import read, records, table, told

CHECKS = ("integrated_gradients", "deeplift", "reveal_cancel", "batch", "export", "score", "gradient", "occlusion")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--nets", type=int, default=1000, help="how many (1000)")
    parser.add_argument("--seed", type=int, default=0, help="of the first; the others follow (0)")
    parser.add_argument(
        "--checks",
        help=f"these alone, on every net, by comma: {', '.join(CHECKS)}; default: all, the costly ones on a part of the nets",
    )
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin no net after this time")
    parser.add_argument("--jobs", type=int, default=2, help="processes (2)")
    parser.add_argument("--report", type=Path, help="a file, a line of JSON for each net; a run with the same file goes on")
    parser.add_argument("--no-shrink", action="store_true", help="do not look for the smallest net that fails")
    given = parser.parse_args()
    names = list(CHECKS) if given.checks is None else given.checks.split(",")
    if unknown := [name for name in names if name not in CHECKS]:
        parser.error(f"no check is called {unknown[0]!r}; there are: {', '.join(CHECKS)}")
    given.names, given.everywhere = names, given.checks is not None
    return given


def main() -> int:
    """0 where nothing was violated."""
    given, start = arguments(), time.monotonic()
    seeds = range(given.seed, given.seed + given.nets)
    found = [record for record in read(given.report) if record["seed"] in seeds]
    seen = {record["seed"] for record in found}
    waiting = [seed for seed in seeds if seed not in seen]
    for record in records(waiting, given.names, given.everywhere, not given.no_shrink, given.jobs, start + 60 * given.minutes):
        found.append(record)
        if given.report is not None:
            with given.report.open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
        if words := told(record):
            print(words, flush=True)
        for check, program in record["programs"].items():
            print(f"\n# seed {record['seed']}, {check}, as small as it was found\n{program}\n", flush=True)
    print(f"{table(found)}\n{time.monotonic() - start:.0f} s")
    return int(any(one["violations"] for record in found for one in record["findings"]))


if __name__ == "__main__":
    sys.exit(main())
