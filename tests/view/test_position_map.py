"""Maps of one attribution for each output position."""

import numpy as np
import pytest

from tf_attrib.attribution import Attribution
from tf_attrib.common.errors import AttributionError
from tf_attrib.view.position_map import MOST_WORDS, map_of, show_positions


def result(inputs=4, outputs=3, examples=2, **more):
    rng = np.random.default_rng(0)
    count = examples * outputs
    given = {
        "inputs": rng.integers(1, 9, (count, inputs)),
        "target": np.stack([np.tile(np.arange(outputs), examples), np.full(count, 1)], -1),
        "position": np.tile(np.arange(outputs), examples),
        "example": np.repeat(np.arange(examples), outputs),
        "kind": "contribution",
        "unit": "probability",
    }
    return Attribution(rng.normal(size=(count, inputs)), rng.random(count), **{**given, **more})


def test_words_for_each_example_or_each_entry():
    words = [["a", "b", "c", "d"], ["e", "f", "g", "h"]]
    made = result()
    assert map_of(made, 1, words).columns == tuple("efgh")
    assert map_of(made, 1, [words[0]] * 3 + [words[1]] * 3).columns == tuple("efgh")
    assert map_of(made[3:], 1, words[1]).columns == tuple("efgh")


def test_class_names_stand_at_the_rows():
    assert map_of(result(), 0, names=["noun", "verb"]).rows[2].startswith("2: verb (")
    assert map_of(result(), 0).rows[2].startswith("2: class 1 (")
    with pytest.raises(AttributionError, match="names for 1 classes, and class 1"):
        map_of(result(), 0, names=["noun"])


def test_what_is_no_map():
    with pytest.raises(AttributionError, match="example 7 is not in the result, which has 0, 1"):
        show_positions(result(), 7)
    with pytest.raises(AttributionError, match="sum over the steps first"):
        map_of(result(steps=True, alphas=np.tile(np.linspace(0, 1, 4), (6, 1))), 0)
    with pytest.raises(AttributionError, match="positions"):
        map_of(images(), 0)


def images():
    made = result()
    return Attribution(
        np.zeros((6, 4, 4, 1)),
        made.scores,
        target=made.target,
        position=made.position,
        example=made.example,
        kind="contribution",
    )


def test_of_many_positions_every_other_bears_its_label():
    words = [[f"w{i}" for i in range(MOST_WORDS + 2)]] * 6
    figure = show_positions(result(inputs=MOST_WORDS + 2, outputs=MOST_WORDS + 1, examples=6), tokens=words)
    axes = figure.subfigs[0].axes[0]
    figure.canvas.draw()
    assert [label.get_text() for label in axes.get_xticklabels()] == words[0][::2]
    np.testing.assert_array_equal(axes.get_xticks(), np.arange(0, MOST_WORDS + 2, 2))
    assert [label.get_text().split(":")[0] for label in axes.get_yticklabels()] == [str(i) for i in range(0, 41, 2)]
    assert "2 examples more of 6 not drawn" in figure.caption


def test_gaps_and_errors_of_the_rows_are_in_the_caption():
    status = np.array(["converged", "max_evaluations", *["converged"] * 4])
    told = show_positions(
        result(gap=np.array([0, 0.25, 0, 0, 0, 0]), status=status, error_estimate=np.full(6, 0.125)), 0
    ).caption
    assert "0.25" in told
    assert "12" in told
    assert "max_evaluations" in told


def test_a_long_word_has_room():
    made, words = result(examples=1), ["a\nb", "x" * 9000, "c", "d"]
    figure = show_positions(made, tokens=[words])
    assert figure.get_size_inches()[1] < 6
    (axes,) = [axes for part in figure.subfigs for axes in part.axes if axes.images]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a·b", "x" * 25 + "...", "c", "d"]
