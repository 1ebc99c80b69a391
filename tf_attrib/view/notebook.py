"""What a notebook shows for a result by itself."""

from markupsafe import Markup

from ..result.result import Result
from . import captions, coloured_words, draw, position_map
from .kinds import blocks
from .show import show


def notebook(result: Result, limit: int = 2) -> Markup:
    """What a notebook shows for a result: its repr, and words or a small picture of the first examples.

    Never raises: where nothing can be drawn it is the repr alone.
    """
    try:
        head = Markup('<pre style="white-space:pre-wrap">{}</pre>').format(repr(result))
    except Exception:  # a notebook must show something, whatever is wrong with a result made by hand
        head = Markup("<pre>{}</pre>").format(object.__repr__(result))
    try:
        return head + _notebook_picture(result, limit)
    except Exception:  # the same: a picture is an extra here, and `plot()` raises with the reason
        return head


def _notebook_picture(result: Result, limit: int) -> Markup:
    if result.position is not None:
        figure = position_map.show_positions(result, limit=limit)
        return Markup('<img alt="" style="max-width:100%" src="{}">').format(draw.data_uri(figure, dpi=80))
    few = result[:limit]
    if all(block.kind == "words" for block in blocks(few)):
        picture = coloured_words.to_html(few)
    else:
        picture = Markup('<img alt="" style="max-width:100%" src="{}">').format(draw.data_uri(show(few, limit=limit), dpi=80))
    if len(result) <= limit:
        return picture
    return picture + Markup("<div>{}</div>").format(
        f"{captions.count(len(result) - limit, 'example')} more: result.plot(limit=...)."
    )
