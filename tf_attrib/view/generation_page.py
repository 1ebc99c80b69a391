"""A page of a continuation: point at a word of it, and the words that led to it colour. Nothing is fetched from elsewhere."""

import base64
import dataclasses
import hashlib
import json

import numpy as np
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from matplotlib.colors import to_hex

from ..common.errors import legible
from ..result.adding_up import are_summed
from . import captions, colour
from .generation import Told, sentences, unit_of, visible

# Of the columns that are listed for the word that is pointed at.
LISTED = 8

STYLE = """
body { font-family: system-ui, "Segoe UI", Helvetica, Arial, sans-serif; color: #1b1f24; background: #fff; line-height: 1.5;
       max-width: 960px; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.3rem; margin: 0 0 0.4rem; }
h2 { font-size: 0.8rem; font-weight: 600; color: #57606a; margin: 0.9rem 0 0.2rem; text-transform: uppercase; }
.text { font-size: 1.05rem; line-height: 2; overflow-wrap: anywhere; white-space: pre-wrap; }
.text span { border-radius: 0.2em; padding: 0.15em 0; }
.text .row { cursor: pointer; border-bottom: 2px solid #8c959f; }
.text .row.on { border-bottom-color: #1740d4; box-shadow: inset 0 -2px #1740d4; }
.parts span { display: inline-block; margin: 0.15em 0.3em 0.15em 0; padding: 0.1em 0.5em; line-height: 1.5; }
#about { min-height: 8.5rem; margin-top: 1rem; padding: 0.7rem; background: #f6f8fa; border-radius: 0.4rem; font-size: 0.9rem;
         overflow-wrap: anywhere; }
#about ol { margin: 0.3rem 0 0; padding-left: 1.4rem; columns: 2; }
#about b { white-space: pre-wrap; }
.bad { color: #9a1c1c; }
.small { font-size: 0.8rem; color: #3b434b; max-width: 46rem; }
@media (max-width: 600px) { body { padding: 0.6rem; } #about ol { columns: 1; } }
"""

# Colours are set when a word is pointed at, focused (Tab, arrows) or tapped; what was clicked stays.
SCRIPT = """
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const columns = [...document.querySelectorAll("[data-column]")];
  const rows = [...document.querySelectorAll("[data-row]")];
  const about = document.getElementById("about");
  let kept = 0;
  const add = (parent, name, text, kind) => {
    const made = document.createElement(name);
    made.textContent = text;
    if (kind) made.className = kind;
    parent.append(made);
    return made;
  };
  const show = (row) => {
    const one = data.rows[row], limit = one.limit || 1, middle = (data.palette.length - 1) / 2;
    for (const element of columns) {
      const value = one.values[element.dataset.column];
      const level = value === null ? null : Math.round(middle * (1 + Math.max(-1, Math.min(1, value / limit))));
      const [back, front] = level === null ? data.unknown : data.palette[level];
      const blank = value === 0;
      element.style.backgroundColor = blank ? "transparent" : back;
      element.style.color = blank ? "inherit" : front;
      element.title = value === null ? "not finite" : `\\u2068${element.dataset.name}\\u2069: ${value} ${data.unit}`;
    }
    for (const element of rows) element.classList.toggle("on", Number(element.dataset.row) === row);
    about.replaceChildren();
    add(about, "b", one.name);
    for (const line of one.lines) add(about, "div", line);
    if (one.status) add(about, "div", one.status, "bad");
    const list = add(about, "ol", "");
    const order = one.values.map((value, i) => [Math.abs(value || 0), i]).filter((pair) => pair[0] > 0);
    order.sort((a, b) => b[0] - a[0]);
    for (const [, i] of order.slice(0, data.listed)) {
      const item = add(list, "li", "");
      add(item, "bdi", data.columns[i]);  // or a number behind a word of Hebrew stands in front of it, and its sign behind it
      item.append(`  ${one.values[i] > 0 ? "+" : ""}${one.values[i]}`);
    }
  };
  const keep = (row) => {
    kept = row;
    show(row);
  };
  for (const element of rows) {
    const row = Number(element.dataset.row);
    element.addEventListener("pointerenter", () => show(row));
    element.addEventListener("pointerleave", () => show(kept));
    element.addEventListener("click", () => keep(row));
    element.addEventListener("focus", () => keep(row));
    element.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      rows[(rows.indexOf(element) + step + rows.length) % rows.length].focus();
    });
  }
  if (data.rows.length) show(0);
})();
"""

