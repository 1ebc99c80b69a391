"""Attribution to parts of a prompt: sums of gradients, and games in which parts are left out, against all their coalitions."""

import functools
import itertools
import math

import numpy as np
import pytest
import tensorflow as tf

import tf_attrib as ta
from tf_attrib.generation.joining import text_of, word_groups
from tf_attrib.generation.parts import offsets

from ..conftest import assert_refused
from ..helpers.small_gpt import WORDS, ids_of, small_gpt
from ..helpers.small_gpt import lean as attributor

PROMPT, NEXT = ids_of(8), ids_of(3, seed=1)
PARTS = {"question": (1, 3), "one": (3, 5), "two": (5, 8)}
NAMES = ["<s>", *(f" w{i}" for i in range(1, WORDS))]


def score(ids, start=None):
    """(tokens,), the log-probabilities of NEXT behind `ids`."""
    whole = np.concatenate([ids, NEXT])
    logs = tf.nn.log_softmax(attributor().model(whole[None])[0]).numpy()
    return logs[np.arange(len(ids) - 1, len(whole) - 1), NEXT]


@functools.cache
def left_out(parts, absent):
    gone = np.zeros(len(PROMPT), bool)
    for name in parts:
        gone[slice(*PARTS[name])] = True
    return score(PROMPT[~gone] if absent is None else np.where(gone, absent, PROMPT).astype("int32"))


def without(parts, absent=None):
    """The scores where these parts are left out; a model is called once for each coalition, however often that is met."""
    return left_out(frozenset(parts), absent)


@pytest.mark.parametrize("absent", [None, 0])
def test_shapley_values_of_few_parts_are_those_of_all_coalitions(absent):
    found = ta.attribute_generation(attributor(), PROMPT, NEXT, segments=PARTS, method="shapley_sampling", absent=absent)
    expected = np.zeros((3, 3))
    for column, name in enumerate(PARTS):
        others = [one for one in PARTS if one != name]
        for size in range(3):
            for there in itertools.combinations(others, size):
                weight = math.factorial(size) * math.factorial(2 - size) / 6
                gone = [one for one in others if one not in there]
                expected[:, column] += weight * (without(gone, absent) - without([*gone, name], absent))
    np.testing.assert_allclose(found.attributions, expected, atol=2e-4)
    assert found.columns == tuple(PARTS)
    assert not found.standard_error.any()
    np.testing.assert_allclose(found.attributions.sum(1), score(PROMPT) - without(PARTS, absent), atol=1e-4)
    assert np.abs(found.gap).max() < 1e-6


def test_ablation_is_what_the_score_loses():
    found = ta.attribute_generation(attributor(), PROMPT, NEXT, segments=PARTS, method="ablation")
    expected = np.stack([score(PROMPT) - without([name]) for name in PARTS], 1)
    np.testing.assert_allclose(found.attributions, expected, atol=1e-4)
    assert found.attribution.kind == "effect"
    assert found.gap is None


def test_a_linear_surrogate_fits_all_coalitions_of_few_parts():
    """Ridge regression with the weights of LIME, written out."""
    method = ta.LIME(n_samples=50)
    found = ta.attribute_generation(attributor(), PROMPT, NEXT, segments=PARTS, method=method)
    rows = np.array(list(itertools.product([0, 1], repeat=3)))
    scores = np.stack([without([name for name, there in zip(PARTS, row, strict=True) if not there]) for row in rows])
    sizes = rows.sum(1)
    near = np.exp(-((1 - np.sqrt(sizes / 3)) ** 2) / 0.75**2)
    chance = np.array([1 / (3 * math.comb(3, size)) for size in sizes])
    weight = np.where(sizes == 3, 1.0, near * chance * 50)
    middle = weight @ rows / weight.sum()
    centred, moved = rows - middle, scores - weight @ scores / weight.sum()
    weighed = centred.T * weight
    expected = np.linalg.solve(weighed @ centred + 0.01 * np.eye(3), weighed @ moved)
    np.testing.assert_allclose(found.attributions, expected.T, atol=2e-4)


