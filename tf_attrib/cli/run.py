"""The command `tf-attrib run`."""

import argparse
from typing import Any

from ..common.errors import AttributionError, plain
from . import reading

# So many rows that failed are listed.
LISTED = 5


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the command to those of `tf-attrib`."""
    command = commands.add_parser(
        "run",
        help="attribute a data set of any size, shard by shard, and again after a crash",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Attributes every row of a data set; writes shards into a folder. The same command again does what is\n"
        "missing: after a crash, or beside other processes that do other parts.",
        epilog="examples:\n"
        "  tf-attrib run model.keras 'in/*.parquet' --ids id --labels label --out run/\n"
        "  tf-attrib run model.keras 'in/*.parquet' --out run/ --shard 3/8     # one of eight processes, 0/8 to 7/8\n"
        "  tf-attrib run model.keras photos/ --resize --reduce 'sum(-1)' --dtype float16 --out run/\n",
    )
    option = command.add_argument
    reading.add_reading(
        option,
        "Parquet files ('in/*.parquet'), one .npy (rows) or .npz (inputs by name), or images or a folder of them, whose "
        "folders are their labels",
    )
    option("--method", default="integrated_gradients", metavar="NAME", help="as of attribute (default: integrated_gradients)")
    option("--out", required=True, metavar="DIR", help="folder of the shards; of another run it is refused")
    option("--shard", metavar="K/N", default="0/1", help="which part is done, 0/8 to 7/8 of eight (default: all)")
    option("--processes", type=int, metavar="N", help="processes that share the work, each of which reads the model")
    option("--shard-size", type=int, default=10_000, metavar="ROWS", help="rows of a shard (default: 10000)")
    option("--rows", type=int, default=256, metavar="ROWS", help="rows of one call, as a batch (default: 256)")
    option("--ids", metavar="COLUMN", help="what rows are called (default: their number)")
    option("--labels", metavar="COLUMN", help="the classes of rows; --target label explains them")
    option("--features", metavar="NAMES", help="columns that are inputs, in order, with commas (default: all others)")
    option("--keep", metavar="NAMES", default="attributions", help="fields of results to store (default: attributions)")
    option("--reduce", metavar="HOW", help="'sum(-1)', 'mean(axis)', 'norm(axis)' or 'abs()' of attributions")
    option("--dtype", default="float32", metavar="NAME", help="of attributions: float16, float32 (default), float64")
    option("--stop-at-errors", action="store_true", help="stop at a row that fails, instead of noting it")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Attributes the rows of files, and says what is there."""
    from ..datasets.shards.isolated import LABEL
    from ..datasets.shards.run import attribute_dataset

    target = options.target if options.target == LABEL else reading.target(options.target)
    method, part = reading.method(options), _part(options.shard)
    attributor, shape = reading.attributor(options)
    found = attribute_dataset(
        attributor,
        options.inputs if len(options.inputs) > 1 else options.inputs[0],
        options.out,
        method=method,
        target=target,
        baselines=reading.baseline(options, shape),
        seed=options.seed,
        batch_size=options.rows,
        shard_size=options.shard_size,
        shard=part,
        processes=options.processes,
        keep=_names(options.keep),
        reduce=options.reduce,
        dtype=options.dtype,
        on_error="raise" if options.stop_at_errors else "mark",
        ids=options.ids,
        labels=options.labels,
        features=_names(options.features) if options.features else None,
        value_range=tuple(options.value_range),
        resize=options.resize,
    )
    print(found)
    _print_failures(found.failures())


def _print_failures(failures: list[dict[str, Any]]) -> None:
    for one in failures[:LISTED]:
        print(f"  {one.get('id', one.get('file'))}: {one['status']}: {plain(one['reason'], 200)}")
    if len(failures) > LISTED:
        print(f"  ... {len(failures) - LISTED} more: ta.open(folder).failures()")


def _part(text: str) -> tuple[int, int]:
    numbers = text.split("/")
    if len(numbers) != 2 or not all(one.isdecimal() for one in numbers):
        raise AttributionError(f"--shard must be K/N, from 0/8 to 7/8 of eight parts; got {text!r}")
    return int(numbers[0]), int(numbers[1])


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())
