"""Apache Beam: attributions in a pipeline, row by row (`AttributionModelHandler`), or as the shards of one run
(`AttributeShards`). Needs the extra `beam`."""

from .handler import AttributionModelHandler
from .shards import AttributeShards
