"""The command `tf-attrib export`."""

import argparse
from typing import Any

from . import reading


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the command to those of `tf-attrib`."""
    command = commands.add_parser(
        "export",
        help="write a SavedModel that explains itself, where this package is not installed",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Writes a SavedModel with the signatures that the model had and a further one, `explain`, which\n"
        "TensorFlow alone runs: from the model's inputs, a target and a baseline to attributions.",
        epilog="examples:\n"
        "  tf-attrib export model.keras served/1\n"
        "  tf-attrib export saved_model/ served/1 --method deeplift --of logits\n"
        "  saved_model_cli run --dir served/1 --tag_set serve --signature_def explain --inputs image=batch.npy\n",
    )
    option = command.add_argument
    reading.add_model(option)
    option("path", metavar="PATH", help="a folder that does not exist, such as served/1")
    option("--examples", metavar="FILE", nargs="+", help="two inputs or more, for models that do not say what they take")
    reading.add_settings(option)
    option("--method", default="integrated_gradients", metavar="NAME", help="as of attribute (default: integrated_gradients)")
    command.set_defaults(run=run, target=None, class_names=None)


def run(options: argparse.Namespace) -> None:
    """Writes the SavedModel, and says what it holds."""
    from ..graph.saved.explanation import in_words, read_explanation
    from .input_files import read_inputs

    method = reading.method(options)
    attributor, shape = reading.attributor(options)
    examples: Any = None
    if options.examples is not None:
        examples = read_inputs(options.examples, shape, tuple(options.value_range), options.resize)
    baselines = reading.baseline(options, shape)
    path = attributor.export(
        options.path, method, baselines, examples=examples, batch_size=options.batch_size, seed=options.seed
    )
    found, _ = read_explanation(path)
    assert found is not None
    print(f"wrote {path}, with the signature explain:")
    for name in ("inputs", "outputs"):
        for key, value in found[name].items():
            print(f"  {name[:-1]:6s}  {key}  {value['dtype']} {tuple(value['shape'])}")
    print("\n".join(f"  {line}" for line in in_words(found)))
