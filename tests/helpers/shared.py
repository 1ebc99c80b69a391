"""Attributors that tests share: what was traced and compiled for one test serves the next."""

import copy
import functools

import tf_attrib as ta


@functools.lru_cache(maxsize=100)
def _made(model, **options):
    return ta.Attributor(model, **options)


def attributor_for(model, at=None, of=None, **options):
    """One attributor for all who explain this model (the object, not one like it) with these options of `ta.Attributor`; those
    at other places and of other scores share its trace."""
    try:
        whole = _made(model, **options)
    except ta.AttributionError:  # such as of several outputs, of which one must be named
        return _made(model, at=at, of=of, **options)
    return whole.observing(at).explaining(of)


def anew(model, at=None):
    """One that shares the trace of this model with all others, and nothing that was compiled."""
    found = copy.copy(_made(model))
    found._sessions, found._others = {}, {}
    return found.observing(at)