TEMPLATE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src {{ hash }}">
<title>{{ title }}</title>
<style>{{ style }}</style>
</head>
<body>
<h1>{{ title }}</h1>
<div class="small">{{ hint }}</div>
{% for heading, kind, pieces in texts if pieces %}<h2>{{ heading }}</h2>
<div class="text {{ kind }}">{% for piece in pieces %}{{ piece }}{% endfor %}</div>
{% endfor %}
<div id="about" aria-live="polite"><noscript>A script colours the words: result.plot() needs none.</noscript></div>
{% for sentence in sentences %}<p class="small">{{ sentence }}</p>
{% endfor %}
<script type="application/json" id="data">{{ data }}</script>
<script>{{ script }}</script>
</body>
</html>
"""
COLUMN = Markup('<span data-column="{}" data-name="{}"{}>{}</span>')
ROW = Markup(' class="row" data-row="{}" tabindex="0" role="button"')
ALONE = Markup("<span{}>{}</span>")


def page(told: Told) -> str:
    """The page as HTML."""
    told = dataclasses.replace(
        told, columns=tuple(map(legible, told.columns)), rows=tuple(map(legible, told.rows))
    )  # the script sets text that it holds as escapes of JSON
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    return environment.from_string(TEMPLATE).render(
        title="What led to each word" if len(told.rows) > 1 else "What led to it",
        hint=Markup("Point at a word that is underlined, tap it, or go through them with Tab and the arrow keys."),
        hash=Markup("'sha256-{}'").format(digest),
        style=Markup(STYLE),
        script=Markup(SCRIPT),
        data=Markup(_safe_json(_data(told))),
        texts=_texts(told),
        sentences=sentences(told, "what has no part in it has no colour"),
    )


def framed(told: Told) -> Markup:
    """The page within another, such as a notebook."""
    return Markup(
        '<iframe sandbox="allow-scripts" style="width:100%;height:{}px;border:1px solid #d8dee4" srcdoc="{}"></iframe>'
    ).format(420 + 34 * (sum(map(len, told.columns)) // 90), page(told))


def _texts(told: Told) -> list[tuple[str, str, list[Markup]]]:
    """What is shown as text: a heading, a class, and pieces."""
    own = {int(column): row for row, column in enumerate(told.row_column) if column >= 0}
    spaced = not told.parts and not any(column[:1].isspace() for column in told.columns)

    def piece(column: int) -> Markup:
        text = told.columns[column]
        shown = COLUMN.format(column, visible(text), ROW.format(own[column]) if column in own else "", text)
        return shown + " " if spaced or told.parts else shown

    columns = [piece(column) for column in range(len(told.columns))]
    rest = [ALONE.format(ROW.format(row), told.rows[row]) + " " for row in range(len(told.rows)) if told.row_column[row] < 0]
    if told.parts:
        return [("parts", "parts", columns), ("explained", "", rest)]
    return [
        ("read", "", columns[: told.read]),
        ("prompt" if not told.read else "begun", "", columns[told.read : told.context]),
        ("written", "", columns[told.context :]),
        ("explained", "", rest),
    ]


def _data(told: Told) -> dict:
    """What the script knows; numbers to three digits, and null for what is not finite."""
    result = told.result
    limits = told.limits
    levels = [to_hex(colour.DIVERGING(level)) for level in range(colour.DIVERGING.N)]
    return {
        "palette": [[level, colour.text_colour(level)] for level in levels],
        "unknown": [colour.NOT_FINITE, colour.text_colour(colour.NOT_FINITE)],
        "unit": unit_of(told),
        "listed": LISTED,
        "columns": [visible(column) for column in told.columns],
        "rows": [
            {
                "name": told.rows[row].strip() or visible(told.rows[row]),
                "limit": _short(limits[row]),
                "values": [_short(value) for value in told.values[row]],
                "lines": _lines(told, row),
                "status": captions.status_words(result, row),
            }
            for row in range(len(told.rows))
        ],
    }


def _lines(told: Told, row: int) -> list[str]:
    """What is known of an entry, in sentences."""
    result, known = told.result, []
    if np.isfinite(told.probabilities[row]):
        known.append(f"probability {captions.number(told.probabilities[row])}")
    known.append(f"{result.unit.replace('_', '-')} {captions.number(result.scores[row])}")
    below = captions.mean_baseline(result, row)
    if below is not None:
        known.append(f"{captions.number(below)} at the baseline")
    if are_summed(result.kind) and captions.gap_words(result, row):
        known.append(captions.gap_words(result, row))
    if result.error_estimate is not None and np.isfinite(result.error_estimate[row]):
        known.append(f"estimated error {captions.percent(result.error_estimate[row])}")
    return [", ".join(known)]


def _short(value: float) -> float | None:
    return float(f"{value:.3g}") if np.isfinite(value) else None


def _safe_json(data: dict) -> str:
    """JSON that ends no script element, whatever its text holds."""
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
