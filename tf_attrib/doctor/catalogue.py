"""Every finding by name: what is wrong, what is measured, what helps.

`python -m tf_attrib.doctor.catalogue > tf_attrib/doctor/README.md` writes the page of the documentation.
"""

import dataclasses
from collections.abc import Iterable
from typing import Any

from .report import TOPICS, Finding


@dataclasses.dataclass(frozen=True)
class Entry:
    """A row of the table: the name and topic of a finding, the disease, the evidence, the remedy."""

    name: str
    topic: str
    disease: str
    evidence: str
    remedy: str


ROWS = (
    Entry(
        "dropout_in_training_mode",
        "model",
        "dropout or noise is active when the model is explained",
        "largest difference of two calls; the first layer that differs",
        "do not pass training=True to the layer",
    ),
    Entry(
        "batch_normalisation_in_training_mode",
        "model",
        "batch normalisation uses the statistics of the batch at hand",
        "difference of an example alone and in company; the first layer that differs",
        "do not pass training=True to the layer",
    ),
    Entry(
        "stochastic_output",
        "model",
        "two calls on the same inputs differ",
        "largest difference; the first layer that differs",
        "switch the random operation off, or fix its seed",
    ),
    Entry(
        "depends_on_company",
        "model",
        "the output of an example depends on the other examples of its batch",
        "difference of an example alone and in company; the first layer that differs",
        "explain one example at a time",
    ),
    Entry(
        "repeatable",
        "model",
        "(good) two calls agree, and an example alone gives what it gives in company",
        "the two differences",
        "",
    ),
    Entry(
        "disconnected_input",
        "model",
        "the score does not depend on an input",
        "change of the score when this input alone is replaced by its baseline",
        "at= the inputs that matter",
    ),
    Entry(
        "gradient_missing",
        "model",
        "the score depends on an input, and its gradient does not show it (rounding, argmax, thresholds, stop_gradient)",
        "change of the score; operations without a gradient",
        'method="occlusion", which needs none',
    ),
    Entry(
        "integer_inputs",
        "model",
        "integer inputs have no gradient",
        "which are attributed at their embeddings, and which are left out",
        "pass quantities as floats; name the layer of what is left out",
    ),
    Entry(
        "not_finite",
        "model",
        "a score or gradient is NaN or infinite along the path",
        "examples; where on the path",
        "look at the inputs and weights; another baseline",
    ),
    Entry(
        "infinite_gradient_at_an_end",
        "model",
        "the gradient at the baseline or at the input itself is infinite (a square root at zero)",
        "which end, how many entries",
        "a baseline that is a little off: ta.constant(1e-3)",
    ),
    Entry(
        "dead_units",
        "model",
        "ReLU units are zero along the whole path: no gradient flows through them",
        "share of dead units in each layer",
        "other inputs or another baseline; retrain with a lower learning rate",
    ),
    Entry(
        "custom_gradients",
        "model",
        "the model defines gradients of its own",
        "operations; the gap of the attribution",
        'check the gap; method="occlusion" where it is large',
    ),
    Entry(
        "float16_overflow",
        "model",
        "float16 activations overflow, or are about to",
        "largest magnitude, where, against 65504",
        "explain a float32 copy of the model",
    ),
    Entry(
        "cannot_attribute",
        "model",
        "no gradient of the score exists at the selected tensor",
        "-",
        'another tensor (at=), or method="occlusion"',
    ),
    Entry(
        "saturated_head",
        "output",
        "the score is flat at the input: a plain gradient says nothing",
        "share of the difference of scores that the gradient at the input accounts for",
        "integrated gradients, not gradients",
    ),
    Entry(
        "probability_or_logit",
        "output",
        "explaining the logit instead of the probability would tell another story",
        "rank correlation and cosine of the two attributions",
        "explain the probability; look at both",
    ),
    Entry(
        "output_has_positions",
        "output",
        "the output is not one score for each example",
        "its shape; the entry that is explained",
        "one attribution for each position: target=(position, class)",
    ),
    Entry(
        "no_target",
        "output",
        "the output has several units, no head of classes, and no target was given",
        "number of units; the unit that was taken",
        "target=unit",
    ),
    Entry(
        "target_not_predicted",
        "output",
        "the explained class is not the predicted one",
        "examples; both probabilities",
        "leave target out, or read it as evidence for a class that lost",
    ),
    Entry(
        "baseline_entropy",
        "baseline",
        "the classes at the baseline are far from equally probable (high entropy is necessary, not sufficient)",
        "entropy, and log of the number of classes",
        "several baselines; default_class=",
    ),
    Entry(
        "baseline_favours_a_class",
        "baseline",
        "the model takes the baseline for one of the classes (the guide's 70% case)",
        "its probability; the share of the difference of scores that is the baseline's own",
        "several baselines; retrain with a further class fed with baselines",
    ),
    Entry(
        "baseline_default_class",
        "baseline",
        "the baseline does not have the default class that was named, or, for symmetric classes, is not at 0.5",
        "probability of the default class at the baseline",
        "a baseline without any signal",
    ),
    Entry(
        "baseline_score",
        "baseline",
        "the score at the baseline is not near zero: attributions explain the difference alone",
        "score at the input and at the baseline",
        "read attributions as parts of the difference",
    ),
    Entry(
        "baseline_too_close",
        "baseline",
        "baseline and input hardly differ, in values or in score: the path stays in a flat region",
        "difference of scores; distance relative to the input",
        "a baseline that is farther away",
    ),
    Entry(
        "baseline_outside_the_data",
        "baseline",
        "the baseline lies outside the range of the inputs, where the model was not trained",
        "range of inputs and baseline",
        "ta.dataset(samples), ta.black(value_range)",
    ),
    Entry(
        "zero_is_gray",
        "baseline",
        "images are normalised around zero: a baseline of zeros is gray, not black",
        "range of the inputs; share of pixels at its low end",
        "ta.constant(low)",
    ),
    Entry(
        "features_at_baseline",
        "baseline",
        "features equal their baseline and get zero by construction; their absence may matter",
        "share of such features; their share of the gradient's magnitude",
        "a second baseline in which they are present",
    ),
    Entry(
        "unit_norm_embeddings",
        "baseline",
        "all embeddings have one norm: the zero vector is like no word",
        "mean and spread of the norms",
        "baselines=ta.token(padding)",
    ),
    Entry(
        "stop_word_norms",
        "baseline",
        "stop words have no smaller embeddings than other words, so zero need not mean nothing",
        "mean norm of stop words against the rest",
        "baselines=ta.token(padding), or a stop word",
    ),
    Entry(
        "baselines_compared",
        "baseline",
        "another baseline tells another story",
        "rank correlation; share of strong features that change sign",
        "ta.several([...]); say which question each baseline asks",
    ),
    Entry(
        "accuracy",
        "integral",
        "the stated accuracy of the integral was not reached",
        "estimated error, status, evaluations",
        'max_evaluations=; of="logits" where the score jumps',
    ),
    Entry(
        "gap",
        "integral",
        "attributions do not add up to the difference of scores (the 5% rule)",
        "gap as a share of the difference",
        'a model whose gradients are its own; method="occlusion"',
    ),
    Entry(
        "cancellation",
        "integral",
        "positive and negative attributions are far larger than the scores, and cancel",
        "their L1 norm as a multiple of the largest score",
        "baselines from data; at= behind a normalisation",
    ),
    Entry(
        "too_few_steps",
        "integral",
        "the fixed rule takes too few steps",
        "gap and error with these steps, and with how many both are below 5%",
        "n_steps=, or the rule that finds them itself",
    ),
)

