"""Attribution of each token of a continuation to those before it, held against integrals that are written out here."""

import functools

import numpy as np
import pytest
import tensorflow as tf

import tf_attrib as ta
from tf_attrib.engine.fetching import Fetching
from tf_attrib.engine.program import Program

from ..conftest import assert_refused
from ..helpers.small_gpt import LENGTH, WORDS, attributor_of, from_embeddings, ids_of, small_gpt
from ..helpers.small_gpt import lean as attributor

NAMES = ["<s>", *(f"word{i}" for i in range(1, WORDS))]
PROMPT, NEXT = ids_of(6), ids_of(4, seed=1)
EXACT = ta.IntegratedGradients(rule="gauss_legendre", n_steps=64)


def log_probabilities(model, ids):
    return tf.nn.log_softmax(model(ids[None])[0]).numpy()


def integral(model, ids, score, moves=True, steps=1000):
    """Integrated gradients (length,) of `score`, of logits (rows, length, words), by the midpoint rule and a GradientTape; over
    the tokens that move from zero alone, where these are given (length,)."""
    embedded = model.get_layer("tokens")(ids).numpy()
    moves = np.broadcast_to(moves, len(ids))[:, None]
    alphas = ((np.arange(steps) + 0.5) / steps)[:, None, None]
    points = tf.constant(np.where(moves, alphas * embedded, embedded).astype("float32"))
    with tf.GradientTape() as tape:
        tape.watch(points)
        values = score(from_embeddings(model, points))
    return (moves * embedded * tape.gradient(values, points).numpy().mean(0)).sum(-1)


def test_the_layers_are_the_model():
    for model in (small_gpt(), small_gpt(dense=False)):
        embedded = model.get_layer("tokens")(PROMPT[None])
        np.testing.assert_allclose(from_embeddings(model, embedded), model(PROMPT[None]), atol=1e-5)


# by one unit tokens are weighed with attention, by the others they are scored alone: the unit is of the head
@pytest.mark.parametrize(("of", "net"), [("log_probability", {}), ("logits", {"blocks": 0}), ("probability", {"blocks": 0})])
def test_each_token_has_the_integral_that_is_written_out(of, net):
    one = attributor_of(**net) if of == "log_probability" else attributor(**net)
    model = one.model
    whole = np.concatenate([PROMPT, NEXT])
    found = ta.attribute_generation(one, PROMPT, NEXT, of=of, method=EXACT)
    assert found.attributions.shape == (4, 10)
    quantity = {"log_probability": tf.nn.log_softmax, "logits": tf.identity, "probability": tf.nn.softmax}[of]
    for row in (0, 3):
        place = len(PROMPT) + row
        expected = integral(model, whole[:-1], lambda logits, at=place: quantity(logits)[:, at - 1, whole[at]])
        np.testing.assert_allclose(found.attributions[row, :-1], expected, atol=2e-3 * np.abs(expected).max())
        np.testing.assert_allclose(found.scores[row], quantity(model(whole[None])[0])[place - 1, whole[place]], rtol=1e-4)
    assert found.unit == {"logits": "logit"}.get(of, of)
    assert np.abs(found.gap).max() < 1e-3


def test_probabilities_are_those_of_the_tokens_that_stand_there():
    whole = np.concatenate([PROMPT, NEXT])
    one = attributor(blocks=0)
    logs = log_probabilities(one.model, whole)
    expected = np.exp(logs[np.arange(5, 9), NEXT])
    for of in ("log_probability", "logits"):
        found = ta.attribute_generation(one, PROMPT, NEXT, of=of, method="gradient_times_input")
        np.testing.assert_allclose(found.probabilities, expected, rtol=1e-4)


