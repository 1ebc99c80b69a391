"""What the findings of `diagnose` are: what is wrong, what is measured, what helps."""

import dataclasses

from ..common.errors import AttributionError


@dataclasses.dataclass(frozen=True)
class Entry:
    """A row of the table: the name and topic of a finding, the disease, the evidence, the remedy."""

    name: str
    topic: str
    disease: str
    evidence: str
    remedy: str

    def __post_init__(self) -> None:
        for what in ("name", "topic", "disease", "evidence", "remedy"):
            if not isinstance(getattr(self, what), str):
                raise AttributionError(f"{what} of an entry is text; got {getattr(self, what)!r}")


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
        "called_eagerly",
        "model",
        "the model is called eagerly and not traced, so that nobody sees into it",
        "why; whether one example at a time; what its gradient misses of how the output moves",
        "a model that can be traced; tf.custom_gradient for what Python computes",
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
