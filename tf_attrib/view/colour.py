"""Values to colours: one pair (green raises the score, red lowers it), one scale through zero, words on what it hides."""

import dataclasses
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.colors import CenteredNorm, LinearSegmentedColormap, to_hex, to_rgba

from ..common.errors import AttributionError, nearest
from .captions import count, number, percent
from .shares import clean_up, strongest, threshold

# The green is much lighter than the red (L* 71 and 37), so that printers without colour tell them apart; captions say so. It
# leans to yellow and the red to blue, so that eyes that do not tell green from red do too where both lie half transparent over
# grays, whose lightness hides theirs. With a pure red and a bluer green half of either was the same to these eyes (a difference
# of 3 in CAM02-UCS, of which 1 is barely seen; now over 10).
GREEN = "#3cc73c"
RED = "#b00846"
GRAY = "#e4e4e4"
NOT_FINITE = "#7b5cff"
# 257 levels have a middle one: zero is GRAY exactly
DIVERGING = LinearSegmentedColormap.from_list("tf_attrib", [RED, GRAY, GREEN], N=257).with_extremes(bad=NOT_FINITE)
SIGNS = ("both", "positive", "negative")
# From so many pixels on, the strongest that carry this share of the attribution have full colour alike: in a photograph the
# largest pixel is five to fifty times as large as those that carry the next fifth, so that on its scale all else is gray.
# Looked at: twelve photographs of 224 × 224, two networks, shares of 0 to 0.5. At 0.1 what is attributed to comes out faintly;
# at 0.2 plainly, with 1 to 5% of the pixels in full colour; from 0.3 on scattered pixels of the background come forward too.
# In digits the largest pixel is like others.
MANY, CLIP = 64 * 64, 0.2


@dataclasses.dataclass(frozen=True)
class Scaled:
    """Attributions on a scale for display.

    Attributes:
        values: float array in [-1, 1], in the shape that came: ±1 is full colour, 0 is none, NaN was not finite.
        limit: the magnitude drawn in full colour, in the attributions' unit; 0 where there is nothing to draw.
        clipped: whether some magnitudes lie above `limit`.
        hidden: sentences on what clipping, thresholds, signs and clean-up hide.
    """

    values: np.ndarray
    limit: float
    clipped: bool
    hidden: tuple[str, ...]


def one_of(name: str, value: Any, choices: Iterable[str]) -> None:
    """Raises AttributionError with the valid choices unless `value` is one of them."""
    if value not in choices:
        raise AttributionError(f"{name} is one of {nearest(value, choices)}; got {value!r}")


def check_share(name: str, share: float) -> None:
    """Raises AttributionError unless `share` is a number from 0 to 1."""
    if not isinstance(share, int | float | np.number) or not 0 <= share <= 1:
        raise AttributionError(f"{name} is a share of the total attribution from 0 to 1 (0.9 for 90%); got {share!r}")


def finite(values: npt.ArrayLike) -> np.ndarray:
    """The values as float64, with 0 for what is not finite."""
    return np.nan_to_num(np.asarray(values, np.float64), nan=0.0, posinf=0.0, neginf=0.0)


def select_sign(values: np.ndarray, sign: str) -> np.ndarray:
    """The values of one sign, 0 elsewhere; all for "both"."""
    one_of("sign", sign, SIGNS)
    if sign == "both":
        return values
    return np.maximum(values, 0) if sign == "positive" else np.minimum(values, 0)


