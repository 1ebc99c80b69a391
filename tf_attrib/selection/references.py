"""What baselines come to for a batch: references at each selected tensor, and which of them each example has."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from ..common.errors import AttributionError
from ..common.nested import flatten, is_array, is_nested_list
from ..common.own_code import code_of
from ..graph.traced.heads_and_lookups import layer_names
from .baselines import Baseline, OfFrame, Several, at_input, given, zeros
from .fitting import as_made
from .frames import Names, is_column, is_frame, is_row
from .inputs import as_array, encoded, few

# What zeros are made with: a generator seeded by the machine takes longer than they do.
NOTHING_DRAWN = np.random.default_rng(0)


@dataclasses.dataclass(frozen=True, eq=False)
class References:
    """The references of a batch.

    Attributes:
        tables: float (m, ...) by key of the selected tensors.
        index: int (n, k) by key, the rows of the table that are an example's references.
        count: k.
        shared: whether all examples have the same ones.
        words: what they are.
        default: whether they are `ta.zeros()`, at every selected tensor.
        inputs: (m, ...) by the user's key, where the tables are what the model makes of these inputs.
    """

    tables: dict[Any, np.ndarray]
    index: dict[Any, np.ndarray]
    count: int
    shared: bool
    words: str
    default: bool = False
    inputs: dict[Any, np.ndarray] | None = None

    @classmethod
    def unused(cls, values: dict[Any, np.ndarray]) -> "References":
        """Those of rows that lie at `values` (n, ...) themselves: there is one, and it is not looked at."""
        tables = {key: np.zeros((1, *value.shape[1:]), value.dtype) for key, value in values.items()}
        return cls(tables, {key: np.zeros((len(value), 1), int) for key, value in values.items()}, 1, True, "", True)

    def chosen(self, which: np.ndarray) -> "References":
        """Of each example's references those at these positions."""
        return dataclasses.replace(
            self,
            index={key: index[:, which] for key, index in self.index.items()},
            count=len(which),
            words=f"{len(which)} drawn of {self.words}",
        )

    @property
    def zero(self) -> bool:
        """Whether they are zero everywhere, by whichever name."""
        return not any(table.any() for table in self.tables.values())

    @property
    def finite(self) -> np.ndarray:
        """(n,), whether all references of an example are finite."""
        rows = {key: _finite_rows(table) for key, table in self.tables.items()}
        return np.logical_and.reduce([np.all(rows[key][index], axis=1) for key, index in self.index.items()])

    def of_examples(self, which: np.ndarray) -> "References":
        """The references of some of the examples."""
        return dataclasses.replace(self, index={key: index[which] for key, index in self.index.items()})


def of_frames(baselines: Any, arrays: Callable[[Any], Any], names: Names) -> Any:
    """`baselines` without frames: recipes that were made of one, and frames and rows themselves, which mean `ta.at_input`.

    Args:
        arrays: from a frame in the structure of the model's inputs, or a dict with frames in it, to arrays.
        names: of the columns that stand side by side in the examples, by key.
    """
    if is_frame(baselines) or is_row(baselines):
        return of_frames(at_input(baselines), arrays, names)
    if isinstance(baselines, OfFrame):
        return baselines.recipe(arrays(baselines.frame))
    if isinstance(baselines, Several):
        return Several(tuple(of_frames(part, arrays, names) for part in baselines.parts))
    if isinstance(baselines, list | tuple) and not is_nested_list(baselines):
        return type(baselines)(of_frames(part, arrays, names) for part in baselines)
    if isinstance(baselines, dict):  # by selected tensor: a frame holds the columns of one
        found = {
            key: leaf for key, leaf in baselines.items() if is_frame(leaf) or (is_row(leaf) and len(names.get(key, ())) > 1)
        }
        leaves = arrays(found) if found else {}
        return {
            key: leaves[key] if key in leaves else of_frames(leaf, functools.partial(_of_key, arrays, key), names)
            for key, leaf in baselines.items()
        }
    if is_column(baselines) and list(getattr(baselines, "index", ())) not in ([], list(range(len(baselines)))):
        raise AttributionError(
            "a Series as a baseline goes by its index, the names of columns as text; for places in order give .to_numpy()"
        )
    return baselines


def _of_key(arrays: Callable[[Any], Any], key: Any, value: Any) -> Any:
    """A frame that is for the tensor `key` alone, as an array."""
    return arrays({key: value})[key] if is_frame(value) else arrays(value)


