"""Numbers as people read them: so many digits, but never a 1 or a 0.00% that is none."""

import numpy as np

# A double has no more.
MOST_DIGITS = 17


def short(value: float | np.floating, digits: int = 4) -> str:
    """A number to so many significant digits, and to more where it would read as a 1 that it is not: a probability of 0.99999
    is no certainty."""
    value = value.item() if isinstance(value, np.floating) else float(value)
    text = f"{value:.{digits}g}"
    while abs(value) < 1 and text in ("1", "-1") and digits < MOST_DIGITS:
        digits += 1
        text = f"{value:.{digits}g}"
    return text


def hundredths(share: float | np.floating) -> str:
    """A small share in words: "0.12%", "below 0.01%"."""
    return "below 0.01%" if abs(share) < 1e-4 else f"{share:.2%}"


def count(quantity: int, noun: str) -> str:
    """ "1 pixel", "3 pixels", "1,200 words": `noun` is in the singular."""
    return f"{quantity:,} {noun}" + ("" if quantity == 1 else "s")