def scale(
    attributions: npt.ArrayLike,
    *,
    sign: str = "both",
    clip: float = 0.0,
    keep: float = 1.0,
    clean: int = 0,
    limit: float | None = None,
    noun: str = "pixel",
) -> Scaled:
    """Attributions divided by one magnitude, so that colours are proportional to them and zero stays zero.

    Shares are of the total attribution (the sum of magnitudes of the sign that is drawn), never of the number of
    features: `clip=0.1` draws the strongest features, which carry 10% of the total, in full colour alike.

    Args:
        attributions: array of any shape (two-dimensional for `clean`).
        sign: "both", "positive" or "negative": which are drawn.
        clip: share of the total, 0 to 1, whose strongest features share the full colour; 0 clips nothing.
        keep: share of the total, 0 to 1, that is drawn, strongest first; what is weaker is drawn as zero.
        clean: side in pixels of the square that closes holes in, and then opens, the set of pixels that are drawn; 0
            leaves it. Values are not altered by it.
        limit: the magnitude in full colour, for several pictures on one scale; default: from `clip`.
        noun: what a feature is called in the sentences, in the singular.

    Returns:
        Scaled.

    Raises:
        AttributionError: for an unknown sign, a share outside 0 to 1, `clip` together with `limit`.
    """
    check_share("clip", clip)
    check_share("keep", keep)
    if limit is not None and clip:
        raise AttributionError("give clip or limit, not both: each of them says which magnitude has full colour")
    values = finite(attributions)
    shown = select_sign(values, sign)
    hidden = [*not_finite(attributions, noun), *_other_sign(values, shown, sign, noun)]
    drawn = strongest(shown, keep)
    hidden += _weaker(shown, drawn, noun)
    if clean:
        drawn, words = _cleaned(shown, drawn, clean, noun)
        hidden += words
    magnitudes = np.abs(np.where(drawn, shown, 0))
    limit = limit_of(shown, clip) if limit is None else limit
    over = magnitudes > limit
    hidden += _above(magnitudes, over, limit, np.abs(shown).sum(), noun)
    scaled = np.clip(np.where(drawn, shown, 0) / limit, -1, 1) if limit > 0 else np.zeros_like(shown)
    scaled[~np.isfinite(np.asarray(attributions, np.float64))] = np.nan
    return Scaled(scaled, limit, bool(over.any()), tuple(hidden))


def usual_clip(pixels: int, kind: str = "") -> float:
    """The share of an image's attribution whose strongest pixels have full colour alike, where nothing else is asked for.

    None of what groups, windows and masks are worth: that is the same over many pixels, and none stands out by itself.
    """
    return CLIP if pixels >= MANY and kind not in ("effect", "expectation") else 0.0


def limit_of(values: npt.ArrayLike, clip: float | None = None, sign: str = "both", kind: str = "") -> float:
    """The magnitude in full colour: the largest, or with `clip` the least of the strongest that carry this share.

    Args:
        values: (height, width), or of any shape.
        clip: default: as of an image of so many pixels, see `usual_clip`.
        sign: of those that are drawn.
        kind: what they are, as in `Result`.
    """
    shown = select_sign(finite(values), sign)
    largest = float(np.abs(shown).max(initial=0))
    clip = usual_clip(shown.size, kind) if clip is None else clip
    return min(largest, threshold(shown, clip)) or largest


def not_finite(attributions: npt.ArrayLike, noun: str, drawn: str = "violet") -> list[str]:
    """The sentence on values that are NaN or infinite, and how they are drawn; none where all are finite."""
    bad = int((~np.isfinite(np.asarray(attributions, np.float64))).sum())
    return [f"{count(bad, noun)} not finite ({drawn})."] if bad else []


def _other_sign(values: np.ndarray, shown: np.ndarray, sign: str, noun: str) -> list[str]:
    total, left_out = np.abs(values).sum(), np.abs(values - shown)
    if sign == "both":
        return []
    if not left_out.any():
        return [f"Only {sign} attributions are drawn; there are no others."]
    return [
        f"Only {sign} attributions are drawn: {count(int((left_out > 0).sum()), noun)} of the other sign, "
        f"{percent(left_out.sum() / total)} of the attribution, left out."
    ]


def _weaker(shown: np.ndarray, drawn: np.ndarray, noun: str) -> list[str]:
    total, left_out = np.abs(shown).sum(), np.abs(shown[~drawn])
    if not left_out.any():
        return []
    return [
        f"The {count(int((left_out > 0).sum()), noun)} of least magnitude, {percent(left_out.sum() / total)} of the "
        "attribution, not drawn."
    ]


