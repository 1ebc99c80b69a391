"""Pictures that do not distort the numbers: images, words, signals, tables, paths, and a page that holds them.

Works on results and arrays alone. Green raised the score, red lowered it, gray is zero, everywhere. Captions state the
scale, the unit, and in numbers what clipping, thresholds and separate scales hide.
"""

from .along_path import gradient_strip, running_sum, saturation, scaled_inputs, strips
from .areas import by_region, heat, smooth
from .colour import DIVERGING, GRAY, GREEN, RED, Scaled, colours, scale
from .coloured_words import to_html, word_spans
from .draw import Drawing, data_uri, png
from .grid import grid
from .image import Picture, diverging, mask, overlay, window
from .notebook import notebook
from .page import Code, Section, Table, page, write_page
from .pixels import infer_range, to_display
from .shares import clean_up, outline, regions, share_of, strongest, threshold
from .show import show
from .tables import features_html, ranked, table_html

__all__ = [
    "DIVERGING",
    "GRAY",
    "GREEN",
    "RED",
    "Code",
    "Drawing",
    "Picture",
    "Scaled",
    "Section",
    "Table",
    "by_region",
    "clean_up",
    "colours",
    "data_uri",
    "diverging",
    "features_html",
    "gradient_strip",
    "grid",
    "heat",
    "infer_range",
    "mask",
    "notebook",
    "outline",
    "overlay",
    "page",
    "png",
    "ranked",
    "regions",
    "running_sum",
    "saturation",
    "scale",
    "scaled_inputs",
    "share_of",
    "show",
    "smooth",
    "strips",
    "strongest",
    "table_html",
    "threshold",
    "to_display",
    "to_html",
    "window",
    "word_spans",
    "write_page",
]
