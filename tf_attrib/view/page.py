"""A report as one HTML file that stands alone: no script, style or font from elsewhere."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from ..common.atomic import write_whole
from ..common.errors import AttributionError, legible
from .draw import Drawing, data_uri

DPI = 144  # sharp on fine screens; shown at two thirds of that, 96 CSS pixels to the inch

TEMPLATE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{{ title }}</title>
<style>
body { font-family: system-ui, "Segoe UI", Helvetica, Arial, sans-serif; color: #1b1f24; background: #fff; line-height: 1.5;
       max-width: 960px; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0.6rem 0; }
h2 { font-size: 1.25rem; margin: 2.2rem 0 0.4rem; padding-top: 0.6rem; border-top: 1px solid #d8dee4; }
p { max-width: 46rem; }
nav ul { columns: 2; padding-left: 1.2rem; }
figure, .wide { margin: 1rem 0; overflow-x: auto; }
figure img { display: block; max-width: 100%; height: auto; min-width: min(100%, 36rem); }
figcaption { font-size: 0.85rem; color: #3b434b; max-width: 46rem; }
table { border-collapse: collapse; font-size: 0.9rem; }
table.data th, table.data td { padding: 0.25rem 0.7rem; border-bottom: 1px solid #d8dee4; text-align: right;
                               font-variant-numeric: tabular-nums; }
table.data th:first-child, table.data td:first-child { text-align: left; }
pre { background: #f4f6f8; padding: 0.7rem; overflow-x: auto; font-size: 0.85rem; }
@media (max-width: 600px) {
  body { padding: 0.6rem; }
  nav ul { columns: 1; }
  figure img { min-width: 36rem; max-width: none; width: 36rem; }
}
</style>
</head>
<body>
<h1>{{ title }}</h1>
{% for text in introduction %}<p>{{ text }}</p>
{% endfor %}
{%- if sections | length > 2 %}<nav aria-label="Contents"><ul>
{% for section in sections %}<li><a href="#section-{{ loop.index }}">{{ section.title }}</a></li>
{% endfor %}</ul></nav>
{% endif %}
{%- for section in sections %}
<section id="section-{{ loop.index }}">
<h2>{{ section.title }}</h2>
{% for block in section.blocks %}{{ block | html(section.title) }}
{% endfor %}</section>
{% endfor %}
</body>
</html>
"""


@dataclasses.dataclass(frozen=True)
class Table:
    """A table of words and numbers; the caption says what its numbers are.

    Attributes:
        header: a heading for each column.
        rows: cells, shown as text.
        caption: text beneath, or "".
    """

    header: Sequence[Any]
    rows: Sequence[Sequence[Any]]
    caption: str = ""


@dataclasses.dataclass(frozen=True)
class Code:
    """Text shown as it is typed, such as a command."""

    text: str


@dataclasses.dataclass(frozen=True)
class Section:
    """A part of a page.

    Attributes:
        title: its heading.
        blocks: in order: str (a paragraph, escaped), `markupsafe.Markup` (HTML as it is, such as `to_html` gives), a
            matplotlib figure (as a picture within the page), `Table`, `Code`.
    """

    title: str
    blocks: Sequence[Any] = ()


def page(title: str, sections: Sequence[Section], introduction: Sequence[str] = ()) -> str:
    """The HTML of a page. Everything but `Markup` is escaped.

    Args:
        title: heading and window title.
        sections: its parts; more than two of them get a list of contents.
        introduction: paragraphs before the first section.

    Raises:
        AttributionError: for a block of another type.
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    environment.filters["html"] = _block
    return legible(
        environment.from_string(TEMPLATE).render(title=title, sections=list(sections), introduction=list(introduction))
    )


def check_free(path: str | Path, overwrite: bool) -> Path:
    """The path; asked for before figures are drawn, which takes seconds.

    Raises:
        AttributionError: the file exists and `overwrite` is False.
    """
    path = Path(path)
    if path.exists() and not overwrite:
        raise AttributionError(f"{path} exists: choose another name, or overwrite=True to replace it")
    return path


def write_page(
    path: str | Path, title: str, sections: Sequence[Section], introduction: Sequence[str] = (), overwrite: bool = False
) -> Path:
    """Writes a page to a file, whole or not at all: under a temporary name beside it, then renamed.

    Args:
        path: the file; its directory is made where there is none.
        title, sections, introduction: as for `page`.
        overwrite: replace a file that exists.

    Returns:
        The path.

    Raises:
        AttributionError: where the file exists and `overwrite` is False.
    """
    path = check_free(path, overwrite)
    text = page(title, sections, introduction)
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_whole(path, lambda file: file.write(text.encode()))


def _block(block, title: str) -> Markup:
    if isinstance(block, Markup):
        return Markup('<div class="wide">{}</div>').format(block)
    if isinstance(block, str):
        return Markup("<p>{}</p>").format(block)
    if isinstance(block, Code):
        return Markup("<pre>{}</pre>").format(block.text)
    if isinstance(block, Figure):
        return figure_html(block, title)
    if isinstance(block, Table):
        return _table(block)
    raise AttributionError(f"a section holds str, Markup, matplotlib figures, Table or Code; got {type(block).__name__}")


def figure_html(figure: Figure, title: str = "", dpi: float = DPI) -> Markup:
    """A figure as <figure> with a PNG data URI; its caption, where it has one, is the text for those who cannot see it."""
    width, height = (round(side * 96) for side in figure.get_size_inches())
    description = f"{title}. {figure.caption}" if isinstance(figure, Drawing) else title
    return Markup('<figure><img src="{}" width="{}" height="{}" alt="{}"></figure>').format(
        data_uri(figure, dpi), width, height, description
    )


def _table(table: Table) -> Markup:
    head = Markup("").join(Markup("<th>{}</th>").format(cell) for cell in table.header)
    rows = Markup("\n").join(
        Markup("<tr>{}</tr>").format(Markup("").join(Markup("<td>{}</td>").format(cell) for cell in row)) for row in table.rows
    )
    caption = Markup("<figcaption>{}</figcaption>").format(table.caption) if table.caption else Markup("")
    return Markup('<figure><table class="data"><thead><tr>{}</tr></thead><tbody>\n{}</tbody></table>{}</figure>').format(
        head, rows, caption
    )
