"""`ta.BatchAttributor` in Ray Data and in Spark's `mapInPandas`, beside one process: rows a second, and how far numbers differ.

    pip install "ray[data]" pyspark pandas pyarrow
    python benchmarks/engines.py [--rows 20000] [--workers 2] [ray] [spark]

Spark needs Java. Each engine is timed twice over the same rows: with the start of its workers, which read the model, and again
when they are there. Rows come in the order that the engine gives them, and are compared by their ids.
"""

import argparse
import logging
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

BATCH = 256
COMPARED = ("id", "attributions", "status")
SETTINGS = {"features": ["x"], "method": "integrated_gradients"}


def alone(path, rows):
    """One process: batches of the same size, one after the other."""
    import tf_attrib as ta

    attribute = ta.BatchAttributor(path, **SETTINGS)
    parts = [attribute({name: values[i : i + BATCH] for name, values in rows.items()}) for i in range(0, len(rows["x"]), BATCH)]
    return {name: np.concatenate([part[name] for part in parts]) for name in COMPARED}


def in_ray(path, rows, workers):
    """Actors of Ray, each with the model."""
    import ray

    import tf_attrib as ta

    if not ray.is_initialized():  # actors take one processor each, and what reads and sends rows needs some too
        ray.init(num_cpus=2 * workers, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
        ray.data.DataContext.get_current().enable_progress_bars = False
    found = ray.data.read_parquet(rows).map_batches(
        ta.BatchAttributor,
        fn_constructor_args=(path,),
        fn_constructor_kwargs=SETTINGS,
        batch_size=BATCH,
        compute=ray.data.ActorPoolStrategy(size=workers),
    )
    parts = list(found.iter_batches(batch_size=None))
    return {name: np.concatenate([part[name] for part in parts]) for name in COMPARED}


def in_spark(path, rows, workers):
    """Python workers of Spark, which stay between tasks and keep the model."""
    import pandas
    from pyspark.sql import SparkSession

    import tf_attrib as ta

    os.environ["PYSPARK_PYTHON"] = sys.executable
    settings = {"spark.sql.execution.arrow.maxRecordsPerBatch": BATCH, "spark.ui.enabled": "false"}
    settings["spark.sql.execution.arrow.pyspark.enabled"] = "true"
    spark = SparkSession.builder.master(f"local[{workers}]").config(map=settings).getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    attribute = ta.BatchAttributor(path, **SETTINGS)
    schema = attribute.spark_schema(pandas.read_parquet(rows)[:2])
    found = spark.read.parquet(rows).mapInPandas(lambda frames: map(attribute, frames), schema).toPandas()
    return {name: np.stack(found[name]) if name == "attributions" else found[name].to_numpy() for name in COMPARED}


def compared(name, found, expected):
    """Prints how far attributions are from those of one process, in units of the largest."""
    order = np.argsort(found["id"])
    assert np.array_equal(found["id"][order], expected["id"])
    assert np.array_equal(found["status"][order].astype(str), expected["status"].astype(str))
    given, own = found["attributions"][order], expected["attributions"]
    worst = np.nanmax(np.abs(given - own)) / np.nanmax(np.abs(own))
    same = np.mean([np.array_equal(one, other, equal_nan=True) for one, other in zip(given, own, strict=True)])
    print(
        f"{name:7s} largest difference {worst:.1e} of the largest attribution; {same:.1%} of rows to the last bit", flush=True
    )


def timed(name, function, count):
    """Prints rows a second, and returns what came."""
    start = time.perf_counter()
    found = function()
    taken = time.perf_counter() - start
    print(f"{name:24s} {taken:7.1f} s, {count / taken:8,.0f} rows a second", flush=True)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engines", nargs="*", default=["ray", "spark"], metavar="ray, spark")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    import pyarrow.parquet
    from datasets import FEATURES, table_model

    values = np.random.default_rng(0).normal(size=(options.rows, FEATURES)).astype("float32")
    values[7, 3] = np.nan  # a row that loses itself
    rows = {"id": np.arange(options.rows), "x": values}
    print(f"Python {platform.python_version()}, {options.rows:,} rows of {FEATURES}, {options.workers} workers")
    with tempfile.TemporaryDirectory() as folder:
        path, stored = str(Path(folder) / "model.keras"), str(Path(folder) / "rows")
        table_model().save(path)
        parts = np.array_split(np.arange(options.rows), options.workers * 4)
        Path(stored).mkdir()
        for number, part in enumerate(parts):
            table = pyarrow.table({"id": rows["id"][part], "x": values[part].tolist()})
            pyarrow.parquet.write_table(table, Path(stored) / f"{number}.parquet")
        expected = timed("one process, first", lambda: alone(path, rows), options.rows)
        timed("one process, again", lambda: alone(path, rows), options.rows)
        for name in options.engines:
            engine = {"ray": in_ray, "spark": in_spark}[name]
            module = __import__({"ray": "ray", "spark": "pyspark"}[name])
            print(f"{name} {module.__version__}")
            found = timed(f"{name}, first", lambda engine=engine: engine(path, stored, options.workers), options.rows)
            timed(f"{name}, again", lambda engine=engine: engine(path, stored, options.workers), options.rows)
            compared(name, found, expected)


if __name__ == "__main__":
    main()