@pytest.mark.parametrize(
    "method",
    [
        "gradient_times_input",
        "integrated_gradients",
        "deeplift",
        ta.SmoothGrad("gradient_times_input", n_samples=3),
        "ablation",
    ],
    ids=str,
)
def test_tokens_that_come_later_get_exactly_zero(method):
    options = {"absent": 0} if method == "ablation" else {}
    found = ta.attribute_generation(attributor(), PROMPT, NEXT, method=method, seed=0, **options)
    later = np.arange(10) >= len(PROMPT) + np.arange(4)[:, None]
    assert np.all(found.attributions[later] == 0)
    assert np.abs(found.attributions[:, : len(PROMPT)]).max() > 0.01


def test_the_sum_over_the_continuation_is_one_score():
    each = ta.attribute_generation(attributor(), PROMPT, NEXT, method=EXACT)
    whole = ta.attribute_generation(attributor(), PROMPT, NEXT, method=EXACT, targets="sum")
    assert whole.attributions.shape == (1, 10)
    np.testing.assert_allclose(whole.attributions[0], each.attributions.sum(0), atol=1e-4)
    np.testing.assert_allclose(whole.scores, each.scores.sum(keepdims=True), rtol=1e-5)
    total = each.total()
    np.testing.assert_allclose(total.attributions, whole.attributions, atol=1e-4)
    np.testing.assert_allclose(total.gap, each.gap.sum(keepdims=True), atol=1e-6)
    np.testing.assert_allclose(whole.probabilities, np.prod(each.probabilities), rtol=1e-4)


def test_some_tokens_are_explained_as_in_the_company_of_all():
    each = ta.attribute_generation(attributor(), PROMPT, NEXT, method=EXACT)
    some = ta.attribute_generation(attributor(), PROMPT, NEXT, method=EXACT, targets=[-1, 1])
    np.testing.assert_allclose(some.attributions, each.attributions[[1, 3]], atol=1e-6)
    assert some.rows == (each.rows[1], each.rows[3])
    assert some.row_column.tolist() == [7, 9]


def test_one_token_rather_than_another_is_the_difference_of_both():
    this, that = (ta.attribute_generation(attributor(), PROMPT, [token], method=EXACT) for token in (3, 4))
    found = ta.attribute_generation(attributor(), PROMPT, [3], contrast=[4], method=EXACT)
    np.testing.assert_allclose(found.attributions, this.attributions - that.attributions, atol=1e-4)
    np.testing.assert_allclose(found.scores, this.scores - that.scores, atol=1e-5)
    # of logits the same: what both are normalised by cancels
    logits = ta.attribute_generation(attributor(), PROMPT, [3], contrast=[4], method=EXACT, of="logits")
    np.testing.assert_allclose(logits.attributions, found.attributions, atol=1e-4)
    assert found.rows == logits.rows == ("3 rather than 4",)


def test_one_continuation_rather_than_another_is_explained_by_what_both_follow():
    """Against the integral over the context alone, the words of each continuation staying as they are."""
    model, context = attributor().model, np.concatenate([PROMPT, [3]])
    found = ta.attribute_generation(attributor(), PROMPT, [3, 5, 7], contrast=[3, 4], method=EXACT)

    def kept(continuation):
        ids, start = np.concatenate([context, continuation]), len(context)

        def score(logits):
            logs = tf.nn.log_softmax(logits)
            return sum(logs[:, start + i - 1, token] for i, token in enumerate(continuation))

        return integral(model, ids[:-1], score, np.arange(len(ids) - 1) < start)[:start]

    expected = kept([5, 7]) - kept([4])
    np.testing.assert_allclose(found.attributions[0, : len(context)], expected, atol=2e-3 * np.abs(expected).max())
    assert not found.attributions[0, len(context) :].any()
    assert abs(found.gap[0]) < 1e-3
    logs = [log_probabilities(model, np.concatenate([context, one])) for one in ([5, 7], [4])]
    expected = logs[0][6, 5] + logs[0][7, 7] - logs[1][6, 4]
    np.testing.assert_allclose(found.scores, [expected], rtol=1e-4)