def test_many_parts_are_drawn_with_standard_errors_that_hold():
    exact = ta.attribute_generation(attributor(), PROMPT, NEXT[:2], method=ta.ShapleySampling(exact_up_to=7))
    drawn = ta.ShapleySampling(tolerance=0.2, exact_up_to=2)
    found = ta.attribute_generation(attributor(), PROMPT, NEXT[:2], method=drawn, seed=3)
    off, error = np.abs(found.attributions - exact.attributions), found.standard_error
    assert (error[:, 1:8] > 0).all()
    assert (off <= 4 * error + 1e-5).all()
    assert (found.error_estimate <= 0.2).all()
    assert set(found.status) == {"converged"}
    again = ta.attribute_generation(attributor(), PROMPT, NEXT[:2], method=drawn, seed=3)
    np.testing.assert_array_equal(found.attributions, again.attributions)
    few = ta.ShapleySampling(tolerance=0.001, exact_up_to=2, max_evaluations=60)
    assert set(ta.attribute_generation(attributor(), PROMPT, NEXT[:2], method=few).status) == {"max_evaluations"}


def test_one_pass_serves_all_tokens_of_the_continuation():
    """Each alone gives the same as in the company of the others, and the sum is that of all."""
    options = {"segments": PARTS, "method": "kernel_shap"}
    each = ta.attribute_generation(attributor(), PROMPT, NEXT, **options)
    alone = ta.attribute_generation(attributor(), PROMPT, NEXT, targets=[1], **options)
    np.testing.assert_allclose(alone.attributions[0], each.attributions[1], atol=1e-6)
    total = ta.attribute_generation(attributor(), PROMPT, NEXT, targets="sum", **options)
    np.testing.assert_allclose(total.attributions[0], each.attributions.sum(0), atol=1e-4)


def test_gradients_are_summed_over_parts():
    tokens = ta.attribute_generation(attributor(), PROMPT, NEXT)
    found = ta.attribute_generation(attributor(), PROMPT, NEXT, segments=PARTS)
    assert found.columns == (*PARTS, "(rest)", "(written so far)")
    for column, span in enumerate(PARTS.values()):
        np.testing.assert_allclose(found.attributions[:, column], tokens.attributions[:, slice(*span)].sum(1), atol=1e-9)
    np.testing.assert_allclose(found.attributions.sum(1), tokens.attributions.sum(1), atol=1e-9)
    np.testing.assert_allclose(found.gap, tokens.gap, atol=1e-9)


TEXT = "w1 w2 w3\n\nw4 w5\n\nw6 w7"


def by_words(text):
    return [0, *(NAMES.index(f" {word}") for word in text.split())]


@pytest.mark.parametrize(
    ("prompt", "segments", "names"),
    [
        (TEXT, "\n\n", ["1: w1 w2 w3", "2: w4 w5", "3: w6 w7"]),
        (TEXT, {"a": "w2 w3", "b": "w6 w7"}, ["a", "b"]),
        ("{a} w4 w5 {b}", {"a": "w1 w2 w3", "b": "w6 w7"}, ["a", "b"]),
    ],
)
def test_parts_of_a_text_are_found(prompt, segments, names):
    """By a separator, by their texts, by the fields of a template: the same tokens as by their numbers."""
    ids = by_words(TEXT)
    words = NAMES

    class Tokenizer:
        """As those of keras_hub."""

        end_token_id = None

        def __call__(self, text):
            return by_words(text)

        def id_to_token(self, number):
            return words[number].replace(" ", "▁")

        def detokenize(self, ids):
            return "".join(words[one] for one in ids)

    found = ta.attribute_generation(attributor(), prompt, NEXT.tolist(), segments=segments, tokenizer=Tokenizer())
    spans = {"1: w1 w2 w3": (1, 4), "2: w4 w5": (4, 6), "3: w6 w7": (6, 8), "b": (6, 8)}
    spans["a"] = (1, 4) if "{" in prompt else (2, 4)
    expected = ta.attribute_generation(attributor(), ids, NEXT, segments={name: spans[name] for name in names})
    assert found.columns[: len(names)] == tuple(names)
    np.testing.assert_allclose(found.attributions, expected.attributions, atol=1e-9)


