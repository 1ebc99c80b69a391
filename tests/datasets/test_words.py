"""`ta.summarise` over words: against counting by hand, rules of a model whose rules are known, padding, bounded memory."""

import collections

import keras
import numpy as np
import pytest
from keras import layers

import tf_attrib as ta
from tf_attrib.datasets.phrase_rules import wilson

from ..conftest import assert_refused
from .test_summarise import cut, result_of

WORDS = ["", "the", "film", "was", "good", "bad", "not", "how", "many", "much", "who"]


def examples(count=150, length=9, seed=0, classes=2):
    """ids, attributions (count, length, 3), target, label; padding at the end has attributions too."""
    random = np.random.default_rng(seed)
    ids = random.integers(1, len(WORDS), (count, length)).astype("int32")
    lengths = random.integers(1, length + 1, count)
    ids[np.arange(length) >= lengths[:, None]] = 0
    attributions = random.normal(size=(count, length, 3))
    return ids, attributions, random.integers(0, classes, count), random.integers(0, classes, count)


def by_hand(ids, attributions, target, share=0.2):
    """Occurrences by class, and trigger words by class, counted with loops."""
    occurrences, triggers = collections.defaultdict(list), collections.defaultdict(list)
    for row, values, own in zip(ids, attributions.sum(-1), target, strict=True):
        sums = collections.defaultdict(float)
        for word, value in zip(row, values, strict=True):
            if word:
                occurrences[own, WORDS[word]].append(value)
                sums[WORDS[word]] += value
        positive = sum(max(value, 0) for word, value in zip(row, values, strict=True) if word)
        for word, value in sums.items():
            if value > 0 and (value == max(sums.values()) or value >= share * positive):
                triggers[own, word].append(value)
    return occurrences, triggers


@pytest.mark.parametrize("sizes", [[150], [1, 60, 2, 30], [20] * 8])
def test_words_are_counted_as_by_hand(sizes):
    ids, attributions, target, _ = examples()
    found = ta.summarise(cut(result_of(attributions, ids, target), sizes), tokens=WORDS)
    occurrences, triggers = by_hand(ids, attributions, target)
    assert found.kind == "words"
    assert sorted(found.names) == sorted(WORDS[1:])
    for group in (0, 1):
        for place, word in enumerate(found.names):
            values = np.array(occurrences[group, word])
            assert found.counts[group, place] == len(values)
            assert found.mean[group, place] == pytest.approx(values.mean())
            assert found.mean_magnitude[group, place] == pytest.approx(np.abs(values).mean())
            assert found.deviation[group, place] == pytest.approx(values.std())
    total = {word: sum(np.abs(occurrences[0, word])) + sum(np.abs(occurrences[1, word])) for word in WORDS[1:]}
    np.testing.assert_allclose(found.importance, [total[word] / 150 for word in found.names])
    assert {(one.target, one.word): one.count for one in found.trigger_words} == {
        key: len(values) for key, values in triggers.items()
    }
    for one in found.trigger_words:
        assert one.attribution == pytest.approx(np.mean(triggers[one.target, one.word]))
        assert one.present == sum(WORDS.index(one.word) in row for row in ids[target == one.target])
    assert [one.count for one in found.trigger_words] == sorted((one.count for one in found.trigger_words), reverse=True)
    np.testing.assert_array_equal(sorted(found.sample["index"]), np.arange(150))


def test_the_share_that_makes_a_trigger_is_heeded():
    ids, attributions, target, _ = examples()
    for share in (0.05, 0.5, 1.0):
        found = ta.summarise(result_of(attributions, ids, target), tokens=WORDS, trigger_share=share)
        _, triggers = by_hand(ids, attributions, target, share)
        assert sum(one.count for one in found.trigger_words) == sum(map(len, triggers.values()))


def test_examples_of_a_trigger_word_are_real_bounded_and_seeded():
    ids, attributions, target, _ = examples()
    result = result_of(attributions, ids, target)
    one, other, reseeded = (
        ta.summarise(cut(result, sizes), tokens=WORDS, seed=seed) for sizes, seed in (([150], 0), ([7] * 30, 0), ([150], 1))
    )
    assert one.trigger_words == other.trigger_words
    assert one.trigger_words != reseeded.trigger_words
    for trigger in one.trigger_words:
        assert len(trigger.examples) == min(trigger.count, 3)
        for example in trigger.examples:
            words = [WORDS[word] for word in ids[example.index] if word]
            assert example.text == " ".join(words)
            assert target[example.index] == trigger.target
            here = ids[example.index] == WORDS.index(trigger.word)
            assert example.attribution == pytest.approx(attributions[example.index][here].sum())


