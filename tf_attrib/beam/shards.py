"""`ta.attribute_dataset` as a transform of Beam."""

import os
from collections.abc import Iterable
from typing import Any

from ..attributor import Attributor
from ..datasets.engines.parts import Parts
from .installed import apache_beam as beam


class AttributeShards(beam.PTransform):
    """Attributes files, shard by shard, into one folder: that of `ta.attribute_dataset`, with the same bytes.

        pipeline | beam.Create(["in/*.parquet"]) | AttributeShards("model.keras", "run/", ids="id")

    From paths or patterns of files to the paths of the shards, which `ta.open("run/")` reads, and `ReadAllFromParquet`. A
    bundle that is tried again leaves what is there; the same pipeline run again does what is missing.
    """

    def __init__(self, path: str | os.PathLike | Attributor, out: str | os.PathLike, parts: int = 32, **settings: Any) -> None:
        """The folder must be one that all workers share, on which files can be renamed and locked: a disk, NFS.

        Args:
            path: of a model, where every worker finds it; or an `Attributor` made from a path.
            out: the folder.
            parts: into how many tasks the shards are dealt; more than there are workers, so that they end together.
            settings: those of `ta.attribute_dataset`.

        Raises:
            AttributionError: no such setting.
        """
        super().__init__()
        self._parts = Parts(path, out, parts, **settings)

    def expand(self, input_or_inputs: beam.PCollection) -> beam.PCollection:
        return (
            input_or_inputs
            | "Files" >> beam.combiners.ToList()
            | "Parts" >> beam.FlatMap(self._parts.tasks)
            | "Spread" >> beam.Reshuffle()
            | "Attribute" >> beam.ParDo(_Do(self._parts))
        )


class _Do(beam.DoFn):
    """Does tasks; the model is read once by each thread of a worker."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def process(self, element: Any, *args: Any, **kwargs: Any) -> Iterable[str]:
        yield from self._parts(element)
