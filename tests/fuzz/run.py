"""Many nets in several processes, a record of each in a file that a later run continues, and the table of it all."""

import collections
import concurrent.futures
import contextlib
import dataclasses
import json
import multiprocessing
import os
import time
from collections.abc import Iterator
from pathlib import Path

# Nets after which a process is replaced: TensorFlow keeps what it traced.
LIFETIME = 40


def examined(seed: int, names: list[str], everywhere: bool, shrinking: bool) -> dict:
    """The record of one net: its seed, data, findings, and for each violation a shrunken program."""
    from . import build, generate
    from .checks import due, examine

    build.silence()
    start, net = time.perf_counter(), generate.make(seed)
    record = {"seed": seed, "net": net.to_json(), "findings": [], "programs": {}}
    try:
        found = examine(net, names if everywhere else due(seed, names))
    except Exception as error:
        return record | {"not built": f"{type(error).__name__}: {str(error)[:500]}"}
    record["findings"] = [dataclasses.asdict(one) for one in found]
    if shrinking:
        record["programs"] = {one.check: smallest(net, one) for one in found if one.violations}
    return record | {"seconds": round(time.perf_counter() - start, 2)}


def smallest(net, finding) -> str:
    """The program of the smallest net found that has the same kind of violation."""
    from .checks import examine
    from .net import program
    from .shrink import shrink

    kind = finding.violations[0].partition(":")[0]

    def fails(candidate) -> bool:
        try:
            (again,) = examine(candidate, [finding.check])
        except Exception:
            return False
        return any(violation.partition(":")[0] == kind for violation in again.violations)

    return program(shrink(net, fails))


def quiet_start() -> None:
    """Before TensorFlow is imported in a new process."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.environ["PYTHONWARNINGS"] = "ignore"


def records(seeds: list[int], names: list[str], everywhere: bool, shrinking: bool, jobs: int, until: float) -> Iterator[dict]:
    """The records of these nets as they are done; none is begun after `until` (of time.monotonic).

    A process that dies takes others with it: their nets are done again, each in a process of its own, and the one that
    dies again is recorded.
    """
    quiet_start()
    waiting, lost = collections.deque(seeds), []
    context = multiprocessing.get_context("spawn")

    def pool(count: int) -> concurrent.futures.ProcessPoolExecutor:
        return concurrent.futures.ProcessPoolExecutor(count, context, quiet_start, max_tasks_per_child=LIFETIME)

    while waiting and time.monotonic() < until:
        with pool(jobs) as running:
            begun = {}
            while begun or (waiting and time.monotonic() < until):
                while waiting and len(begun) < jobs and time.monotonic() < until:
                    seed = waiting.popleft()
                    begun[running.submit(examined, seed, names, everywhere, shrinking)] = seed
                done, _ = concurrent.futures.wait(begun, return_when=concurrent.futures.FIRST_COMPLETED)
                broken = [begun[one] for one in done if isinstance(one.exception(), concurrent.futures.BrokenExecutor)]
                yield from (one.result() for one in done if begun.pop(one) not in broken)
                if broken:
                    lost += [*broken, *begun.values()]
                    break
        for seed in lost:
            try:
                with pool(1) as alone:
                    yield alone.submit(examined, seed, names, everywhere, shrinking).result()
            except concurrent.futures.BrokenExecutor:
                yield {"seed": seed, "findings": [], "programs": {}, "not built": "the process died"}
        lost = []


def read(path: Path | None) -> list[dict]:
    """What an earlier run left, without lines that were cut off."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines() if path is not None and path.exists() else ():
        with contextlib.suppress(json.JSONDecodeError):
            found.append(json.loads(line))
    return found


def table(found: list[dict]) -> str:
    """The counts of every check."""
    lines = [f"{len(found)} nets, {sum('not built' in one for one in found)} not built"]
    rows = collections.defaultdict(lambda: collections.Counter())
    for record in found:
        for finding in record["findings"]:
            row = rows[finding["check"]]
            row.update(nets=1, violated=int(bool(finding["violations"])), refused=int(bool(finding["refused"])))
            row.update({key: int(value) for key, value in finding["figures"].items()})
    for check, row in rows.items():
        more = "".join(f", {value} {key}" for key, value in row.items() if key not in ("nets", "violated", "refused"))
        lines.append(f"  {check:22} {row['nets']:5} nets: {row['violated']} violated, {row['refused']} refused{more}")
    row = rows["integrated_gradients"]
    if row["judged"]:
        lines.append(
            f"  of {row['judged']} judged examples {row['missed']} missed ({row['missed'] / row['judged']:.2%}), "
            f"{row['beyond twice']} beyond twice the tolerance"
        )
    return "\n".join(lines)


def told(record: dict) -> str:
    """The violations of one net, in lines; "" where there are none."""
    lines = [f"seed {record['seed']}: not built: {record['not built']}"] if "not built" in record else []
    for finding in record["findings"]:
        words = [*finding["violations"], *([f"refused: {finding['refused'][:200]}"] if finding["refused"] else [])]
        lines += [f"seed {record['seed']}: {finding['check']}: {one}" for one in words]
    return "\n".join(lines)