@pytest.mark.parametrize(
    ("text", "pieces", "expected"),
    [  # marks that a TextVectorization layer strips
        ("w1 w2, w3: w4!", ["w1", "w2", "w3", "w4"], ["w1", "w2", "w3", "w4"]),
        # a word that the vocabulary lacks, behind a start token
        ("w1 zygote w2", ["[CLS]", "w1", "[UNK]", "w2"], ["", "w1", "zygote", "w2"]),
        # bytes of letters, none of which is whole
        ("w1 ☃ w2\n日", ["w1", " \ufffd", "\ufffd", " w2", "\n", "\ufffd"], ["w1", "☃", "☃", "w2", "\n", "日"]),
        # a start token that holds a letter of the text, which is no part of it
        ("x ☃ w2", ["<text>", "x", " \ufffd", " w2"], ["", "x", "☃", "w2"]),
    ],
)
def test_pieces_are_found_behind_letters_that_no_piece_has(text, pieces, expected):
    assert [text[start:stop] for start, stop in offsets(text, pieces)] == expected


def test_parts_hold_what_stands_behind_marks_that_are_stripped():
    words = tf.keras.layers.TextVectorization(vocabulary=[f"w{i}" for i in range(1, WORDS - 1)])
    segments = {"question": "w2, w3", "passage": "w4. w5"}
    found = ta.attribute_generation(attributor(), "w1: w2, w3! w4. w5", [4], segments=segments, tokenizer=words)
    tokens = ta.attribute_generation(attributor(), "w1: w2, w3! w4. w5", [4], tokenizer=words).attributions[0]
    assert found.columns[:2] == tuple(segments)
    np.testing.assert_allclose(found.attributions[0, :2], [tokens[1:3].sum(), tokens[3:5].sum()], atol=1e-9)


def test_a_function_tells_ids_and_no_text():
    """Its tokens are shown by their numbers, which are no letters of the prompt."""

    def call(prompt, segments):
        return ta.attribute_generation(attributor(), prompt, [4], segments=segments, tokenizer=numbers)

    def numbers(text):
        return [int(one) + 1 for one in text.split()]

    assert_refused(lambda: call("1 2 3 4", {"a": "2 3"}), "(start, stop)")
    assert_refused(lambda: call("1 2 3 4", " "), "(start, stop)")
    assert_refused(lambda: call("1 {a} 4", {"a": "2 3"}), "template", "(start, stop)")
    assert call("1 2 3 4", {"a": (1, 3)}).columns == ("a", "(rest)")


def test_pieces_are_joined_to_words_and_sentences():
    pieces = ["<s>", " un", "believ", "able", ".", " the", " cat", " sat", ".", *["x"] * (WORDS - 9)]
    found = ta.attribute_generation(attributor(), list(range(6)), [6, 7, 8], tokenizer=pieces)
    words = found.words()
    assert words.columns == ("<s>", " unbelievable", ".", " the", " cat", " sat", ".")
    np.testing.assert_allclose(words.attributions[:, 1], found.attributions[:, 1:4].sum(1))
    assert words.context == 4
    assert words.row_column.tolist() == [4, 5, 6]
    sentences = found.sentences()
    assert sentences.columns == ("<s> unbelievable.", " the", " cat sat.")
    assert sentences.rows == (" cat sat.",)
    np.testing.assert_allclose(sentences.scores, [found.scores.sum()])
    np.testing.assert_allclose(sentences.attributions.sum(), found.attributions.sum())
    np.testing.assert_allclose(sentences.probabilities, [np.prod(found.probabilities)])
    # absolute errors add up, and are told relative to what is shown
    wrong = (found.error_estimate * np.abs(found.attributions).sum(1)).sum()
    assert wrong > 0
    np.testing.assert_allclose(sentences.error_estimate, [wrong / np.abs(sentences.attributions).sum()], rtol=1e-6)
    chance = ta.attribute_generation(attributor(), list(range(6)), [6, 7, 8], tokenizer=pieces, of="probability")
    assert len(chance.sentences()) == 3  # probabilities do not add up
    assert_refused(chance.total, "probability", "log_probability")