# What `check_attributions` finds. An equation is said to hold within 5%, and by a margin that no other has.
VERDICTS = (
    Entry(
        "complete",
        "integral",
        "(good) the sums are the differences of scores; with a model, every attribution is right",
        "what is left over, relative to the difference",
        "",
    ),
    Entry(
        "baseline_score_forgotten",
        "integral",
        "the score at the baseline was left out: the sums are the scores, less one number",
        "residual; the number",
        "F(x) - F(x') is what attributions sum to",
    ),
    Entry(
        "factor_missing",
        "integral",
        "averaged gradients without the factor (x - x')",
        "residual once it is multiplied in",
        "attributions * (inputs - baselines)",
    ),
    Entry(
        "factor_is_input",
        "integral",
        "multiplied by x and not by x - x'",
        "residual once that is undone",
        "averaged gradients times (inputs - baselines)",
    ),
    Entry(
        "channels_averaged",
        "integral",
        "the mean over channels or embedding dimensions, where the sum adds up",
        "residual once multiplied by their number",
        "attributions.sum(-1)",
    ),
    Entry(
        "sign_reversed",
        "integral",
        "(x' - x) for (x - x'), or the ends of the path swapped",
        "residual of the negative",
        "change the sign",
    ),
    Entry(
        "loss_explained",
        "integral",
        "the gradient of the loss where that of the score was meant",
        "residual against the difference of -log F",
        "take the gradient of the score",
    ),
    Entry(
        "weights_do_not_sum_to_one",
        "integral",
        "weights along the path that sum to (n - 1) / n or n / (n + 1)",
        "the factor; n",
        "divide by the sum of the weights",
    ),
    Entry(
        "steps_not_averaged",
        "integral",
        "gradients summed over the steps, and not divided by their number",
        "the factor",
        "divide by the number of steps",
    ),
    Entry(
        "off_by_a_factor",
        "integral",
        "one factor everywhere that is none of these",
        "the factor",
        "look for a constant: scaled inputs, a temperature",
    ),
    Entry(
        "scaled_for_display",
        "integral",
        "scaled to a largest magnitude, or a sum, of one",
        "how far from one",
        "scale in the picture alone",
    ),
    Entry(
        "absolute_values",
        "integral",
        "absolute values were taken",
        "residual against magnitudes (with a model); no negative attribution, and no sum smaller than the difference (without)",
        "magnitudes in the picture alone",
    ),
    Entry(
        "negatives_cut_off",
        "integral",
        "negative attributions were set to zero",
        "residual against the positive part",
        "keep the sign",
    ),
    Entry(
        "end_point_left_out",
        "integral",
        "a sum over left ends, which never looks at the input itself",
        "residual against that very rule, and its steps",
        "more steps, or a rule of higher order",
    ),
    Entry(
        "too_few_steps",
        "integral",
        "the sums are off, and no error of the formula explains it",
        "ratios of sums to differences; examples",
        "more steps, or ta.IntegratedGradients()",
    ),
    Entry(
        "several_fit",
        "integral",
        "two or more errors fit about equally well",
        "their residuals",
        "inputs=, baselines=, more examples, attributor=",
    ),
    Entry(
        "unexplained",
        "integral",
        "the sums are off, and none of the known errors fits",
        "residuals of all",
        "compare class, unit, preprocessing and baseline",
    ),
    Entry("not_finite", "integral", "attributions that are NaN or infinite", "examples", "look at these inputs"),
    Entry(
        "nothing_to_explain", "integral", "the scores at inputs and baselines are the same", "the difference", "other inputs"
    ),
    Entry("not_tested", "integral", "(note) errors that could not be tested", "each with the reason", ""),
    Entry(
        "scores_differ",
        "output",
        "the scores that were given are not those of the model",
        "relative difference",
        "compare of= and target=",
    ),
    Entry(
        "baseline_scores_differ",
        "output",
        "the scores at the baselines that were given are not those of the model",
        "relative difference",
        "compare baselines=",
    ),
)

