"""ExplanationParameters: the method, how finely it is computed, and which outputs are explained.

Names, meanings and defaults are those of the public definition of the API (google/cloud/aiplatform/v1/explanation.proto).
"""

import dataclasses

from ..common.checks import is_whole
from ..common.errors import AttributionError
from .fields import Fields, shown

METHODS = ("sampled_shapley_attribution", "integrated_gradients_attribution", "xrai_attribution")
NOISY_SAMPLES, NOISE_SIGMA = 3, 0.1


@dataclasses.dataclass(frozen=True)
class Noise:
    """SmoothGrad: at each point of the path the mean gradient over noisy copies of it.

    Attributes:
        samples: how many copies.
        sigma: the standard deviation of the noise, in units of the input; of features in `by_feature` theirs, and no others
            get noise then.
        by_feature: standard deviations by the name of the feature; None where `sigma` is for all.
    """

    samples: int = NOISY_SAMPLES
    sigma: float = NOISE_SIGMA
    by_feature: tuple[tuple[str, float], ...] | None = None

    def of(self, name: str) -> float:
        """The standard deviation for a feature."""
        return self.sigma if self.by_feature is None else dict(self.by_feature).get(name, 0.0)


@dataclasses.dataclass(frozen=True)
class ExplanationParameters:
    """What is computed.

    Attributes:
        method: one of METHODS.
        count: steps of the path, or of sampled Shapley orders of the features; None where `tolerance` says how finely.
        noise: of integrated gradients; None for none.
        blur_sigma: pixels of the blurred image that is the baseline of images; None for other baselines.
        top_k: how many of the highest outputs are explained, -1 for all.
        output_indices: which are, instead: whole numbers, or tuples of them for outputs with several axes.
        tolerance: that the estimated error is brought below, instead of taking `count` steps.
    """

    method: str = "integrated_gradients_attribution"
    count: int | None = None
    noise: Noise | None = None
    blur_sigma: float | None = None
    top_k: int = 1
    output_indices: tuple[tuple[int, ...], ...] | None = None
    tolerance: float | None = None

    @property
    def is_shapley(self) -> bool:
        return self.method == "sampled_shapley_attribution"

    @property
    def is_xrai(self) -> bool:
        return self.method == "xrai_attribution"


def read_parameters(found: Fields) -> ExplanationParameters:
    """The parameters in a JSON object.

    Raises:
        AttributionError: no method or several, or a field that is wrong or cannot be honoured.
    """
    found.refuse(
        "examples",
        "asks for example-based explanations, nearest neighbours in an embedding, which are no attributions: leave it out, and "
        f"name one of {', '.join(METHODS)}",
    )
    methods = {name: fields for name in METHODS if (fields := found.objects(name)) is not None}
    if len(methods) != 1:
        came = " and ".join(methods) or "none of them"
        raise AttributionError(f"{found.where} must name one method of {', '.join(METHODS)}; got {came}")
    top_k, indices = found.whole("top_k", minus="all outputs"), _indices(found)
    found.done()
    if top_k is not None and indices is not None:
        raise AttributionError(f"{found.where} has top_k and output_indices: one of them says which outputs are explained")
    ((method, fields),) = methods.items()
    if method == "sampled_shapley_attribution":
        count, noise, blur = _count(fields, "path_count"), None, None
    else:
        count = _count(fields, "step_count")
        noise = _noise(fields.objects("smooth_grad_config"))
        blur = _blur(fields.objects("blur_baseline_config"))
    fields.done()
    if noise is not None and method == "xrai_attribution":
        raise AttributionError(
            f"{fields.where}: smooth_grad_config of XRAI is not offered from a configuration: leave it out, or "
            "attribute with ta.XRAI(ta.SmoothGrad('integrated_gradients'))"
        )
    return ExplanationParameters(method, count, noise, blur, top_k or 1, indices)


def _count(fields: Fields, name: str) -> int:
    found = fields.whole(name)
    if found is None:
        raise AttributionError(f"{fields.where} needs {name}, a whole number of at least 1")
    return found


def _noise(fields: Fields | None) -> Noise | None:
    if fields is None:
        return None
    samples, sigma = fields.whole("noisy_sample_count"), fields.number("noise_sigma")
    each = fields.objects("feature_noise_sigma")
    fields.done()
    if sigma is not None and each is not None:
        raise AttributionError(
            f"{fields.where} has noise_sigma and feature_noise_sigma: one of them says how much noise there is"
        )
    by_feature = None
    if each is not None:
        parts = [
            Fields(one, f"{each.where}.noise_sigma[{i}]", fields.notes)
            for i, one in enumerate(each.listed("noise_sigma") or [])
        ]
        each.done()
        by_feature = tuple((_name(part), _positive(part, "sigma", NOISE_SIGMA)) for part in parts)
        for part in parts:
            part.done()
    if sigma is not None and not sigma > 0:
        raise AttributionError(f"{fields.where}: noise_sigma must be above 0; got {sigma:g}")
    return Noise(samples or NOISY_SAMPLES, NOISE_SIGMA if sigma is None else sigma, by_feature)


def _name(fields: Fields) -> str:
    found = fields.text("name")
    if found is None:
        raise AttributionError(f"{fields.where} needs name, that of a feature in the inputs of the metadata")
    return found


def _positive(fields: Fields, name: str, default: float) -> float:
    found = fields.number(name)
    if found is not None and not found > 0:
        raise AttributionError(f"{fields.where}: {name} must be above 0; got {found:g}")
    return default if found is None else found


def _blur(fields: Fields | None) -> float | None:
    """The blur of the baseline; without one, or 0, there is none: the baseline is black."""
    if fields is None:
        return None
    found = fields.number("max_blur_sigma")
    fields.done()
    if found is not None and found < 0:
        raise AttributionError(f"{fields.where}: max_blur_sigma must be above 0 pixels; got {found:g}")
    return found or None


def _indices(fields: Fields) -> tuple[tuple[int, ...], ...] | None:
    found = fields.listed("output_indices")
    if not found:
        return None
    rows = [one if isinstance(one, list) else [one] for one in found]
    if not all(is_whole(number, 0) for row in rows for number in row) or len({len(row) for row in rows}) > 1 or not rows[0]:
        raise AttributionError(
            f"{fields.where}: output_indices must be whole numbers of at least 0, such as [0, 2], or lists of them for an "
            f"output of several axes, such as [[0, 2], [1, 0]]; got {shown(found)}"
        )
    return tuple(tuple(int(number) for number in row) for row in rows)