class Numbers:
    """A tokenizer of numbers in words, whose texts start with 1."""

    start_token_id = 1

    def __call__(self, text):
        return [int(word) for word in text.split()]


@functools.cache
def translator():
    """The mean of the vectors that are read, beside the mean of those that were written so far."""
    tf.keras.utils.set_random_seed(0)
    vectors = tf.keras.initializers.RandomNormal(stddev=1.0, seed=1)
    names = [f"{side}_{what}" for side in ("encoder", "decoder") for what in ("token_ids", "padding_mask")]
    read, there, written, so_far = inputs = [tf.keras.Input((None,), dtype="int32", name=name) for name in names]
    mask = tf.keras.ops.cast(there, "float32")[..., None]
    source = tf.keras.layers.Embedding(WORDS, 6, name="read", embeddings_initializer=vectors)(read)
    source = tf.keras.ops.sum(source * mask, 1, keepdims=True) / tf.keras.ops.sum(mask, 1, keepdims=True)
    own = tf.keras.layers.Embedding(WORDS, 6, name="written", embeddings_initializer=vectors)(written)
    own = own + 0 * tf.keras.ops.cast(so_far, "float32")[..., None]  # Keras before 3.11 takes no input that leads nowhere
    own = tf.keras.ops.cumsum(own, 1) / tf.keras.ops.cumsum(tf.keras.ops.ones_like(own), 1)
    hidden = tf.keras.ops.tanh(source) * tf.keras.ops.tanh(own) + own + source
    logits = tf.keras.layers.Dense(WORDS, kernel_initializer=vectors)(hidden)
    return tf.keras.Model(dict(zip(names, inputs, strict=True)), logits)


def test_continuations_of_an_encoder_and_a_decoder_are_contrasted_by_what_both_follow():
    """Against the integral over the vectors of what is read and of the start token, the words of each continuation staying."""
    model = translator()
    found = ta.attribute_generation(model, PROMPT, [5, 7], contrast=[4, 9, 2], method=EXACT, tokenizer=Numbers())
    alphas = ((np.arange(1000) + 0.5) / 1000)[:, None, None].astype("float32")

    def logits(read, written):
        source = tf.reduce_mean(read, 1, keepdims=True)
        own = tf.cumsum(written, 1) / tf.range(1.0, written.shape[1] + 1)[:, None]
        return model.layers[-1](tf.tanh(source) * tf.tanh(own) + own + source)

    def kept(continuation):
        ids = np.array([1, *continuation[:-1]])
        read, written = (model.get_layer(name)(one).numpy() for name, one in (("read", PROMPT), ("written", ids)))
        moves = (np.arange(len(ids)) < 1)[:, None]
        points = [tf.constant(alphas * read), tf.constant(np.where(moves, alphas * written, written))]
        with tf.GradientTape() as tape:
            tape.watch(points)
            logs = tf.nn.log_softmax(logits(*points))
            value = sum(logs[:, i, token] for i, token in enumerate(continuation))
        gradients = tape.gradient(value, points)
        ends = [(one.numpy().mean(0) * own).sum(-1) for one, own in zip(gradients, (read, written), strict=True)]
        return np.append(ends[0], ends[1][:1])

    expected = kept([5, 7]) - kept([4, 9, 2])
    np.testing.assert_allclose(found.attributions[0, :7], expected, atol=2e-3 * np.abs(expected).max())
    assert not found.attributions[0, 7:].any()
    assert abs(found.gap[0]) < 1e-3


def test_baselines_are_those_of_the_attributor():
    found = ta.attribute_generation(attributor(), PROMPT, NEXT, baselines=ta.token(0), method=EXACT)
    assert "token 0" in found.attribution.baseline
    np.testing.assert_allclose(found.attributions.sum(1), found.scores - found.attribution.baseline_scores, atol=1e-3)