def test_long_examples_are_shown_around_the_word():
    words = [f"w{number}" for number in range(40)]
    for place, first, last in ((20, "... w13", "w26 ..."), (2, "w0", "w13 ..."), (39, "... w26", "w39")):
        values = np.zeros((1, 40))
        values[0, place] = 1
        text = ta.summarise(result_of(values), tokens=[words]).trigger_words[0].examples[0].text
        assert text.startswith(first)
        assert text.endswith(last)
        assert f"w{place}" in text.split()


# which words


@pytest.mark.parametrize("where", ["end", "beginning"])
@pytest.mark.parametrize("known", ["nothing", "vocabulary", "dict", "lists", "result"])
def test_padding_is_no_word(where, known):
    ids = np.array([[5, 7, 5, 0, 0], [7, 0, 0, 0, 0], [0, 0, 0, 0, 0]])
    ids = ids if where == "end" else ids[:, ::-1]
    vocabulary = ["<pad>", *"abcdefg"]
    lists = [[vocabulary[word] for word in row] for row in ids]
    tokens = {"nothing": None, "vocabulary": vocabulary, "dict": dict(enumerate(vocabulary)), "lists": lists, "result": None}
    result = result_of(np.ones((3, 5)), ids, tokens=np.array(lists) if known == "result" else None)
    found = ta.summarise(result, tokens=tokens[known])
    names = ("5", "7") if known == "nothing" else ("e", "g")
    assert dict(zip(found.names, found.counts[0], strict=True)) == {names[0]: 2, names[1]: 2}
    assert len(found) == 3


def test_an_id_of_zero_that_is_a_word_counts():
    ids = np.array([[0, 1, 0]])
    found = ta.summarise(result_of(np.ones((1, 3)), ids), tokens=["the", "end"])
    assert dict(zip(found.names, found.counts[0], strict=True)) == {"the": 2, "end": 1}
    inside = ta.summarise(result_of(np.ones((1, 4)), np.array([[3, 0, 3, 0]])))
    assert dict(zip(inside.names, inside.counts[0], strict=True)) == {"3": 2, "0": 1}


def test_words_that_are_ignored_break_phrases():
    labels = np.arange(24) % 2

    def phrases(between, **options):
        lists = [["[CLS]", "new", *between, "york"] if label else ["[CLS]", "york", *between, "new"] for label in labels]
        values = np.tile([0.0, 1, *[0] * len(between), 1], (24, 1))
        found = ta.summarise(result_of(values, target=labels, predicted=labels), tokens=lists, **options)
        return set(found.names), {rule.phrase for rule in found.rules}

    assert phrases([], ignore=["[CLS]"]) == ({"new", "york"}, {"new york", "york new"})
    assert phrases(["-"], ignore=["[CLS]", "-"]) == ({"new", "york"}, set())
    assert phrases(["-"])[0] == {"[CLS]", "new", "-", "york"}
    found = ta.summarise(result_of(np.ones((1, 3))), tokens=[["new", "-", "york"]], ignore=["-"])
    assert found.trigger_words[0].examples[0].text == "new - york"


def test_phrases_do_not_reach_into_the_next_example():
    # "how" ends an example at a place that "many", which begins the next, follows: as a phrase it would make a rule
    lists = [["", "how", ""], ["", "", "many"], ["", "", "how"]] * 12
    labels = np.array([1, 0, 0] * 12)
    found = ta.summarise(result_of(np.ones((36, 3)), target=labels, predicted=labels), tokens=lists)
    assert [(rule.phrase, rule.target, rule.support) for rule in found.rules] == [("many", 0, 12)]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tokens": ["only", "two"]}, ("not in the vocabulary of 2",)),
        ({"tokens": [["a"] * 9] * 3}, ("tokens for 3 examples",)),
        ({"tokens": [["a"] * 9] * 151}, ("more examples than the results",)),
        ({"tokens": [["a"] * 8] * 150}, ("8 tokens for 9 attributions in example 0",)),
        ({"tokens": "the film"}, ("text.split()",)),
        ({"tokens": iter(["the film"])}, ("text.split()", "'the film'")),
        ({"names": ["a"]}, ("names= are of features",)),
        ({"tokens": {"text": ["a"]}}, ("by token id", "key=")),
        ({"labels": [0] * 3}, ("3 labels",)),
    ],
)
def test_words_that_do_not_fit_are_refused(options, words):
    ids, attributions, target, _ = examples()
    assert_refused(lambda: ta.summarise(cut(result_of(attributions, ids, target), [40]), **options), *words)


def test_words_that_nobody_knows_are_asked_for():
    texts = np.array(["the film", "was good"])
    result = result_of(np.ones((2, 4)), texts)
    assert_refused(lambda: ta.summarise(result), "words behind the attributions are not known")
    found = ta.summarise(result, tokens=[["the", "film", "", ""], ["was", "good", "", ""]])
    assert set(found.names) == {"the", "film", "was", "good"}
    assert_refused(lambda: ta.summarise(result, tokens=WORDS), "needs the token ids")


