"""Every entry of the table of rules, and every rule of it: complete to rounding, and as NumPy has it a second time."""

import collections
import functools

import numpy as np
import pytest
import tensorflow as tf

import tf_attrib as ta
from tf_attrib.graph.graphdef import nodes
from tf_attrib.methods.deeplift.multipliers import ruled
from tf_attrib.methods.deeplift.rules import table

from ....helpers import rule_cases_curved, rule_cases_linear
from ....helpers.rule_cases import SIZE, flattened, score, scores

RNG = np.random.default_rng(23)
X, REFERENCE = RNG.uniform(-1, 1, size=(2, SIZE))
CASES = collections.defaultdict(list)
for part in (rule_cases_linear.CASES, *rule_cases_curved.CASES):
    for operation, forms in part.items():
        CASES[operation] += forms
# So many entries share a trace.
TOGETHER = 40
ENTRIES = sorted(table.RULES)


@functools.cache
def lifted(group):
    """Contributions, gaps and differences of the cases of some entries, and their marked operations, by (entry, number)."""
    cases = {
        (name, number): case
        for name in ENTRIES[group * TOGETHER : (group + 1) * TOGETHER]
        for number, case in enumerate(CASES.get(name, ()))
    }

    def net(x):
        found = []
        for (name, number), case in cases.items():
            with tf.name_scope(f"of_{name}_{number}"):
                found.append(flattened(case, x))
        return scores(found)

    attributor = ta.Attributor(net, batch_size=64)  # whose rows need not be measured
    x = np.tile(X, (len(cases), 1))
    result = attributor.attribute(x, np.arange(len(cases)), REFERENCE, "deeplift")
    session, _, _ = attributor.prepare({None: x})
    marked = ruled(session.function, "rescale").marked
    return {
        key: (
            result.attributions[i],
            result.gap[i],
            result.difference[i],
            [one for one in marked if f"of_{key[0]}_{key[1]}/" in one.name and one.operation == key[0]],
        )
        for i, key in enumerate(cases)
    }


def test_every_entry_and_every_rule_of_it_has_a_case():
    """A new entry needs a case in `rule_cases_linear` or `rule_cases_curved`."""
    for name, rules in table.RULES.items():
        assert {case.rule for case in CASES.get(name, ())} == set(range(len(rules))), f"{name} has no case for each of {rules}"
    assert not set(CASES) - set(table.RULES)
    assert all(nodes.definition(name) is not None for name in table.RULES)


@pytest.mark.parametrize("name", ENTRIES)
def test_an_entry_is_complete_and_as_in_numpy(name):
    for number, case in enumerate(CASES[name]):
        found, gap, difference, marked = lifted(ENTRIES.index(name) // TOGETHER)[name, number]
        wanted = case.shared(functools.partial(score, case), X, REFERENCE)
        size = np.abs(wanted).sum()
        np.testing.assert_allclose(found, wanted, rtol=1e-7, atol=max(1e-9, 3 * case.part) * size, err_msg=f"case {number}")
        assert abs(gap) <= case.part * size, number
        assert abs(difference - score(case, X) + score(case, REFERENCE)) <= max(1e-9, case.part) * size, number
        assert size > 0.01
        assert table.RULES[name][case.rule].words in {one.rule for one in marked}, (number, marked)