def test_several_baselines_are_averaged_over():
    one, other = ([ta.zeros()], [ta.token(3)])
    both, *each = (
        ta.attribute_generation(attributor(), PROMPT, NEXT, baselines=b, method=EXACT) for b in (one + other, one, other)
    )
    for name in ("attributions", "scores"):
        np.testing.assert_allclose(getattr(both, name), sum(getattr(found, name) for found in each) / 2, atol=1e-4)
    below = [np.asarray(found.attribution.baseline_scores).reshape(4, -1).mean(1) for found in (both, *each)]
    np.testing.assert_allclose(below[0], (below[1] + below[2]) / 2, atol=1e-4)
    assert np.abs(below[1] - below[2]).min() > 0.01


def test_a_model_writes_the_most_probable_tokens_and_what_it_wrote_is_explained():
    model = attributor().model
    found = ta.attribute_generation(attributor(), PROMPT, max_length=9, method="gradient_times_input", tokenizer=NAMES)
    ids = PROMPT
    for _ in range(3):
        ids = np.append(ids, np.argmax(model(ids[None])[0, -1]))
    assert found.rows == tuple(NAMES[one] for one in ids[6:])
    assert found.columns == tuple(NAMES[one] for one in ids)


def test_a_sampler_of_ones_own_is_seeded():
    def sampler(values, rng):
        return rng.choice(len(values), p=np.exp(values) / np.exp(values).sum())

    made = [
        ta.attribute_generation(attributor(), PROMPT, max_length=9, sampler=sampler, seed=seed, method="gradient_times_input")
        for seed in (1, 1, 2)
    ]
    assert made[0].rows == made[1].rows
    assert made[0].rows != made[2].rows


# a mask and one length by one net: what is filled up is masked too
@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"masked": True}, marks=pytest.mark.slow),
        {"head": "softmax", "blocks": 0},
        pytest.param({"length": LENGTH}, marks=pytest.mark.slow),
        {"masked": True, "length": LENGTH},
    ],
    ids=str,
)
def test_models_that_take_a_mask_or_one_length_or_end_in_a_softmax_give_the_same(options):
    plain = {key: value for key, value in options.items() if key == "blocks"}
    expected = ta.attribute_generation(attributor(**plain), PROMPT, NEXT, method=EXACT)
    found = ta.attribute_generation(attributor(**options), PROMPT, NEXT, method=EXACT)
    np.testing.assert_allclose(found.attributions, expected.attributions, atol=2e-4)


def test_a_function_will_do_as_a_model():
    one = attributor(blocks=0)
    found = ta.attribute_generation(lambda ids: one.model(ids), PROMPT, NEXT, method="gradient_times_input")
    expected = ta.attribute_generation(one, PROMPT, NEXT, method="gradient_times_input")
    np.testing.assert_allclose(found.attributions, expected.attributions, atol=1e-4)


def test_the_log_probability_of_any_head_is_a_unit_of_its_own():
    model = small_gpt(head="softmax", blocks=0)
    ids = np.concatenate([PROMPT, NEXT])[None]
    found = ta.Attributor(model, of="log_probability").attribute(ids, target=(4, 3))
    np.testing.assert_allclose(found.scores[0], np.log(model(ids)[0, 4, 3]), rtol=1e-4)
    assert found.unit == "log_probability"
    assert abs(found.gap[0]) < 0.05


def test_rows_that_are_attributed_in_turn_are_those_of_one_go(monkeypatch):
    ids, following = PROMPT, ids_of(10, seed=4)
    whole = ta.attribute_generation(attributor(), ids, following, method="gradient_times_input")
    monkeypatch.setattr("tf_attrib.generation.attributing.TOGETHER", 1)
    found = ta.attribute_generation(attributor(), ids, following, method="gradient_times_input")
    np.testing.assert_allclose(found.attributions, whole.attributions, atol=1e-6)
    np.testing.assert_allclose(found.gap, whole.gap, atol=1e-5)