def test_word_pieces_are_joined():
    pieces = ["[CLS]", "un", "##believ", "##able", "cat", *["x"] * (WORDS - 5)]
    found = ta.attribute_generation(attributor(), [0, 1, 2, 3], [4], tokenizer=pieces).words()
    assert found.columns == ("[CLS]", "unbelievable", "cat")


def test_headings_of_markdown_are_no_word_pieces():
    """One "##" in a prompt took every piece of a word, " un", "believ", "able", for a word of its own."""
    pieces = ["##", " Qu", "est", "ion", "\n", "un", "believ", "able", " cat", "s"]
    assert texts(pieces) == ["##", " Question", "\n", "unbelievable", " cats"]
    assert texts(["un", "##believ", "##able", "cat"]) == ["unbelievable", "cat"]


def texts(pieces):
    """The text of each word."""
    words = word_groups(pieces)
    return [text_of([pieces[i] for i in np.flatnonzero(words == word)], pieces) for word in np.unique(words)]


def test_what_does_not_fit_is_refused():
    def call(**options):
        return lambda: ta.attribute_generation(attributor(), PROMPT, NEXT, **options)

    assert_refused(call(segments={"a": (0, 9)}), "'a'", "8 tokens", "(0, 9)")
    assert_refused(call(segments={"a": (0, 4), "b": (3, 5)}), "'a' and 'b' overlap")
    assert_refused(call(segments={"a": "text"}), "is text", "(start, stop)")
    assert_refused(call(segments="\n"), "separator", "(start, stop)")
    assert_refused(call(segments=3), "got int")
    assert_refused(call(segments={"a": (2, 2)}), "'a'")
    assert_refused(call(segments={"a": (0, 8)}, method="ablation"), "every token", "absent=")
    assert_refused(call(segments=PARTS, method="ablation", absent=WORDS), f"0 to {WORDS - 1}", f"got {WORDS}")
    assert_refused(call(absent=0), "shapley_sampling", "baselines=")
    assert_refused(call(segments=PARTS, method="ablation", baselines=ta.zeros()), "absent=")
    assert_refused(call(segments=PARTS, method=ta.Ablation(groups=np.arange(8))), "segments=")
    assert_refused(call(segments=PARTS, method="ablation", contrast=[3]), "integrated_gradients")
    assert_refused(call(method="ablation").__call__().total, "add up")
    assert_refused(call(segments=PARTS, method=ta.LIME(n_samples=3)), "n_samples")
    for method in ("ablation", "shapley_sampling"):
        words = "one token", "absent=", "integrated_gradients"
        assert_refused(lambda method=method: ta.attribute_generation(attributor(), [1], NEXT, method=method), *words)


def test_scores_that_are_not_finite_are_refused_or_marked():
    """A token that the model never gives: its log-probability is minus infinity."""
    model = small_gpt(blocks=0)
    never = np.where(np.arange(WORDS) == 3, -np.inf, 0).astype("float32")
    broken = ta.Attributor(lambda ids: model(ids) + never)
    options = {"segments": PARTS, "method": "shapley_sampling"}
    assert_refused(lambda: ta.attribute_generation(broken, PROMPT, [5, 3], **options), "1 tokens", "mark")
    found = ta.attribute_generation(broken, PROMPT, [5, 3], on_error="mark", **options)
    assert found.status.tolist() == ["converged", "not_finite"]
    assert np.isnan(found.attributions[1]).all()
    assert np.isfinite(found.attributions[0]).all()
