"""The report's page: what each section shows, what to see in it, and what it does not tell."""

from collections.abc import Iterator

import numpy as np

from .. import view
from ..attribution import Attribution
from ..common.types import present
from ..view.captions import number, percent
from . import choose, pictures
from .findings import PLANTED_DIGIT, Findings, Marker, Trained

TITLE = "Which parts of an input a prediction came from"
COUNT = 8  # sections
# A score has arrived where it has climbed this share of its way from the baseline.
ARRIVED = 0.99


def sections(trained: Trained, findings: Findings) -> Iterator[view.Section]:
    """The sections of the page, `COUNT` of them, in order, each drawn when it is asked for."""
    yield models_section(trained, findings)
    yield digits_section(findings)
    yield mistake_section(findings)
    yield saturation_section(findings)
    yield marker_section(findings)
    yield sentences_section(trained, findings)
    yield numbers_section(trained, findings)
    yield next_section()


def introduction() -> list[str]:
    """What the page is, and how its colours are to be read."""
    return [
        "The command tf-attrib demo trained three small models and attributed their predictions: it says how much each pixel "
        "or word raised (green) or lowered (red) the probability of a class, compared with a baseline. Integrated gradients "
        "add up: their sum is the score less the score at the baseline, and the gap says how far off it is.",
        "All examples were held out from training, and were chosen by the rules stated beside them, not by hand. An "
        "attribution tells what this model used for this input. It does not tell whether that is right, or what causes "
        "what in the world.",
    ]


def models_section(trained: Trained, findings: Findings) -> view.Section:
    """The data, where they come from, and the accuracies."""
    digits, texts, right = trained.digits, trained.sentences, findings.accuracies
    rows = [
        ["digits", len(digits.train_labels), len(digits.test_labels), f"{right['digits']:.1%}"],
        [
            f"digits, {PLANTED_DIGIT}s marked in training",
            len(digits.train_labels),
            len(digits.test_labels),
            f"{right['planted']:.1%}",
        ],
        ["sentences", len(texts.train_labels), len(texts.test_labels), f"{right['sentences']:.1%}"],
    ]
    return view.Section(
        "The models and their data",
        [
            "The digits are real: written by hand, 8 × 8 pixels, from the UCI repository (Optical Recognition of Handwritten "
            "Digits), as scikit-learn delivers them. A pixel is 0 on paper and 1 in full ink; pictures show paper black, ink "
            "white.",
            "The sentences are made: they were written for this project, with many negations. They show how words are "
            "attributed; "
            "they are no benchmark, and a model of real reviews would read them otherwise.",
            view.Table(
                ["model", "trained on", "held out", "accuracy, held out"],
                rows,
                "Held-out accuracy is measured without the marker.",
            ),
        ],
    )


def digits_section(findings: Findings) -> view.Section:
    """Image, gradient and integrated gradients of each digit."""
    digits = findings.digits
    share = np.abs(digits.against_zero.gradient_share).max()
    return view.Section(
        "Each digit: gradient and integrated gradients",
        [
            "The most confident correct held-out example of each digit. What to see: the gradient says what a tiny change of a "
            "pixel would do, and to so sure a model that is next to nothing. Multiplied by the ink, it sums to "
            f"{percent(share)} of the score at most (less the score at zero); integrated gradients sum to all of it but the "
            "gap.",
            "The baseline is the question. Against zero, an empty sheet, only ink can count: where there is none the "
            "attribution "
            "is zero by construction, though an empty place may well tell a 3 from an 8. Against a 7 the question is what "
            "makes "
            "this digit more probable here than in the image of the 7: places where only the 7 has ink count too. The 7 itself "
            "is "
            "as probable in both, so that its row has nothing to divide up.",
            pictures.baseline_picture(digits.seven),
            pictures.digit_rows(digits),
        ],
    )


def mistake_section(findings: Findings) -> view.Section:
    """A misclassified digit, attributed to both classes."""
    title, mistake = "A misclassified digit: the wrong class and the right one", findings.mistake
    if mistake is None:
        return view.Section(title, ["This time the model classified every held-out digit correctly: there is none to show."])
    return view.Section(
        title,
        [
            f"The model misclassifies {mistake.count} of the held-out digits. Shown is the one where the probabilities of both "
            "classes differ most from those at the baseline, so that there is something to divide up. What to see: a "
            f"{mistake.label} is taken for a {mistake.predicted}. A pixel that is greener on the left than on the right speaks "
            "for "
            f"the {mistake.predicted} against the {mistake.label}.",
            "Attribution shows where the model found its evidence. It does not tell what the writer meant, or how to mend the "
            "model.",
            pictures.mistake_row(mistake),
        ],
    )