def resolve(
    baselines: Any,
    values: dict,
    inputs: dict,
    push: Callable[[dict], dict],
    seed: int | None,
    mark: bool = False,
    called: Callable[[], dict[str, Any]] = dict,
) -> References:
    """The references that `baselines` means.

    Args:
        baselines: None (zeros), a baseline, an array (...) or (n, ...), a list or `several` of those (averaged); with
            several selected tensors a list or dict of baselines, one for each.
        values: the selected tensors (n, ...) by key.
        inputs: the model's inputs (n, ...) by key.
        push: from model inputs by key to the selected tensors by key.
        seed: of random baselines.
        mark: whether those of a single example may be NaN or infinite.
        called: gives the key of a selected tensor for other names of it, such as that of the input whose tokens it embeds.

    Raises:
        AttributionError: wrong shape or structure, or not finite.
    """
    per_tensor = _per_tensor(baselines, list(values), called)
    default = all(isinstance(one, Baseline) and one.is_zeros for one in per_tensor.values())
    rng = NOTHING_DRAWN if default else np.random.default_rng(seed)
    pushed: dict[int, dict] = {}
    pushed_from: dict[int, dict] = {}

    def at_model_input(baseline: Baseline) -> dict:
        """One recipe's references at every selected tensor: drawn once, so that what belongs together stays together."""
        if id(baseline) not in pushed:
            made = _made_at_input(baseline, _made(baseline, inputs, rng), inputs)
            pushed_from[id(baseline)] = {name: np.ascontiguousarray(value) for name, value in made.items()}
            pushed[id(baseline)] = push(pushed_from[id(baseline)])
        return pushed[id(baseline)]

    tables, index, words, shared = {}, {}, {}, True
    for key, one in per_tensor.items():
        tables[key], index[key], words[key], same = _one(one, key, values, at_model_input, rng, mark)
        shared = shared and same
    index, count = _as_many(index)
    distinct = list(dict.fromkeys(words.values()))
    said = distinct[0] if len(distinct) == 1 else "; ".join(f"{key}: {text}" for key, text in words.items())
    (alone,) = pushed_from.values() if len({id(one) for one in per_tensor.values()}) == len(pushed_from) == 1 else (None,)
    return References(tables, index, count, shared, said, default, alone)


def _made(baseline: Baseline, values: Any, rng: np.random.Generator) -> Any:
    """What a recipe makes of arrays, which it may not change."""
    with code_of(f"the baseline ({baseline.words})", values.values() if isinstance(values, dict) else [values]):
        return baseline.make(values, rng)


def _finite_rows(table: np.ndarray) -> np.ndarray:
    """(m,), which rows are finite: of text and whole numbers all."""
    if table.dtype.kind != "f":
        return np.ones(len(table), bool)
    return np.asarray(np.isfinite(table).reshape(len(table), -1).all(1))


def _made_at_input(baseline: Baseline, made: Any, inputs: dict) -> dict:
    """What a recipe made of the model's inputs, where it is references that each of these can have."""
    if not isinstance(made, dict) or set(made) != set(inputs):
        keys = list(made) if isinstance(made, dict) else made
        raise AttributionError(
            f"the baseline ({baseline.words}) must make a dict with the model's inputs {list(inputs)}, got {keys!r}"
        )
    count = len(next(iter(inputs.values())))
    rows = (count,) if baseline.shared is False else (None,)
    found = {key: as_made(baseline.words, baseline.shared, value, rows, inputs[key].shape[1:]) for key, value in made.items()}
    lengths = {len(value) for value in found.values()}
    if len(lengths) > 1 or (baseline.shared is None and lengths - {1, count}):
        raise AttributionError(
            f"the baseline ({baseline.words}) must make as many references at each input, "
            f"{'one or one for each example' if baseline.shared is None else 'whatever their number'}; got {sorted(lengths)}"
        )
    return {key: found[key] for key in inputs}


def _as_many(index: dict[Any, np.ndarray]) -> tuple[dict[Any, np.ndarray], int]:
    """`index` with as many references at each selected tensor, one standing for all of another's; and how many."""
    count = max(part.shape[1] for part in index.values())
    for part in index.values():
        if part.shape[1] not in (1, count):
            raise AttributionError(
                f"the selected tensors have {part.shape[1]} and {count} baselines: give each the same number, or one"
            )
    return {key: np.broadcast_to(part, (part.shape[0], count)) for key, part in index.items()}, count


