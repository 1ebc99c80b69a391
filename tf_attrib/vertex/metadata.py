"""ExplanationMetadata: which tensors are features and which output is explained, as a file beside a SavedModel says it.

Names and meanings are those of the public definition of the API (google/cloud/aiplatform/v1/explanation_metadata.proto), and of
the older file of the Explainable AI SDK, whose names for the same fields are read too.
"""

import dataclasses
import re
from typing import Any

from ..common.errors import AttributionError
from .fields import Fields, shown

# Each place of the tensor is a feature of its own, with a name in index_feature_mapping.
BAGS = ("BAG_OF_FEATURES", "BAG_OF_FEATURES_SPARSE", "INDICATOR")
EMBEDDINGS = ("COMBINED_EMBEDDING", "CONCAT_EMBEDDING")
ENCODINGS = ("IDENTITY", *BAGS, *EMBEDDINGS)
MODALITIES = ("numeric", "image", "text", "categorical", "structured")
DENSE = (
    "is of a sparse tensor: save a signature that takes the dense one and makes it sparse inside, "
    "tf.sparse.from_dense(x), and leave the field out"
)


@dataclasses.dataclass(frozen=True)
class Domain:
    """Of a feature's values: the least and the greatest, and mean and standard deviation before they were normalised."""

    min_value: float | None = None
    max_value: float | None = None
    original_mean: float | None = None
    original_stddev: float | None = None


@dataclasses.dataclass(frozen=True)
class Visualization:
    """How an image's attributions are drawn; None is the default of the API."""

    type: str = "OUTLINES"
    polarity: str = "POSITIVE"
    color_map: str | None = None
    clip_percent_upperbound: float = 99.9
    clip_percent_lowerbound: float = 62.0
    overlay_type: str = "NONE"


@dataclasses.dataclass(frozen=True, eq=False)
class InputMetadata:
    """One feature, or the features of one tensor.

    Attributes:
        name: the key in the file, under which its attributions are given.
        input_tensor_name: the input of the signature, by its key or its tensor's name.
        encoding: how features lie in the tensor; one of ENCODINGS.
        modality: "numeric", "image", "text", "categorical" or "structured"; None where the file does not say.
        input_baselines, encoded_baselines: values as JSON, averaged over; () for none.
        index_feature_mapping: the name of each place, of those in BAGS.
        encoded_tensor_name: the tensor that gradients are taken at.
        group_name: features of one group are one feature.
        domain, visualization: of images.
    """

    name: str
    input_tensor_name: str
    encoding: str = "IDENTITY"
    modality: str | None = None
    input_baselines: tuple = ()
    encoded_baselines: tuple = ()
    index_feature_mapping: tuple[str, ...] = ()
    encoded_tensor_name: str | None = None
    group_name: str | None = None
    domain: Domain | None = None
    visualization: Visualization | None = None

    @property
    def where(self) -> str:
        """What errors call it."""
        return f"inputs[{self.name!r}]"


@dataclasses.dataclass(frozen=True, eq=False)
class OutputMetadata:
    """The output that is explained.

    Attributes:
        name: the key in the file.
        output_tensor_name: the output of the signature, by its key or its tensor's name.
        index_display_name_mapping: nested lists of names in the shape of the output; None where there are none.
        display_name_mapping_key: another output of the signature, which gives the names.
    """

    name: str
    output_tensor_name: str
    index_display_name_mapping: Any = None
    display_name_mapping_key: str | None = None


def read_inputs(found: Fields) -> tuple[InputMetadata, ...]:
    """The `inputs` of an ExplanationMetadata.

    Raises:
        AttributionError: there are none, or one has a field that is wrong or cannot be honoured.
    """
    given = found.take("inputs")
    if not isinstance(given, dict) or not given:
        raise AttributionError(f"{found.where}: inputs must be an object with at least one feature by name; got {shown(given)}")
    inputs = tuple(_input(name, value, found.notes) for name, value in given.items())
    _check_names(inputs)
    return inputs


def read_output(found: Fields) -> OutputMetadata:
    """The only one of the `outputs` of an ExplanationMetadata."""
    given = found.take("outputs")
    if not isinstance(given, dict) or len(given) != 1:
        came = ", ".join(map(repr, given)) if isinstance(given, dict) else shown(given)
        raise AttributionError(
            f"{found.where}: outputs must be an object with one output by name, that is explained; got {came}"
        )
    ((name, value),) = given.items()
    fields = Fields(value, f"outputs[{name!r}]", found.notes)
    made = OutputMetadata(
        name,
        fields.text("output_tensor_name") or name,
        fields.take("index_display_name_mapping", "index_name_mapping"),
        fields.text("display_name_mapping_key", "index_name_mapping_key"),
    )
    _note_types(fields)
    fields.done()
    if made.index_display_name_mapping is not None and made.display_name_mapping_key is not None:
        raise AttributionError(
            f"{fields.where} has index_display_name_mapping and display_name_mapping_key: names come from one of them"
        )
    return made


