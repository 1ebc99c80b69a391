"""Words: escaped, coloured, counted, padding and sums said."""

import re

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from tf_attrib.attribution import Attribution
from tf_attrib.common.errors import AttributionError
from tf_attrib.view import colour, notebook, show, to_html, word_spans

SCRIPT = "<script>alert(1)</script>"
RNG_VALUES = np.random.default_rng(1).normal(size=(1, 200))


def text_result(values, **fields):
    values = np.asarray(values, float)
    size = len(values)
    totals = values.reshape(size, -1).sum(1)
    known = {"scores": 0.5 + totals, "baseline_scores": np.full(size, 0.5), "gap": np.zeros(size), "unit": "probability"}
    return Attribution(values, **(known | fields))


def spans(html):
    """(background, tooltip, text) of each word."""
    return re.findall(r'background:(#[0-9a-f]{6});color:#[0-9a-f]{6};[^"]*" title="([^"]*)">(.*?)</span>', html)


def test_green_for_positive_red_for_negative_gray_for_zero():
    found = spans(word_spans(["good", "bad", "the", "fine"], [0.4, -0.2, 0.0, 0.1]))
    (good, bad, the, fine) = (to_rgb(background) for background, _, _ in found)
    assert found[0][0] == colour.GREEN
    assert found[2][0] == colour.GRAY
    assert good[1] > good[0]
    assert bad[0] > bad[1]
    assert fine[1] > fine[0]
    assert max(the) == min(the)
    assert [tip for _, tip, _ in found] == ["0: +0.4", "1: -0.2", "2: +0", "3: +0.1"]


def test_every_token_is_escaped():
    tokens = [SCRIPT, '" onmouseover="alert(1)', "a&b", "'"]
    html = str(word_spans(tokens, [1, 2, 3, 4]))
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert 'onmouseover="' not in html
    assert "a&amp;b" in html


def test_titles_and_names_are_escaped_too():
    one = text_result([[0.1, 0.2]], inputs=np.array([[3, 4]]), status=np.array([SCRIPT]), unit=SCRIPT)
    assert "<script" not in to_html(one, [["a", "b"]])


def test_scale_is_one_for_the_words_of_an_example_and_stated():
    values = np.array([[0.1, -0.4], [0.001, 0.0005]])
    html = to_html(text_result(values), [["a", "b"], ["c", "d"]])
    assert "full colour at ±0.4 probability" in html
    assert "full colour at ±0.001 probability" in html
    assert html.count("one scale for all words of this example") == 2
    ten = to_html(text_result(10 * values), [["a", "b"], ["c", "d"]])
    assert [word[0] for word in spans(ten)] == [word[0] for word in spans(html)]
    assert "full colour at ±4 probability" in ten


def test_embedding_dimensions_are_summed_with_their_signs_and_it_is_said():
    values = np.array([[[1.0, -3.0], [0.5, 0.5]]])
    html = to_html(text_result(values), [["bad", "good"]])
    assert [tip for _, tip, _ in spans(html)] == ["0: -2", "1: +1"]
    assert "The 2 embedding dimensions are summed, with their signs." in html


def test_padding_without_attribution_is_left_out_and_counted():
    ids = np.array([[5, 0, 7, 0, 0], [5, 6, 0, 0, 0]])
    values = np.array([[1.0, 0, 2, 0, 0], [1, 1, 0, 0.1, 0]])
    html = to_html(text_result(values, inputs=ids))
    assert [text for _, _, text in spans(html)] == ["5", "0", "7", "5", "6", "0", "0"]
    assert "2 padding tokens at the end, with attribution 0, not shown." in html
    assert "1 padding token at the end, with attribution 0, not shown." in html


def test_an_unimportant_last_word_is_no_padding():
    html = to_html(text_result([[1.0, 0.0]], inputs=np.array([[5, 6]])))
    assert [text for _, _, text in spans(html)] == ["5", "6"]
    assert "padding token" not in html


def test_words_come_from_the_result_then_the_ids():
    ids = np.array([[5, 6]])
    assert [word[2] for word in spans(to_html(text_result([[1, 2]], inputs=ids)))] == ["5", "6"]
    known = text_result([[1, 2]], inputs=ids, tokens=np.array([["five", "six"]]))
    assert [word[2] for word in spans(to_html(known))] == ["five", "six"]
    assert [word[2] for word in spans(to_html(known, [["fünf", b"sechs"]]))] == ["fünf", "sechs"]


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ([["a", "b", "c"], ["d", "e"]], "3 tokens for 2 attributions in example 0"),
        ([["a", "b"]], "tokens for 1 examples; the result has 2"),
        ("a b", "not one text"),
        (["a b", "c d"], "got the text 'a b'"),
    ],
)
def test_tokens_that_do_not_match_are_refused(tokens, message):
    with pytest.raises(AttributionError, match=message):
        to_html(text_result(np.ones((2, 2))), tokens)


