"""Checks that others wrote: what one is, and that what it returns are findings."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, cast

from ...common.errors import AttributionError
from ...common.nested import flatten
from ...common.own_code import code_of
from ..case import Examination
from ..catalogue import FINDINGS
from ..report import Finding

Check: TypeAlias = Callable[[Examination], list[Finding]]


def as_check(name: str, given: Any) -> Check:
    """`given`, where it is a function; `found_by` looks at what it returns.

    Raises:
        AttributionError: it is none.
    """
    if not callable(given):
        raise AttributionError(f"a check is a function of a ta.extend.Examination that returns findings; got {given!r}")
    return cast(Check, given)


def given_checks(checks: Any) -> list[Check]:
    """`checks` of `diagnose`, where each is a function."""
    if callable(checks) or not isinstance(checks, Sequence) or isinstance(checks, str):
        raise AttributionError(f"checks must be a list of functions of a ta.extend.Examination, got {checks!r}")
    return [as_check("", one) for one in checks]


def found_by(check: Check, case: Examination) -> list[Finding]:
    """What a check of others finds.

    Raises:
        AttributionError: it returns something else, or a finding by a name of the library's.
    """
    name = getattr(check, "__name__", repr(check))
    with code_of(
        f"the check {name}", [*case.x.values(), *case.work.ready.values(), *flatten(case.result.attributions).values()]
    ):
        found = check(case)
    if not isinstance(found, list | tuple) or not all(isinstance(one, Finding) for one in found):
        raise AttributionError(
            f"the check {name} must return a list of findings, [] where there is nothing to say; got {found!r}"
        )
    for one in found:
        if one.name in FINDINGS and one.name not in FINDINGS.added:
            raise AttributionError(f"the check {name} gives a finding {one.name!r}, which is one of the library's: rename it")
        wrong = [i for i in one.examples if not 0 <= i < case.count]
        if wrong:
            raise AttributionError(f"the finding {one.name!r} is of example {wrong[0]}, and there are {case.count}")
    return list(found)