NAMES = {row.name: row for row in ROWS}


def finding(
    name: str, severity: str, evidence: dict[str, Any], meaning: str, remedy: str = "", examples: Iterable[int] = ()
) -> Finding:
    """A `Finding` whose name is in the table."""
    return Finding(name, NAMES[name].topic, severity, evidence, meaning, remedy, tuple(int(i) for i in examples))


def table() -> str:
    """The findings of `diagnose` by topic, and those of `check_attributions`, as Markdown."""
    parts = [_table(topic, [row for row in ROWS if row.topic == topic]) for topic in TOPICS]
    return "\n\n".join([*parts, _table("numbers from anywhere", VERDICTS)])


def _table(heading: str, rows: Iterable[Entry]) -> str:
    lines = [f"| {heading} | disease | evidence | remedy |", "|---|---|---|---|"]
    return "\n".join([*lines, *(f"| `{row.name}` | {row.disease} | {row.evidence} | {row.remedy or '-'} |" for row in rows)])


PAGE = f"""# What the doctor finds

`ta.diagnose(attributor, inputs)` and `tf-attrib diagnose` print these; `report["name"]` is one of them. Each is an *error*
(numbers are wrong), a *warning* (they may mislead), a *note*, or *passed*. The last table is that of `ta.check_attributions`.
`python -m tf_attrib.doctor.catalogue` writes this page to its output.

{table()}
"""


if __name__ == "__main__":
    print(PAGE, end="")