def test_images_are_no_words():
    with pytest.raises(AttributionError, match=r"\(1, 8, 8, 1\)"):
        to_html(text_result(np.ones((1, 8, 8, 1))))


def test_several_texts_are_told_apart():
    both = Attribution(
        {"question": np.array([[1.0, 0.5]]), "answer": np.array([[0.25, -1.0]])},
        np.array([0.7]),
        inputs={"question": np.array([[3, 4]]), "answer": np.array([[5, 6]])},
        unit="logit",
    )
    html = to_html(both, {"answer": [["yes", "no"]]})
    assert [word[2] for word in spans(html)] == ["3", "4", "yes", "no"]
    assert "example 0, question" in html
    assert "example 0, answer" in html


def test_a_caption_tells_of_an_example_that_did_not_converge():
    html = to_html(text_result([[1, 2]], status=np.array(["max_evaluations"]), error_estimate=np.array([0.08])), [["a", "b"]])
    assert "Not converged: estimated error 8%; raise max_evaluations." in html
    assert "Score 3.5, baseline score 0.5, sum of attributions 3, gap 0% of the difference; unit: probability." in html


def test_words_are_drawn_as_a_picture_with_the_same_colours():
    tokens = np.array([["good", r"$\frac$", SCRIPT, "dull"]])
    one = text_result([[0.4, 0.0, 0.1, -0.4]], inputs=np.array([[1, 2, 3, 4]]), tokens=tokens)
    axes = show(one).subfigs[0].axes[0]
    assert [text.get_text() for text in axes.texts] == list(tokens[0])
    np.testing.assert_allclose(axes.patches[0].get_facecolor()[:3], to_rgb(colour.GREEN))
    np.testing.assert_allclose(axes.patches[3].get_facecolor()[:3], to_rgb(colour.RED))
    show(one)._repr_png_()  # "$" is not taken for a formula


def test_long_texts_break_into_lines_inside_the_picture():
    tokens = np.array([[f"word{place}" for place in range(60)]])
    figure = show(text_result(RNG_VALUES[:, :60], inputs=np.ones((1, 60), int), tokens=tokens))
    axes = figure.subfigs[0].axes[0]
    assert axes.get_ylim()[0] > 3
    assert max(patch.get_x() + patch.get_width() for patch in axes.patches) <= axes.get_xlim()[1]


def test_ids_without_words_are_bars_and_few_enough_to_read():
    one = text_result(RNG_VALUES, inputs=np.arange(1, 201)[None])
    figure = show(one)
    axes = figure.subfigs[0].axes[0]
    assert len(axes.patches) == 60
    magnitudes = np.abs(RNG_VALUES[0])
    rest = np.sort(magnitudes)[:-60].sum() / magnitudes.sum()
    assert f"The 60 strongest of 200 words, in order; the others carry {100 * rest:.0f}% of" in " ".join(figure.caption.split())
    for bar in axes.patches:
        expected = colour.GREEN if bar.get_width() > 0 else colour.RED
        np.testing.assert_allclose(bar.get_facecolor()[:3], to_rgb(expected))


@pytest.mark.parametrize(
    "inputs",
    [np.array(["a text"]), {"ids": np.array([[3] * 20]), "mask": np.array([[1] * 20]), "segments": np.array([[0] * 20])}],
    ids=["one string", "several inputs of ids"],
)
def test_embeddings_whose_ids_are_not_certain_are_words_by_position(inputs):
    html = to_html(text_result(np.ones((1, 20, 16)), inputs=inputs))
    assert [text for _, _, text in spans(html)] == [str(place) for place in range(20)]


def test_notebook_shows_words_or_a_picture_and_never_raises():
    words = notebook(text_result(np.ones((3, 2)), inputs=np.array([[5, 6]] * 3)))
    assert words.startswith("<pre")
    assert "<script" not in notebook(text_result([[1]], inputs=np.array([[5]]), tokens=np.array([[SCRIPT]])))
    assert "1 example more" in words
    assert "data:image/png;base64," in notebook(text_result(np.ones((1, 8, 8, 1))))
    assert notebook(text_result(np.ones((1, 2, 3, 4, 5)))).startswith("<pre")
