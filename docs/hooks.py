"""What mkdocs cannot be told in `mkdocs.yml`: formulas become MathML when the site is built, so that pages need no script."""

import html
import re

from latex2mathml.converter import convert

# x', as a superscript: in fonts that are not made for formulas the prime is raised and small by itself, and would be so twice
PRIMED = re.compile(r"<msup>(<mi>\w</mi>)<mi>&#x02032;</mi></msup>")
PRIMED_WITH_INDEX = re.compile(r"<msubsup>(<mi>\w</mi>)(<mi>\w</mi>)<mi>&#x02032;</mi></msubsup>")


def math(source: str, *_, **__) -> str:
    """A fence called `math`, in LaTeX, as MathML."""
    formula = PRIMED.sub(r"<mrow>\1<mo>&#x02032;</mo></mrow>", convert(source, display="block"))
    formula = PRIMED_WITH_INDEX.sub(r"<msub><mrow>\1<mo>&#x02032;</mo></mrow>\2</msub>", formula)
    return f'<div class="formula" title="{html.escape(source, quote=True)}">{formula}</div>'


def on_config(config):
    fences = config.mdx_configs.setdefault("pymdownx.superfences", {}).setdefault("custom_fences", [])
    fences.append({"name": "math", "class": "formula", "format": math})
    return config