@pytest.mark.parametrize("block", [None, 1])
def test_tokens_of_one_text_share_the_passes_that_score_it(monkeypatch, block):
    """However many are explained: the text and two with others behind a place of it, then both ends of all paths."""
    one, following = ta.Attributor(small_gpt(blocks=0), batch_size=block) if block else attributor(), ids_of(5, seed=4)
    options = {"method": ta.IntegratedGradients(n_steps=8), "baselines": ta.token(2)}
    ta.attribute_generation(one, PROMPT, following, **options)  # it is looked at whether rows share a block
    rows, values = [], Fetching._values

    def counted(self, at, example, inputs, targets):
        rows.append(len(example))
        return values(self, at, example, inputs, targets)

    monkeypatch.setattr(Fetching, "_values", counted)
    found = ta.attribute_generation(one, PROMPT, following, **options)
    assert rows == [3, 2]
    model, whole = one.model, np.concatenate([PROMPT, following])
    logs = [log_probabilities(model, ids)[np.arange(5, 10), following] for ids in (whole, np.full(11, 2))]
    np.testing.assert_allclose(found.scores, logs[0], rtol=1e-4)
    np.testing.assert_allclose(found.attribution.baseline_scores, logs[1], rtol=1e-4)
    alone = [ta.attribute_generation(one, PROMPT, following, targets=[i], **options) for i in range(5)]
    np.testing.assert_allclose(found.attributions, np.concatenate([each.attributions for each in alone]), atol=1e-6)


def test_a_device_without_room_for_a_block_goes_on_in_halves(monkeypatch):
    expected = ta.attribute_generation(attributor(blocks=0), PROMPT, NEXT, method=EXACT)
    call, sizes = Program.__call__, []

    def called(self, tables, rows):
        sizes.append(len(rows))
        if len(rows) > 20:
            raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")
        return call(self, tables, rows)

    monkeypatch.setattr(Program, "__call__", called)
    found = ta.attribute_generation(ta.Attributor(small_gpt(blocks=0)), PROMPT, NEXT, method=EXACT)
    np.testing.assert_allclose(found.attributions, expected.attributions, atol=1e-5)
    assert sizes[0] > 20 >= sizes[-1]
    assert sum(size for size in sizes if size <= 20) == 4 * 65  # 64 nodes and the input itself, of each token


def test_blocks_follow_the_length_of_a_text_and_the_memory_that_is_stated(monkeypatch):
    call, sizes, largest = Program.__call__, [], {}
    monkeypatch.setattr(Program, "__call__", lambda self, tables, rows: sizes.append(len(rows)) or call(self, tables, rows))
    for memory in (2**15, 2**16):
        one = ta.Attributor(small_gpt(blocks=0), memory=memory)
        for length in (6, 14):
            sizes.clear()
            found = ta.attribute_generation(one, ids_of(length), NEXT[:2], method=EXACT)
            largest[memory, length] = max(sizes)
    expected = ta.attribute_generation(attributor(blocks=0), ids_of(14), NEXT[:2], method=EXACT)
    np.testing.assert_allclose(found.attributions, expected.attributions, atol=1e-5)
    assert largest[2**15, 14] < largest[2**15, 6] < largest[2**16, 6]
    assert largest[2**15, 14] < largest[2**16, 14]


def test_text_is_read_by_a_layer_or_a_function():
    plain = {"method": "gradient_times_input"}
    layer = tf.keras.layers.TextVectorization(vocabulary=[f"w{i}" for i in range(WORDS - 2)], output_sequence_length=12)
    found = ta.attribute_generation(attributor(), "w1 w2 w3", "w4 w5", tokenizer=layer, **plain)
    assert found.columns == ("w1", "w2", "w3", "w4", "w5")
    numbers = lambda text: [ord(one) - 96 for one in text]  # noqa: E731
    letters = ta.attribute_generation(attributor(), "abc", "de", tokenizer=numbers, **plain)
    assert letters.columns == ("1", "2", "3", "4", "5")