def test_words_beside_other_tensors_are_chosen_by_key():
    parts = {"text": np.ones((5, 3, 2)), "table": np.ones((5, 4))}
    inputs = {"text": np.ones((5, 3), int), "table": np.ones((5, 4))}
    result = ta.Attribution(parts, np.zeros(5), inputs=inputs, of="score", at="both", method="m")
    assert_refused(lambda: ta.summarise(result), "key='text'", "'table'")
    assert ta.summarise(result, key="text").kind == "words"
    assert ta.summarise(result, key="table").kind == "features"


# rules


def test_wilson_is_the_formula():
    for hits, support in ((0, 5), (3, 7), (120, 124), (9, 9)):
        z, share = 1.959963984540054, hits / support
        middle = (share + z**2 / (2 * support)) / (1 + z**2 / support)
        half = z / (1 + z**2 / support) * np.sqrt(share * (1 - share) / support + z**2 / (4 * support**2))
        np.testing.assert_allclose(wilson(hits, support), (middle - half, middle + half), atol=1e-12)
    assert np.isnan(wilson(0, 0)).all()


def questions(count=240, seed=0):
    """Questions that are about a number (class 1) where "how many" stands in them, about a person (2) where "who" does."""
    random = np.random.default_rng(seed)
    texts, labels = [], []
    for number in range(count):
        filler = list(random.choice(["was", "the", "film", "good", "bad"], 4))
        kind = number % 4
        first = [["how", "many"], ["who"], ["how", "much"], ["not", "many"]][kind]
        place = int(random.integers(0, 3))
        words = filler[:place] + first + filler[place:]
        texts.append(words + [""] * (6 - len(words)))
        labels.append([1, 2, 0, 0][kind])
    return texts, np.array(labels)


