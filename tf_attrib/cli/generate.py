"""The command `tf-attrib generate`."""

import argparse
import json
import zipfile
from pathlib import Path
from typing import Any

from ..common.errors import AttributionError, missing_extra
from . import reading


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the command to those of `tf-attrib`."""
    generate = commands.add_parser(
        "generate",
        help="say which words led to each word that a language model writes",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Has a language model continue a prompt, or takes a continuation that is given, and attributes each of\n"
        "its tokens to those before it.",
        epilog="examples:\n"
        "  tf-attrib generate gpt2.keras --prompt 'Keras is a' --max-length 24 --html out.html\n"
        "  tf-attrib generate gpt2.keras --prompt 'The keys to the cabinet' --continuation ' are' --contrast ' is'\n"
        "  tf-attrib generate small.keras --tokens words.txt --prompt 'the old man' --html out.html\n",
    )
    option = generate.add_argument
    option("model", metavar="MODEL", help="a .keras file, or the folder that save_to_preset of a keras_hub task wrote")
    option("--prompt", required=True, metavar="TEXT", help="what is continued; or token ids with commas: 5,3,17; 5, is one")
    option("--continuation", metavar="TEXT", help="what follows, as --prompt (default: what the model writes)")
    option("--max-length", type=int, metavar="N", help="tokens of prompt and continuation (default: 16 more than the prompt)")
    option("--sampler", metavar="NAME", help="of a keras_hub task: greedy, top_k, top_p, beam, ... (default: its own)")
    option("--of", default="log_probability", metavar="UNIT", help="log_probability (default), logits, probability")
    option("--method", default="integrated_gradients", metavar="NAME", help="as of attribute (default: integrated_gradients)")
    option("--tolerance", type=float, metavar="SHARE", help="relative L1 error that is aimed at (default: 0.05)")
    option("--max-evaluations", type=int, metavar="N", help="gradients on one path, or coalitions, at most")
    option("--steps", type=int, metavar="N", help="steps or samples of the method")
    option("--contrast", metavar="TEXT", help="what is not there: explain the continuation rather than this")
    option("--segments", metavar="TEXT", help="what parts the prompt, such as '\\n\\n': one number for each part")
    option("--absent", type=int, metavar="ID", help="token in place of what is left out (default: it is taken out)")
    reading.add_tokens(option)
    option("--words", action="store_true", help="join pieces to words")
    option("--html", metavar="FILE", help="write a page on which a word that is pointed at colours those that led to it")
    option("--picture", metavar="FILE", help="write a map as a PNG file")
    option("--save", metavar="FILE", help="write the numbers as an .npz file, for ta.load")
    option("--force", action="store_true", help="overwrite files that exist")
    option("--seed", type=int, default=0, help="of the sampler, and of random methods (default: 0)")
    option("--batch-size", type=int, metavar="ROWS", help="gradient rows in a block (default: by the model's size)")
    reading.add_import(option)
    option("--allow-unsafe", action="store_true", help="load what is not known to be harmless, such as the folder of a preset")
    generate.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Explains a continuation, and writes what is asked for."""
    for name in ("html", "picture", "save"):
        reading.check_writable(f"--{name}", getattr(options, name), options.force)
    method, words = reading.method(options), reading.tokens(options)
    model = _model(options)
    from ..generation.call import attribute_generation

    prompt = _given(options.prompt)
    following = str if isinstance(prompt, str) else _given  # behind text "1,000" is a number, and no two tokens
    result = attribute_generation(
        model,
        prompt,
        None if options.continuation is None else following(options.continuation),
        max_length=options.max_length,
        method=method,
        of=options.of,
        contrast=None if options.contrast is None else following(options.contrast),
        segments=None if options.segments is None else options.segments.replace("\\n", "\n"),
        absent=options.absent,
        tokenizer=words,
        seed=options.seed,
    )
    result = result.words() if options.words else result
    print(result)
    _write(result, options)


def _write(result: Any, options: argparse.Namespace) -> None:
    from ..common.atomic import write_whole

    if options.html is not None:
        result.to_html(options.html, overwrite=options.force)
    if options.picture is not None:
        figure = result.plot()
        write_whole(Path(options.picture), lambda file: figure.savefig(file, format="png", dpi=110))
    if options.save is not None:
        result.attribution.save(options.save, overwrite=options.force)
    for path in (options.html, options.picture, options.save):
        if path is not None:
            print(f"wrote {path}")


def _given(text: str) -> Any:
    """Text as it is; token ids where it is whole numbers with commas, "5,3,17", or one with a comma behind it, "5,"."""
    parts = text.removesuffix(",").split(",")
    return [int(part) for part in parts] if "," in text and all(part.strip().isdecimal() for part in parts) else text


def _model(options: argparse.Namespace) -> Any:
    """An attributor of the model, with the sampler that is asked for."""
    from ..attributor import Attributor

    path = Path(options.model)
    if _of_keras_hub(path):
        _needs_keras_hub()
    model: Any = path
    if (path / "task.json").is_file():
        model = _preset(path, options.allow_unsafe)
    with reading.quiet_keras():
        found = Attributor(model, batch_size=options.batch_size, allow_unsafe=options.allow_unsafe)
        if options.sampler is not None:
            if not hasattr(found.model, "make_generate_function"):
                raise AttributionError("--sampler is for tasks of keras_hub; other models write the most probable token")
            found.model.compile(sampler=options.sampler)
    return found


def _of_keras_hub(path: Path) -> bool:
    """Whether a file or folder names classes of keras_hub: it must be imported before they are known."""
    try:
        if path.is_dir():
            text = (path / "task.json").read_text("utf-8")
        else:
            with zipfile.ZipFile(path) as held:
                text = held.read("config.json").decode("utf-8", "replace")
        return "keras_hub" in json.dumps(json.loads(text))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return False  # what it is instead is said by who reads it


def _needs_keras_hub() -> None:
    try:
        import keras_hub  # noqa: F401 (it makes its classes known)  # pyright: ignore[reportMissingImports] (of an extra)
    except ImportError:
        raise missing_extra("keras_hub", "language", "a task of keras_hub") from None


def _preset(path: Path, allow_unsafe: bool) -> Any:
    if not allow_unsafe:
        raise AttributionError(
            f"{str(path)!r} is the preset of a keras_hub task, whose classes keras_hub imports by the names in it: where you "
            "trust it, --allow-unsafe; or save the task as a file, task.save('model.keras'), which is checked first"
        )
    import keras_hub  # pyright: ignore[reportMissingImports] (of an extra)

    try:
        kind = "Seq2SeqLM" if "Seq2SeqLM" in (path / "task.json").read_text("utf-8") else "CausalLM"
        return getattr(keras_hub.models, kind).from_preset(str(path))
    except Exception as error:
        raise AttributionError(f"{str(path)!r} could not be loaded as a task of keras_hub: {error}") from None