def _per_tensor(baselines: Any, keys: list, called: Callable[[], dict[str, Any]]) -> dict:
    """One baseline for each selected tensor."""
    single = keys == [None]
    if baselines is None or isinstance(baselines, Baseline | Several) or is_nested_list(baselines):
        return dict.fromkeys(keys, zeros() if baselines is None else baselines)
    if is_array(baselines):
        if len(keys) > 1:
            raise AttributionError(f"one array for {len(keys)} selected tensors: give a baseline for each, by key: {keys}")
        return {keys[0]: baselines}
    if isinstance(baselines, dict) and any(key not in keys for key in baselines):
        baselines = _by_key(baselines, called())
    if single:
        if isinstance(baselines, dict) and list(baselines) == [None]:
            return baselines
        if isinstance(baselines, dict):
            raise AttributionError("a dict of baselines for one selected tensor: give the baseline itself")
        return {None: Several(tuple(baselines))}
    leaves = flatten(baselines)
    unknown = [key for key in leaves if key not in keys]
    if unknown or (list(leaves) != keys and not isinstance(baselines, dict)):
        raise AttributionError(
            f"baselines by key {list(leaves)} for selected tensors {keys}; a list or ta.several of "
            "baselines for all: ta.several([...])"
        )
    return {key: leaves.get(key, zeros()) for key in keys}


def _by_key(baselines: dict, called: dict[str, Any]) -> dict:
    """Baselines by the keys of the selected tensors, where each was given by a name that means one of them; others stay as
    they are."""
    found, names = {}, {}
    for name, baseline in baselines.items():
        # an export's path holds the name of the layer
        options = [name] if name in called or not isinstance(name, str) else sorted(layer_names(name))
        meant = {called[option] for option in options if option in called}
        (key,) = meant if len(meant) == 1 else (name,)
        if key in found:
            raise AttributionError(f"two baselines for one tensor, by the names {names[key]!r} and {name!r}: give one of them")
        found[key], names[key] = baseline, name
    return found


def _one(baseline, key, values, at_model_input, rng, mark) -> tuple[np.ndarray, np.ndarray, str, bool]:
    """Table, index, words and whether shared, of one baseline at one tensor."""
    if isinstance(baseline, Several):
        parts = [_one(part, key, values, at_model_input, rng, mark) for part in baseline.parts]
        if not parts:
            raise AttributionError("an empty list of baselines")
        offsets = np.cumsum([0] + [len(part[0]) for part in parts])
        index = np.concatenate([part[1] + offset for part, offset in zip(parts, offsets[:-1], strict=True)], axis=1)
        words = " and ".join(dict.fromkeys(part[2] for part in parts))
        return np.concatenate([part[0] for part in parts]), index, f"mean over {words}", all(part[3] for part in parts)
    x = values[key]
    if callable(baseline) and not hasattr(baseline, "__array__"):
        name = getattr(baseline, "__name__", "f")
        raise AttributionError(f"the baseline is a function, {name!r}: give what it returns, such as ta.zeros()")
    if not isinstance(baseline, Baseline):
        baseline = given(as_array(baseline, "the baseline"), x)
    if baseline.at_model_input:
        table = at_model_input(baseline)[key]
        shared = len(table) == 1 if baseline.shared is None else baseline.shared
        table = table if shared else table[:, None]
    else:
        table, shared = _made(baseline, x, rng), bool(baseline.shared)
        table = as_made(baseline.words, baseline.shared, table, (None,) if shared else (len(x), None), x.shape[1:])
    if x.dtype == object:
        table = encoded(table)
    finite = _finite_rows(table)
    if not finite.all() and (shared or not mark):
        bad = few(np.flatnonzero(~finite))
        where = "" if shared else f" in example(s) {bad}; on_error='mark' marks them and does the others"
        raise AttributionError(f"the baseline ({baseline.words}) holds NaN or infinity{where}")
    if shared:
        index = np.broadcast_to(np.arange(len(table)), (len(x), len(table)))
    else:
        index = np.arange(table.shape[0] * table.shape[1]).reshape(table.shape[:2])
        table = table.reshape(-1, *x.shape[1:])
    return table.astype(x.dtype, copy=False), index, baseline.words, shared