@pytest.fixture(scope="module")
def question_model():
    """A net with weights set by hand: class 1 where "how" and "many" stand side by side, class 2 for "who"."""
    model = keras.Sequential(
        [
            keras.Input((6,), dtype="int32"),
            layers.Embedding(len(WORDS), 4),
            layers.Conv1D(2, 2, activation="relu"),
            layers.GlobalMaxPooling1D(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    table = np.zeros((len(WORDS), 4), "float32")
    table[WORDS.index("how"), 0] = table[WORDS.index("many"), 1] = table[WORDS.index("who"), 2] = 1
    table[WORDS.index("film"), 3] = 1
    convolution = np.zeros((2, 4, 2), "float32")
    convolution[0, 0, 0] = convolution[1, 1, 0] = 1  # "how" then "many"
    convolution[:, 2, 1] = 1
    head = np.array([[0, 8, 0], [0, 0, 8]], "float32")
    model.set_weights([table, convolution, np.array([-1.2, 0], "float32"), head, np.array([3, 0, 0], "float32")])
    return model


def test_rules_of_a_question_classifier(question_model):
    texts, labels = questions()
    ids = np.array([[WORDS.index(word) for word in row] for row in texts])
    attributor = ta.Attributor(question_model)
    np.testing.assert_array_equal(np.argmax(question_model(ids), 1), labels)
    results = [attributor.attribute(ids[i : i + 50], verbose=0) for i in range(0, 240, 50)]
    found = ta.summarise(iter(results), tokens=WORDS, classes=["other", "number", "person"])
    rules = {(rule.phrase, rule.target): rule for rule in found.rules}
    rule = rules["how many", 1]
    assert (rule.hits, rule.support, rule.precision, rule.class_share) == (60, 60, 1.0, 0.25)
    assert ("who", 2) in rules
    assert not {("how", 1), ("many", 1)} & set(rules)  # right half of the time
    assert not {("the who", 2), ("was who", 2)} & set(rules)  # no surer than "who" alone
    assert "model's predictions" in rule.measured_on
    assert 'if "how many" occurs -> number: precision 1.00 [0.94, 1.00], 60 of 60 (class share 0.25)' in repr(found)
    assert found.trigger_words[0].word in ("how", "many", "who")
    loose = ta.summarise(iter(results), tokens=WORDS, min_precision=0.4)
    assert ("how", 1) in {(rule.phrase, rule.target) for rule in loose.rules}
    single = ta.summarise(iter(results), tokens=WORDS, phrase_length=1)
    assert not any(" " in rule.phrase for rule in single.rules)
    assert "how many" not in {rule.phrase for rule in ta.summarise(iter(results), tokens=WORDS, min_support=61).rules}


def test_precision_is_measured_on_labels_where_they_are_given(question_model):
    texts, labels = questions()
    ids = np.array([[WORDS.index(word) for word in row] for row in texts])
    wrong = labels.copy()
    wrong[np.flatnonzero(labels == 1)[:9]] = 0
    result = ta.Attributor(question_model).attribute(ids, verbose=0)
    rule = next(rule for rule in ta.summarise(result, tokens=WORDS, labels=wrong).rules if rule.phrase == "how many")
    assert (rule.hits, rule.support) == (51, 60)
    assert "labels" in rule.measured_on
    assert (rule.low, rule.high) == wilson(51, 60)
    found = ta.summarise(result, tokens=WORDS, labels=labels)
    words, other = questions(80, seed=5)
    measured = {rule.phrase: rule for rule in found.rules_on(words, np.where(other == 2, 0, other))}
    assert (measured["how many"].hits, measured["how many"].support) == (20, 20)
    assert (measured["who"].hits, measured["who"].support) == (0, 20)
    assert measured["who"].measured_on == "labels of other examples"
    nowhere = found.rules_on([["nothing"]], [0])[0]
    assert nowhere.support == 0
    assert "occurs nowhere" in str(nowhere)
    assert_refused(lambda: found.rules_on(words, [0]), "one for each")


def test_rules_need_classes_and_say_so():
    ids, attributions, _, _ = examples()
    found = ta.summarise(result_of(attributions, ids), tokens=WORDS)
    assert found.rules == ()
    assert {one.target for one in found.trigger_words} == {None}
    assert "no rules are read off" in repr(found)


def test_a_word_that_is_seldom_a_trigger_makes_no_rule():
    # "film" stands in all examples of class 1 and in no other, and gives something to 4 of 20 of them
    labels = np.arange(40) % 2
    lists = [["film", "key"] if label else ["was", "who"] for label in labels]
    values = np.where(labels[:, None] == 1, [0.0, 1.0], [0.5, 0.5])
    values[np.flatnonzero(labels)[:4]] = [1.0, 0.0]
    found = ta.summarise(result_of(values, target=labels, predicted=labels), tokens=lists)
    rules = {rule.phrase: rule for rule in found.rules if rule.target == 1}
    assert set(rules) == {"key"}
    assert rules["key"].triggered == 0.8
    values[np.flatnonzero(labels)[:5]] = [1.0, 0.0]
    found = ta.summarise(result_of(values, target=labels, predicted=labels), tokens=lists)
    assert {rule.phrase for rule in found.rules if rule.target == 1} == {"film", "key"}


def test_no_rule_is_read_off_chance():
    # labels that have nothing to do with the words
    ids, attributions, target, labels = examples(2000)
    assert ta.summarise(result_of(attributions, ids, target), tokens=WORDS, labels=labels).rules == ()
    # a class of nine in ten: every word has a precision of about 0.9 then
    most = (np.arange(2000) % 10 > 0).astype(int)
    found = ta.summarise(result_of(attributions, ids, target), tokens=WORDS, labels=most, phrase_length=1)
    assert found.rules == ()


# memory


def test_terms_that_do_not_fit_are_forgotten_the_rarest_first():
    random = np.random.default_rng(0)
    lists = [["common", "pair", *(f"word{number}" for number in random.integers(0, 10**9, 8))] for _ in range(600)]
    result = result_of(np.ones((600, 10)), target=[0] * 600, predicted=np.zeros(600, int))
    batches = list(cut(result, [100] * 6))
    found = ta.summarise(batches, tokens=iter(lists), max_terms=1000, labels=[0] * 300 + [1] * 300, min_precision=0.1)
    counts = dict(zip(found.names, found.counts[0], strict=True))
    assert counts["common"] == counts["pair"] == 600  # frequent from the beginning: exact
    assert len(found.names) < 1000
    assert "rarest were forgotten" in repr(found)
    everything = ta.summarise(batches, tokens=iter(lists))
    assert len(everything.names) > 4000
    assert "forgotten" not in repr(everything)


def test_phrases_keep_their_counts_when_others_are_forgotten():
    random = np.random.default_rng(0)
    rare = [[f"a{number}" for number in random.integers(0, 10**9, 8)] for _ in range(800)]
    # rare words are numbered first, so that those that are kept get other numbers
    lists = [[*words, *(["how", "many"] if number % 2 else ["many", "how"])] for number, words in enumerate(rare)]
    values = np.tile([0.0] * 8 + [1.0] * 2, (800, 1))
    labels = np.arange(800) % 2
    result = result_of(values, target=labels, predicted=labels)
    found = ta.summarise(cut(result, [50] * 16), tokens=iter(lists), max_terms=1000)
    rules = {(rule.phrase, rule.target): (rule.hits, rule.support) for rule in found.rules}
    assert rules["how many", 1] == rules["many how", 0] == (400, 400)
