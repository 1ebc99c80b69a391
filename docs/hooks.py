"""What mkdocs cannot be told in `mkdocs.yml`: formulas become MathML when the site is built, so that pages need no script."""

import html

from latex2mathml.converter import convert


def math(source: str, *_, **__) -> str:
    """A fence called `math`, in LaTeX, as MathML."""
    return f'<div class="formula" title="{html.escape(source, quote=True)}">{convert(source, display="block")}</div>'


def on_config(config):
    fences = config.mdx_configs.setdefault("pymdownx.superfences", {}).setdefault("custom_fences", [])
    fences.append({"name": "math", "class": "formula", "format": math})
    return config