def test_what_does_not_fit_is_refused():
    call = ta.attribute_generation
    one = attributor()
    assert_refused(lambda: call(one, [1, WORDS], NEXT), f"holds token {WORDS}", f"0 to {WORDS - 1}", "one vocabulary")
    assert_refused(lambda: call(attributor(length=LENGTH), ids_of(14), NEXT), "16 tokens at most", "17")
    assert_refused(lambda: call(one, "the cat", NEXT), "text", "tokenizer=")
    assert_refused(lambda: call(one, "word1 wrod2", NEXT, tokenizer=NAMES), "'wrod2'", "'word2'")
    assert_refused(lambda: call(one, [1, 2**32 + 3], NEXT), "prompt", "2147483647", f"{2**32 + 3}")
    assert_refused(lambda: call(one, "a", NEXT, tokenizer=lambda text: [0.5]), "tokenizer=", "whole numbers", "0.5")
    layer = functools.partial(tf.keras.layers.TextVectorization, vocabulary=["a", "b"])
    cut, counts = layer(output_sequence_length=4), layer(output_mode="count")
    assert_refused(lambda: call(one, "a b a", "b a", tokenizer=cut), "output_sequence_length=4", "cut off")
    assert len(call(one, "a b", "b", tokenizer=cut, method="gradient_times_input")) == 1
    assert_refused(lambda: call(one, "a b", "b", tokenizer=counts), "'count'", "'int'")
    assert_refused(lambda: call(one, [], NEXT), "no token")
    assert_refused(lambda: call(one, PROMPT, []), "continuation holds no token")
    assert_refused(lambda: call(one, PROMPT, NEXT, of="logit"), "'logits'", "'logit'")
    assert_refused(lambda: call(one, PROMPT, NEXT, targets=[4]), "0 to 3", "[4]")
    assert_refused(lambda: call(one, PROMPT, NEXT, targets="sum", of="probability"), "log_probability")
    assert_refused(lambda: call(one, PROMPT, NEXT, max_length=9), "leave max_length out")
    assert_refused(lambda: call(one, PROMPT, NEXT, contrast=NEXT), "nothing sets them apart")
    assert_refused(lambda: call(one, PROMPT, NEXT, contrast=NEXT[1:2], targets=[0, 1]), "nothing sets them apart")
    assert_refused(lambda: call(one, PROMPT, NEXT, contrast=NEXT[:2]), "begins with the whole")
    assert_refused(lambda: call(one, PROMPT, NEXT, contrast=[3, 4], targets=[0]), "leave targets out")
    assert_refused(lambda: call(one, PROMPT, NEXT, contrast=[3, 4], method="gradient_times_input"), "several tokens")
    assert_refused(lambda: call(one, PROMPT, NEXT, contrast=[3], absent=0), "absent=")
    two = {"baselines": [ta.zeros(), ta.token(3)]}
    assert_refused(lambda: call(one, PROMPT, NEXT, contrast=[3, 4], **two), "one baseline", "ta.zeros()")
    assert_refused(lambda: call(one, PROMPT, NEXT, on_error="skip"), "'skip'")
    assert_refused(lambda: call(one, PROMPT, NEXT, batch_size=4), "the attributor itself")
    assert_refused(lambda: call(one, PROMPT, max_length=6), "no room", "max_length=6")
    assert_refused(lambda: call(one, [PROMPT, PROMPT], NEXT), "one text", "(2, 6)")
    assert_refused(lambda: call(attributor(causal=False), PROMPT, NEXT), "not causal", "log_probability")


def test_a_model_that_sees_what_fills_its_input_up_is_refused():
    """Of one token nothing else is written behind it, but inputs of one length are filled up."""
    see_all, causal = attributor(causal=False, length=LENGTH), attributor(length=LENGTH)
    for method in ("integrated_gradients", "ablation"):
        assert_refused(lambda how=method: ta.attribute_generation(see_all, PROMPT, NEXT[:1], method=how), "not causal")
        assert len(ta.attribute_generation(causal, PROMPT, NEXT[:1], method=method)) == 1