def saturation_section(findings: Findings) -> view.Section:
    """Score and gradient along the path, and the strips."""
    digit, path = findings.digits.labels[findings.saturated], findings.path
    share = abs(findings.digits.against_zero.gradient_share[findings.saturated])
    climbed = (path.path_scores[0] - path.baseline_scores[0]) / path.difference[0]
    arrived = path.alphas[0][np.argmax(climbed >= ARRIVED)]
    return view.Section(
        "Saturation: why the gradient at the input misleads",
        [
            f"The {digit} from above, scaled from the empty sheet (alpha 0) to itself (alpha 1). Of the ten it is the one "
            "whose "
            f"gradient at the input accounts for the least of the score: {percent(share)}. What to see: at alpha "
            f"{number(arrived)} "
            f"the score has come {percent(ARRIVED)} of its way, and from there on the gradient is nearly zero. Drawn on its "
            "own "
            "scale it looks as strong as the others; drawn on theirs it is gray.",
            "The running sum ends in the integrated gradients. The images on the way are no digits that anybody wrote: the "
            "model "
            "is asked about them all the same, and another baseline would take another way.",
            view.saturation(path),
            view.strips(path, baseline=0.0, value_range=pictures.INK),
        ],
    )


def marker_section(findings: Findings) -> view.Section:
    """The planted pixel is caught."""
    planted, clean, digit = findings.planted, findings.clean, PLANTED_DIGIT
    return view.Section(
        "A planted marker, caught",
        [
            f"One model was trained on digits in which every {digit}, and no other digit, has its top left pixel set. It "
            f"recognises {percent(planted.marked_accuracy)} of the held-out {digit}s that are marked so, and "
            f"{percent(planted.clean_accuracy)} of those that are not: tests with the same marker would not have shown it. "
            "What to "
            f"see: the corner pixel carries {percent(planted.shares.mean())} of the attribution in this model, and "
            f"{percent(clean.shares.mean())} in the one that was trained without it.",
            "Attribution finds such a shortcut only where it is at work: an image without the marker shows nothing of it, nor "
            "does "
            "a baseline that has the marker too. That no shortcut is seen does not prove that there is none.",
            pictures.marker_rows(planted, clean, findings.marked),
            f"Shown are the first held-out {digit}s that both models recognise, and of the other digits that the model without "
            f"marker recognises the one that the other most surely takes for an {digit}.",
            view.Table(
                ["", "model trained with the marker", "model trained without it"],
                _marker_rows(planted, clean),
                f"Held-out digits. The share is |attribution of the pixel| / sum of all |attributions|, to {digit}, for the "
                f"{len(planted.shares)} {digit}s with the marker: the mean, and in brackets the smallest and the largest.",
            ),
        ],
    )


def _marker_rows(planted: Marker, clean: Marker) -> list[list[str]]:
    def row(words: str, of) -> list[str]:
        return [words, of(planted), of(clean)]

    digit = PLANTED_DIGIT
    return [
        row(f"{digit}s without the marker: recognised", lambda marker: f"{marker.clean_accuracy:.1%}"),
        row(f"{digit}s with the marker: recognised", lambda marker: f"{marker.marked_accuracy:.1%}"),
        row("other digits without the marker: recognised", lambda marker: f"{marker.others_accuracy:.1%}"),
        row(f"other digits with the marker: taken for {digit}", lambda marker: f"{marker.others_taken:.1%}"),
        row(
            "the corner pixel's share of the attribution",
            lambda marker: f"{marker.shares.mean():.1%} ({marker.shares.min():.1%} to {marker.shares.max():.1%})",
        ),
        row("the corner pixel ranks first", lambda marker: f"{marker.first.sum()} of {len(marker.first)}"),
    ]


def sentences_section(trained: Trained, findings: Findings) -> view.Section:
    """Coloured words."""
    found = findings.sentences
    limit = pictures.largest(found.result)
    shown = [
        pictures.sentence(
            *_sentence_words(trained, findings, place), words, found.result.attributions[place, : len(words)], limit
        )
        for place, words in enumerate(found.words)
    ]
    return view.Section(
        "Words",
        [
            "Six held-out sentences, all attributed to “positive”: green words raised its probability, red ones lowered "
            "it, gray ones did neither. The baseline is a row of padding, the model's own sign for “no word here”. A word's "
            "number "
            f"is the sum over the {trained.reader.get_layer('embedding').output_dim} dimensions of its embedding. All have one "
            f"scale: full colour at ±{number(limit)} probability. [unk] is a word that did not occur in training.",
            "What to see, in this order: the most confident right answers without a negation; right answers in which a "
            "negation "
            f"did most (of those with a probability of at least {percent(choose.CLEAR)}); and the most confident wrong "
            "answers, "
            "with and without a negation, where the colours show which words misled the model.",
            "A word's number is what it did in the company of the others: where “not” and “bad” bring something about "
            "together, "
            "the method decides how they share it. It does not tell what the model would say without the word.",
            *shown,
        ],
    )


