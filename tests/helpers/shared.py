"""Attributors that tests share: what was traced and compiled for one test serves the next."""

import functools

import tf_attrib as ta


@functools.lru_cache(maxsize=100)
def attributor_for(model, **options):
    """One attributor for all who explain this model (the object, not one like it) with these options of `ta.Attributor`."""
    return ta.Attributor(model, **options)
