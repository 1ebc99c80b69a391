"""The operations of TensorFlow that reach out of the graph, with what they do there: to files, processes, Python or other
machines. What is neither here nor among the known `operations` is taken for one of them.
"""

from collections.abc import Collection, Iterable
from typing import Any

from ..graphdef import constants
from .operations import KNOWN, TEXT

READS, WRITES, BOTH = "reads files", "writes files", "reads and writes files"
PYTHON, NETWORK, PROCESS = "calls Python", "talks to other machines", "ends the process"

RISKS = {
    **dict.fromkeys(
        (
            "ReadFile",
            "MatchingFiles",
            "MatchingFilesDataset",
            "ExperimentalMatchingFilesDataset",
            "FixedLengthRecordReader",
            "FixedLengthRecordReaderV2",
            "LMDBReader",
            "TFRecordReader",
            "TFRecordReaderV2",
            "TextLineReader",
            "TextLineReaderV2",
            "WholeFileReader",
            "WholeFileReaderV2",
            "RecordInput",
            "Skipgram",
            "CSVDataset",
            "CSVDatasetV2",
            "ExperimentalCSVDataset",
            "FixedLengthRecordDataset",
            "FixedLengthRecordDatasetV2",
            "LMDBDataset",
            "ExperimentalLMDBDataset",
            "SqlDataset",
            "ExperimentalSqlDataset",
            "TFRecordDataset",
            "TFRecordDatasetV2",
            "TextLineDataset",
            "LoadDataset",
            "ListSnapshotChunksDataset",
            "SnapshotChunkDataset",
            "SnapshotDatasetReader",
            "SnapshotNestedDatasetReader",
            "ImmutableConst",
            "FixedUnigramCandidateSampler",
            "GenerateVocabRemapping",
            "InitializeTableFromTextFile",
            "InitializeTableFromTextFileV2",
            "LoadAndRemapMatrix",
            "InitializeTRTResource",
            "Restore",
            "RestoreSlice",
            "RestoreV2",
        ),
        READS,
    ),
    **dict.fromkeys(
        (
            "WriteFile",
            "DatasetToTFRecord",
            "ExperimentalDatasetToTFRecord",
            "SaveDataset",
            "SaveDatasetV2",
            "Save",
            "SaveSlices",
            "SaveV2",
            "MergeV2Checkpoints",
            "DeleteFile",
            "PrintV2",
            "SerializeTRTResource",
            "CreateSummaryFileWriter",
            "CreateSummaryDbWriter",
            "FlushSummaryWriter",
            "CloseSummaryWriter",
            "WriteSummary",
            "WriteAudioSummary",
            "WriteGraphSummary",
            "WriteHistogramSummary",
            "WriteImageSummary",
            "WriteRawProtoSummary",
            "WriteScalarSummary",
            "ImportEvent",
            "StatsAggregatorSetSummaryWriter",
            "DebugIdentity",
            "DebugIdentityV2",
            "DebugIdentityV3",
            "DebugNanCount",
            "DebugNumericSummary",
        ),
        WRITES,
    ),
    **dict.fromkeys(
        ("CacheDataset", "CacheDatasetV2", "SnapshotDataset", "SnapshotDatasetV2", "FileSystemSetConfiguration"), BOTH
    ),
    **dict.fromkeys(("PyFunc", "PyFuncStateless", "EagerPyFunc"), PYTHON),
    **dict.fromkeys(
        (
            "RemoteCall",
            "Rpc",
            "TryRpc",
            "DataServiceDataset",
            "DataServiceDatasetV2",
            "DataServiceDatasetV3",
            "DataServiceDatasetV4",
            "RegisterDataset",
            "RegisterDatasetV2",
            "DistributedSave",
            "GcsConfigureBlockCache",
            "GcsConfigureCredentials",
            "BigQueryReader",
            "RemoteFusedGraphExecute",
            "ConfigureDistributedTPU",
            "ShutdownDistributedTPU",
            "CollectiveAllToAllV2",
            "CollectiveAllToAllV3",
            "CollectiveAssignGroupV2",
            "CollectiveBcastRecv",
            "CollectiveBcastRecvV2",
            "CollectiveBcastSend",
            "CollectiveBcastSendV2",
            "CollectiveGather",
            "CollectiveGatherV2",
            "CollectiveInitializeCommunicator",
            "CollectivePermute",
            "CollectiveReduce",
            "CollectiveReduceScatterV2",
            "CollectiveReduceV2",
            "CollectiveReduceV3",
            "Send",
            "Recv",
            "_Send",
            "_Recv",
            "_HostSend",
            "_HostRecv",
        ),
        NETWORK,
    ),
    "Abort": PROCESS,
}
# Of tensorflow_io: a reader of files or streams each.
FOREIGN = "IO>"
UNKNOWN = "is not known to stay inside of its graph"

# What a Saver consists of: expected in every SavedModel where only the saver leads to it.
SAVES = frozenset({"SaveV2", "Save", "SaveSlices", "MergeV2Checkpoints"})
RESTORES = frozenset({"RestoreV2", "Restore", "RestoreSlice"})


def risk_of(node: Any, functions: Collection[str] = ()) -> str | None:
    """What a node may do outside of the graph, None for one that is known to stay inside.

    Args:
        node: of a GraphDef.
        functions: the names of the graph's own functions, which a node may call by its type.
    """
    risk = RISKS.get(node.op)
    if risk is None:
        if node.op.startswith(FOREIGN):
            return "reads files or streams"
        return None if node.op in KNOWN or node.op in TEXT or node.op in functions else UNKNOWN
    if node.op == "PrintV2" and not (  # elsewhere than to a file
        "output_stream" in node.attr and node.attr["output_stream"].s.startswith(b"file:")
    ):
        return None
    if node.op == "FixedUnigramCandidateSampler" and not ("vocab_file" in node.attr and node.attr["vocab_file"].s):
        return None
    return risk


def is_cache_in_memory(node: Any, around: Iterable[Any]) -> bool:
    """Whether a cached dataset has no file: its file name is the constant "".

    Args:
        node: perhaps a CacheDataset.
        around: the nodes beside it.
    """
    if node.op not in ("CacheDataset", "CacheDatasetV2") or len(node.input) < 2:
        return False
    name = node.input[1].split(":")[0]
    return any(other.name == name and constants.values(other) == [""] for other in around)