def _sentence_words(trained: Trained, findings: Findings, place: int) -> tuple[str, str]:
    """The heading of a sentence and the line of its numbers."""
    found, classes = findings.sentences, trained.sentences.classes
    score, label = found.result.scores[place], int(found.labels[place])
    answer = "right" if int(score >= 0.5) == label else "wrong"
    return (
        f"{place + 1}. {classes[label].capitalize()}; the model is {answer}: probability of “positive” {number(score)}",
        f"“{found.texts[place]}”. Score {number(score)}, baseline score {number(found.result.baseline_scores[place])}, "
        f"sum {number(found.result.totals[place])}, gap {pictures.gap_percent(found.result, place)} of the difference.",
    )


def numbers_section(trained: Trained, findings: Findings) -> view.Section:
    """Score, baseline score, sum and gap of every example shown."""
    digits, mistake, found = findings.digits, findings.mistake, findings.sentences
    classes = trained.digits.classes
    names = [f"digit {label}" for label in digits.labels]
    rows = _number_rows(names, "zero", digits.against_zero, classes)
    rows += _number_rows(names, "the 7", digits.against_seven, classes)
    if mistake is not None:
        for result in (mistake.wrong, mistake.right):
            rows += _number_rows([f"misclassified {mistake.label}"], "zero", result, classes)
    for words, marker in (("with", findings.planted), ("without", findings.clean)):
        names = [f"marked {label}, model {words} marker" for label in findings.marked]
        rows += _number_rows(names, "zero", marker.shown, classes)
    names = [f"sentence {place + 1}" for place in range(len(found.indices))]
    rows += _number_rows(names, "padding", found.result, trained.sentences.classes)
    return view.Section(
        "Every number",
        [
            "The check that integrated gradients bring along: the attributions of an example sum to its score less the score "
            "at "
            "the baseline. The gap is what is missing or too much, in percent of that difference.",
            "A sum that is right can hide parts that are wrong, so each attribution was refined until its own estimated error, "
            "over the sum of magnitudes, was at most 5%; for numbers, method=ta.IntegratedGradients(tolerance=0.01) goes on to "
            "1%. "
            "(A word is the sum of its embedding's dimensions: of that the same error can be a larger share.) "
            "Neither says that the baseline suits the question.",
            view.Table(
                ["example", "class", "baseline", "score", "baseline score", "sum", "gap", "error", "gradients"],
                rows,
                f"Scores and sums are probabilities, by {digits.against_zero.method}. A dash: the two scores differ by less "
                f"than {pictures.DIFFERENCE}, and a percentage would mean nothing. Plain gradients have no sum to check.",
            ),
        ],
    )


def _number_rows(names: list[str], baseline: str, result: Attribution, classes: tuple[str, ...]) -> list[list[str]]:
    return [
        [
            name,
            classes[present(result.target)[place]],
            baseline,
            number(result.scores[place]),
            number(present(result.baseline_scores)[place]),
            number(result.totals[place]),
            pictures.gap_percent(result, place),
            *(
                ["-", "-"]
                if result.error_estimate is None
                else [f"{result.error_estimate[place]:.1%}", str(present(result.evaluations)[place])]
            ),
        ]
        for place, name in enumerate(names)
    ]


def next_section() -> view.Section:
    """The commands to go on with, as typed in the folder of the page."""
    return view.Section(
        "Going on",
        [
            "The models and inputs for them are beside this page. In its folder:",
            view.Code("\n".join(commands("models"))),
            "Or in Python:",
            view.Code(
                "import numpy as np\nimport tf_attrib as ta\n\n"
                'attributor = ta.Attributor("models/digits.keras")\n'
                'result = attributor.attribute(np.load("models/digits.npy"))\n'
                'print(result)\nresult.plot().savefig("digits.png")'
            ),
        ],
    )


def commands(folder: str) -> list[str]:
    """What to type to attribute the saved inputs with the saved models, which are in `folder`."""
    command = f"tf-attrib attribute {folder}/"
    return [
        f"{command}digits.keras {folder}/digits.npy --out attributions",
        f"{command}sentences.keras {folder}/sentences.jsonl --tokens {folder}/vocabulary.txt --out words",
    ]