def _input(name: str, value: Any, notes: list[str]) -> InputMetadata:
    fields = Fields(value, f"inputs[{name!r}]", notes)
    for sparse in ("indices_tensor_name", "dense_shape_tensor_name", "weight_values_name", "weight_indices_name"):
        fields.refuse(sparse, DENSE)
    fields.refuse("weight_dense_shape_name", DENSE)
    fields.note("gradient_tensor_names", "is not read: gradients are taken of the graph itself")
    _note_types(fields)
    made = InputMetadata(
        name,
        fields.text("input_tensor_name") or name,
        fields.one_of(ENCODINGS, "encoding") or "IDENTITY",
        fields.one_of(MODALITIES, "modality"),
        tuple(fields.listed("input_baselines") or ()),
        tuple(fields.listed("encoded_baselines") or ()),
        fields.names("index_feature_mapping") or (),
        fields.text("encoded_tensor_name"),
        fields.text("group_name"),
        _domain(fields.objects("feature_value_domain", "domain")),
        _visualization(fields.objects("visualization")),
    )
    fields.done()
    return _consistent(made, notes)


def _consistent(made: InputMetadata, notes: list[str]) -> InputMetadata:
    """`made`, where its fields go together."""
    if made.encoding in BAGS and not made.index_feature_mapping:
        raise AttributionError(
            f"{made.where}: encoding {made.encoding} needs index_feature_mapping, the name of each place of the tensor"
        )
    if made.encoding in EMBEDDINGS and not made.encoded_tensor_name:
        raise AttributionError(
            f"{made.where}: encoding {made.encoding} needs encoded_tensor_name, the tensor that `tf-attrib inspect` lists "
            "as the embedding"
        )
    if made.encoded_baselines and not made.encoded_tensor_name:
        raise AttributionError(f"{made.where}: encoded_baselines are of an encoded_tensor_name, and there is none")
    if made.index_feature_mapping and made.encoding not in BAGS:
        notes.append(
            f"{made.where}: index_feature_mapping is not used: of encoding {made.encoding} places have no names "
            f"({', '.join(BAGS)} have)"
        )
    if made.modality != "image":
        for name, value in (("visualization", made.visualization), ("feature_value_domain", made.domain)):
            if value is not None:
                notes.append(f"{made.where}: {name} is not used: it is for pictures, and modality is not image")
    if made.modality in ("text", "categorical", "structured"):
        notes.append(f"{made.where}: modality {made.modality!r} changes nothing: what the tensor holds, the model says")
    return made


def _check_names(inputs: tuple[InputMetadata, ...]) -> None:
    """Raises AttributionError where two features would be given under one name."""
    owners: dict[str, tuple] = {}
    for one in inputs:
        if one.group_name is not None:
            names, owner = (one.group_name,), ("group", one.group_name)
        else:
            names, owner = one.index_feature_mapping if one.encoding in BAGS else (one.name,), ("input", one.name)
        for name in names:
            if owners.setdefault(name, owner) != owner:
                raise AttributionError(f"{one.where}: two features are called {name!r}, and attributions are by name")


def _domain(fields: Fields | None) -> Domain | None:
    if fields is None:
        return None
    made = Domain(
        fields.number("min_value", "min"),
        fields.number("max_value", "max"),
        fields.number("original_mean"),
        fields.number("original_stddev"),
    )
    fields.done()
    if made.min_value is not None and made.max_value is not None and made.min_value >= made.max_value:
        raise AttributionError(
            f"{fields.where}: min_value must be less than max_value; got {made.min_value:g} and {made.max_value:g}"
        )
    return made


def _visualization(fields: Fields | None) -> Visualization | None:
    if fields is None:
        return None
    low = fields.number("clip_percent_lowerbound", "clip_below_percentile")
    high = fields.number("clip_percent_upperbound", "clip_above_percentile")
    made = Visualization(
        fields.one_of(("PIXELS", "OUTLINES"), "type") or "OUTLINES",
        fields.one_of(("POSITIVE", "NEGATIVE", "BOTH"), "polarity") or "POSITIVE",
        fields.one_of(("PINK_GREEN", "VIRIDIS", "RED", "GREEN", "RED_GREEN", "PINK_WHITE_GREEN"), "color_map"),
        99.9 if high is None else high,
        62.0 if low is None else low,
        fields.one_of(("NONE", "ORIGINAL", "GRAYSCALE", "MASK_BLACK"), "overlay_type") or "NONE",
    )
    for name in ("blur_sigma", "overlay_multiplier", "shade_within_outlines", "resized_shape", "translate"):
        fields.note(name, "is not used: pictures are drawn without it")
    fields.done()
    if not 0 <= made.clip_percent_lowerbound < made.clip_percent_upperbound <= 100:
        raise AttributionError(
            f"{fields.where}: clip_percent_lowerbound must be less than clip_percent_upperbound, both from 0 to 100; got "
            f"{made.clip_percent_lowerbound:g} and {made.clip_percent_upperbound:g}"
        )
    return made


def _note_types(fields: Fields) -> None:
    """Types of tensors, which files of the SDK state."""
    for name in [name for name in fields if re.fullmatch(r"\w+_tensor_(dtypes?|type)|weight_\w+_dtype", name)]:
        fields.note(name, "is not read: the model says what its tensors are")