def _cleaned(shown: np.ndarray, drawn: np.ndarray, size: int, noun: str) -> tuple[np.ndarray, list[str]]:
    cleaned = clean_up(drawn, size)
    gone, added = drawn & ~cleaned & (shown != 0), cleaned & ~drawn & (shown != 0)
    total = max(np.abs(shown).sum(), np.finfo(float).tiny)
    if not gone.any() and not added.any():
        return cleaned, [f"Clean-up ({size} × {size}) changes nothing that is drawn."]
    return cleaned, [
        f"Clean-up ({size} × {size} closing, then opening) hides {count(int(gone.sum()), noun)}, "
        f"{percent(np.abs(shown[gone]).sum() / total)} of the attribution, and brings back "
        f"{count(int(added.sum()), noun)}, {percent(np.abs(shown[added]).sum() / total)}."
    ]


def _above(magnitudes: np.ndarray, over: np.ndarray, limit: float, total: float, noun: str) -> list[str]:
    quantity = int(over.sum())
    if not quantity:
        return []
    which = f"The strongest {noun}" if quantity == 1 else f"The {quantity:,} strongest {noun}s"
    return [
        f"{which}, {percent(magnitudes[over].sum() / total)} of the attribution, "
        f"{'is' if quantity == 1 else 'are'} clipped at {number(limit)} (the largest is {number(magnitudes.max())})."
    ]


def norm(limit: float) -> CenteredNorm:
    """The symmetric norm around zero with full colour at ±limit."""
    return CenteredNorm(0, limit if limit > 0 else 1.0, clip=True)


def colours(scaled: Scaled) -> np.ndarray:
    """Float RGBA (*shape, 4) in [0, 1]: red for -1, exactly gray for 0, green for 1, violet where not finite."""
    return DIVERGING(norm(1.0)(np.ma.masked_invalid(scaled.values)))


def tint(scaled: Scaled) -> np.ndarray:
    """Float RGBA (*shape, 4): pure green or red, with the magnitude as opacity; zero is transparent."""
    values = scaled.values
    result = np.where((values >= 0)[..., None], to_rgba(GREEN), to_rgba(RED))
    result[..., 3] = np.abs(values)
    result[np.isnan(values)] = to_rgba(NOT_FINITE)
    return result


def sign_colours(values: npt.ArrayLike) -> list[str]:
    """For bars: GREEN for each positive value, RED for each negative one, GRAY for zero."""
    return [GREEN if value > 0 else RED if value < 0 else GRAY for value in np.ravel(values)]


def luminance(rgba: npt.ArrayLike) -> np.ndarray:
    """Relative luminance (0 to 1) of sRGB colours (..., 3 or 4), as WCAG 2.2 defines it."""
    rgb = np.asarray(rgba, np.float64)[..., :3]
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return linear @ np.array([0.2126, 0.7152, 0.0722])


def text_colour(background: Any) -> str:
    """Black or white, whichever has the higher contrast (at least 4.5 to 1) on an opaque background colour."""
    light = luminance(to_rgba(background))
    return "#000000" if (light + 0.05) / 0.05 >= 1.05 / (light + 0.05) else "#ffffff"


def hex_colours(scaled: Scaled) -> list[str]:
    """ "#rrggbb" for each of the values, flattened."""
    return [to_hex(tuple(colour)) for colour in colours(scaled).reshape(-1, 4)]


def meaning(kind: str) -> str:
    """What the two colours mean for attributions of this kind (see `Result.kind`), without a full stop.

    Light and dark are said beside green and red: they carry the sign for those who do not see these as two colours.
    """
    if kind == "square":
        return "Green: the score changes with the value, the sign is lost"
    if kind == "slope":
        return "Light green: the score rises with the value, dark red: it falls"
    if kind == "expectation":
        return "Light green: the expected score is higher while this is seen"
    return "Light green raises the score, dark red lowers it"


def full_colour(limit: float, unit: str, kind: str, zero: str, least: float = 0.0) -> str:
    """The sentence that states the scale: what the colours mean, the value of full colour, and how zero looks.

    Args:
        least: what is drawn as zero, where that is not 0 (`Picture.least`).
    """
    if limit == 0:
        return f"All attributions that are drawn are {number(least)}."
    edge = f"±{number(limit)}"
    if least:
        edge, zero = number(least + limit), zero.replace("zero", f"the least of all ({number(least)})")
    return f"{meaning(kind)}; full colour at {edge} {unit}, {zero}."