def test_a_leak_shows_where_probabilities_are_small():
    """Of many tokens, each of which has a small one."""
    ids = tf.keras.Input((None,), dtype="int32")
    wide = tf.keras.initializers.RandomNormal(stddev=1.0, seed=1)
    x = tf.keras.layers.Embedding(5000, 8, embeddings_initializer=wide)(ids)
    x += tf.keras.layers.GlobalAveragePooling1D(keepdims=True)(x)
    narrow = tf.keras.initializers.RandomNormal(stddev=0.3, seed=2)
    model = ta.Attributor(tf.keras.Model(ids, tf.keras.layers.Dense(5000, kernel_initializer=narrow)(x)))
    options = {"of": "probability", "method": "ablation"}
    assert_refused(lambda: ta.attribute_generation(model, PROMPT, NEXT, **options), "not causal")


def test_positions_that_are_made_of_the_ids_are_no_tokens():
    """As `cumsum(ones_like(ids))` makes them; two embeddings of the ids themselves are two tensors, and one must be chosen."""
    ids = tf.keras.Input((None,), dtype="int32")
    wide = tf.keras.initializers.RandomNormal(stddev=1.0, seed=1)
    words = tf.keras.layers.Embedding(WORDS, 4, name="words", embeddings_initializer=wide)(ids)
    places = tf.keras.layers.Embedding(20, 4, name="places", embeddings_initializer=wide)
    head = tf.keras.layers.Dense(WORDS, kernel_initializer=wide)
    counted = tf.keras.ops.cumsum(tf.keras.ops.ones_like(ids), 1) - 1
    one = tf.keras.Model(ids, head(tf.keras.ops.gelu(words + places(counted))))
    found = ta.attribute_generation(one, PROMPT, NEXT, method="gradient_times_input")
    # each word here follows from the one in front of it alone
    assert (np.count_nonzero(found.attributions, 1) == 1).all()
    assert found.attributions[np.arange(4), np.arange(5, 9)].all()
    two = tf.keras.Model(ids, head(tf.keras.ops.gelu(words + places(ids % 20))))
    assert_refused(lambda: ta.attribute_generation(two, PROMPT, NEXT), "there are 2: words, places", "at=")


def test_models_without_logits_are_refused():
    tokens = tf.keras.Input((None,), dtype="int32")
    vectors = tf.keras.layers.Embedding(9, 4)(tokens)
    tagger = tf.keras.Model(tokens, tf.keras.layers.Dense(5, activation="sigmoid")(vectors))
    assert_refused(lambda: ta.attribute_generation(tagger, [1, 2], [3]), "sigmoid", "no tokens")
    pooled = tf.keras.Model(tokens, tf.keras.layers.Dense(5)(tf.keras.layers.GlobalAveragePooling1D()(vectors)))
    assert_refused(lambda: ta.attribute_generation(pooled, [1, 2], [3]), "(batch, length, vocabulary)", "(None, 5)")

    class Backbone(tf.keras.Model):
        """As keras_hub's, whose features (batch, length, width) look like logits of as many tokens."""

    class SomeBackbone(Backbone):
        pass

    features = SomeBackbone(tokens, vectors)
    assert_refused(lambda: ta.attribute_generation(features, [1, 2], [3]), "SomeBackbone", "no logits", "give the task")


def test_classifiers_write_nothing():
    tokens = tf.keras.Input((None,), dtype="int32")
    vectors = tf.keras.layers.GlobalAveragePooling1D()(tf.keras.layers.Embedding(9, 4)(tokens))
    for classes in (2, 9):  # fewer than there are ids, which failed, and more, whose first was taken for a token
        model = ta.Attributor(tf.keras.Model(tokens, tf.keras.layers.Dense(classes, activation="softmax")(vectors)))
        assert_refused(
            lambda model=model: ta.attribute_generation(model, [1, 2, 3]), "(batch, length, vocabulary)", "A classifier"
        )
