"""A flat graph and the table of rules to a marked graph: each operation says by which rule gradients pass it.

For DeepLIFT the graph is also paired. What depends on the selected tensors is there twice: `a` at the input, `at_reference/a`
at the reference; the rest is shared. Bodies of loops and branches are paired in the same way: a loop stays one operation whose
varying variables are doubled, and gradients find the partner of an operation in its body. Nothing assumes which axis counts
examples. Only the operations at the input are marked, and gradients never enter the others.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from ...common.types import present
from ...graph.graphdef import nodes
from ...graph.graphdef.bodies import BRANCHES, LOOPS, Dependence, FlatBody, arguments_behind, counts_rounds, starts, without
from ...graph.graphdef.flatten import Flat, nested
from .marking import COUNTED_OTHERWISE, Marked, carries, limited_roots, reason_for, source_of
from .rules import table
from .rules.chains import find_chains
from .rules.common import REFERENCE
from .rules.elementwise import LIMIT
from .rules.exponents import exponents, inverse_among
from .rules.reveal_cancel import CHAIN, RESHAPES, SHIFTS

# The counter and the number of iterations, which TensorFlow's gradient of a loop looks for in these places.
LOOP_HEAD = 2
VARYING_CONDITION = "its condition depends on the selected tensors"


class _View:
    """What is written of one body: where each tensor of the flat body is, at the input and at the reference."""

    def __init__(self, body: FlatBody, varying: set[str], write: Callable, where: str, cancel: bool) -> None:
        self.body, self.varying, self.write, self.where = body, varying, write, where
        self.used = {reference for node in body.nodes.values() for reference in node.input} | set(body.returns)
        self.chains = self._by_the_library(find_chains(body, varying) if cancel else {})
        self.followers = {name for chain in self.chains.values() for name in chain}
        self.limits = self._by_the_library(limited_roots(body, varying))
        self.limited = {name for behind in self.limits.values() for name in behind}
        self.powers = exponents(body, varying)
        self.at_input: dict[str, str] = {}
        self.at_reference: dict[str, str] = {}

    def _by_the_library(self, chains: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
        """The chains of operations that one rule of the library takes together, none of which has an added rule."""
        added = table.RULES.added
        return {
            head: behind
            for head, behind in chains.items()
            if not any(self.body.nodes[name].op in added for name in (head, *behind))
        }

    def input(self, reference: str) -> str:
        return self.at_input.get(reference, reference)

    def reference(self, reference: str) -> str:
        if reference not in self.varying:
            return self.input(reference)
        return self.at_reference.get(reference, REFERENCE + reference)

    def add(self, node: Any, name: str, inputs: Iterable[str]) -> Any:
        """Writes a copy of `node`, without any mark."""
        new = self.write()
        new.CopyFrom(node)
        new.name, new.input[:] = name, list(inputs)
        for key in ("_gradient_op_type", "_output_shapes"):
            if key in new.attr:
                del new.attr[key]
        return new

    def twice(self, node: Any) -> Any:
        """Writes `node` at the input and at the reference; returns the former."""
        copy = self.add(node, node.name, map(self.input, node.input))
        self.add(node, REFERENCE + node.name, map(self.reference, node.input))
        return copy

    def insert(self, name: str, operation: str, inputs: list[str], types: dict[str, int | list[int]]) -> Any:
        """Writes an operation of ours, varying, twice; its inputs are references of the flat body."""
        node = tf.compat.v1.NodeDef(name=name, op=operation, input=inputs)
        for key, value in types.items():
            if isinstance(value, list):
                node.attr[key].list.type.extend(value)
            else:
                node.attr[key].type = value
        count = len(kinds) if isinstance(kinds := types.get("T"), list) else 1
        self.varying.update(f"{name}:{number}" for number in range(count))
        return self.twice(node)


class Pairing:
    """Writes the paired graph of a flat one.

    Args:
        flat: the graph.
        selected: references of the selected tensors, which are fed; that of one at the reference is `at_reference/` before it.
        cancel: RevealCancel where it applies, instead of Rescale.

    Attributes:
        graph: the paired graph.
        references: those of `flat`, at the input.
        marked: every operation on the path, with its rule.
    """

    def __init__(self, flat: Flat, selected: Iterable[str], cancel: bool = False) -> None:
        self._depends = Dependence({function.signature.name: function for function in flat.graph.library.function})
        self._cancel, self._number = cancel, 0
        self.marked: list[Marked] = []
        self.graph = tf.compat.v1.GraphDef()
        self.graph.versions.CopyFrom(flat.graph.versions)
        body = FlatBody({node.name: node for node in flat.graph.node}, (), tuple(flat.references))
        view = _View(body, self._depends.dependent(body, set(selected), finite=True), self.graph.node.add, "", cancel)
        self._write(view)
        self.references = tuple(view.input(reference) for reference in flat.references)

    def _write(self, view: _View) -> None:
        """Writes the nodes of a body, those that vary twice."""
        for node in view.body.ordered():
            inputs = nodes.data_inputs(node)
            # not so where an output is selected, and fed, and others are used as they are: features of serialized examples
            behind = any(reference in view.varying for reference in inputs)
            if node.op in LOOPS:
                self._write_loop(node, inputs, view)
            elif node.op in BRANCHES:
                self._write_branch(node, inputs, view)
            elif behind and any(f"{node.name}:{number}" in view.varying for number in range(self._count(node))):
                self._mark(node, view.twice(node), [reference in view.varying for reference in inputs], view)
            else:
                controls = [reference for reference in node.input if reference.startswith("^")]
                view.add(node, node.name, [*map(view.input, inputs), *controls])

    def _count(self, node: Any) -> int:
        """How many outputs a node has."""
        return len(nodes.dtypes(node, self._depends.library))

    def _mark(self, node: Any, copy: Any, varies: list[bool], view: _View) -> None:
        """Says by which rule gradients pass `copy`, and notes where there is none."""
        if not carries(node, self._depends.library):
            return  # a comparison, an index: it counts where a float tensor comes of it
        rule, reason = self._rule(node, [position for position, yes in enumerate(varies) if yes], view)
        if rule is None or reason:
            self._note(view, node, None, reason)
            return
        if rule.gradient is not None:
            copy.attr["_gradient_op_type"].s = rule.gradient.encode()
        if rule is table.CANCEL:
            copy.attr[CHAIN].list.s.extend(name.encode() for name in view.chains[node.name])
        if rule is table.LIMITED:
            copy.attr[LIMIT].s = " ".join(view.limits[node.name]).encode()
        self._note(view, node, rule)

    def _rule(self, node: Any, varying: list[int], view: _View) -> tuple[table.OperationRule | None, str]:
        """The rule of an operation, or why it has none."""
        of_complex = nodes.is_complex(node, self._depends.library)
        if node.op in table.RULES.added:
            rule = table.rule_for(node.op, varying, of_complex)
            return rule, "" if rule else reason_for(node, varying, rule)
        if node.name in view.chains:
            return table.CANCEL, ""
        if node.name in view.followers and node.op not in RESHAPES | SHIFTS:
            return table.WITHIN, ""
        if node.name in view.limits:
            return table.LIMITED, ""
        if node.name in view.limited:
            return table.OF_ROOT, ""
        compared = self._comparison(node, view) if varying[0] == 0 else None
        if compared is not None and node.op == "Cast":
            self._step(view, node.name, f"{node.name}:0", compared, node.attr["DstT"].type)
            return table.STEPS, ""
        if compared is not None and node.op == "SelectV2":
            self._choice(view, node, compared)
            return table.CHOICE, ""
        if (
            not of_complex
            and len(varying) == 2
            and (position := inverse_among(node, view.powers)) is not None
            and (node.op in table.WITH_INVERSE)
            and table.WITH_INVERSE[node.op][position] is not None
        ):
            return table.WITH_INVERSE[node.op][position], ""
        if node.op in ("Select", "SelectV2") and varying[0] == 0 and present(source_of(node, view.body)).op in table.SANITY:
            varying = varying[1:]
        rule = table.rule_for(node.op, varying, of_complex)
        return rule, reason_for(node, varying, rule)

    def _comparison(self, node: Any, view: _View) -> Any | None:
        """The comparison of floats that the first input of `node` is, if it is one."""
        source = source_of(node, view.body)
        of_floats = source is not None and source.op in table.COMPARISONS and nodes.is_floating(source.attr["T"].type)
        return source if of_floats else None

    def _step(self, view: _View, name: str, value: str, comparison: Any, dtype: int) -> str:
        """Puts a step of u - v in the place of `value`, a comparison of u with v as 0 or 1; returns where it is."""
        kind = comparison.attr["T"].type
        view.insert(f"{name}/difference", "Sub", nodes.data_inputs(comparison), {"T": kind})
        step = view.insert(f"{name}/step", "IdentityN", [value, f"{name}/difference:0"], {"T": [dtype, kind]})
        step.attr["_gradient_op_type"].s = table.STEP.encode()
        view.at_input[value], view.at_reference[value] = f"{name}/step:0", f"{REFERENCE}{name}/step:0"
        return f"{name}/step:0"

    def _choice(self, view: _View, node: Any, comparison: Any) -> None:
        """Puts in the place of a choice one that hands multipliers to its condition, too."""
        name, dtype = node.name, node.attr["T"].type
        condition, first, second = nodes.data_inputs(node)
        view.insert(f"{name}/condition", "Cast", [condition], {"SrcT": tf.bool.as_datatype_enum, "DstT": dtype})
        step = self._step(view, f"{name}/condition", f"{name}/condition:0", comparison, dtype)
        choice = view.insert(f"{name}/choice", "IdentityN", [f"{name}:0", step, first, second], {"T": [dtype] * 4})
        choice.attr["_gradient_op_type"].s = table.VARYING_SELECT.encode()
        view.at_input[f"{name}:0"], view.at_reference[f"{name}:0"] = f"{name}/choice:0", f"{REFERENCE}{name}/choice:0"

    def _note(self, view: _View, node: Any, rule: table.OperationRule | None, reason: str = "") -> None:
        words, source = ("", "") if rule is None else (rule.words, rule.source)
        self.marked.append(Marked(view.where + node.name, node.op, words or None, source, reason))

    def _write_loop(self, node: Any, inputs: list[str], view: _View) -> None:
        """Writes a loop with its varying variables doubled, those at the reference behind the others."""
        varying = self._depends.loop(node, [reference in view.varying for reference in inputs])
        kept = sorted(self._needed(node, view.used))
        doubled = [number for number in kept if varying[number]]
        loop = view.add(
            node,
            node.name,
            [*(view.input(inputs[number]) for number in kept), *(view.reference(inputs[number]) for number in doubled)],
        )
        for key in ("T", "output_shapes"):
            _pick(loop, node, key, kept + doubled)
        loop.attr.pop("_read_only_resource_inputs", None)  # positions, which are others now
        # what is behind this number has no gradient: the variables at the reference
        loop.attr["_num_original_outputs"].i = len(kept)
        for key, results in (("cond", ([0], [])), ("body", (kept, doubled))):
            where = f"{view.where}{node.name}/{key}/"
            loop.attr[key].func.name = self._write_function(node.attr[key].func.name, tuple(varying), kept, *results, where)
        _place(view, node, kept, doubled)
        if doubled:
            stops = self._depends.returned(node.attr["cond"].func.name, tuple(varying))[0]
            counted = counts_rounds(self._depends.body(node.attr["body"].func.name))
            why = VARYING_CONDITION if stops else "" if counted else COUNTED_OTHERWISE
            self._note(view, node, None if why else table.LOOP, why)

    def _needed(self, node: Any, used: set[str]) -> set[int]:
        """The variables of a loop that something needs: gradients that were taken in the graph before left others in it."""
        body, condition = (self._depends.body(node.attr[key].func.name) for key in ("body", "cond"))
        of_body, count = arguments_behind(body), len(body.returns)
        needed = set(range(min(LOOP_HEAD, count))) | arguments_behind(condition)[0]
        needed |= {number for number in range(count) if f"{node.name}:{number}" in used}
        while True:
            more = needed.union(*(of_body[number] for number in needed))
            if more == needed:
                return needed
            needed = more

    def _write_branch(self, node: Any, inputs: list[str], view: _View) -> None:
        """Writes a branch with its varying arguments and results doubled."""
        varying = [reference in view.varying for reference in inputs]
        results = self._depends.branches(node, varying)
        given, doubled = list(range(len(inputs) - 1)), [number for number, yes in enumerate(varying[1:]) if yes]
        kept, twice = list(range(len(results))), [number for number, yes in enumerate(results) if yes]
        branch = view.add(node, node.name, [*map(view.input, inputs), *(view.reference(inputs[1 + one]) for one in doubled)])
        branch.attr.pop("_read_only_resource_inputs", None)
        for key, positions in (("Tin", given + doubled), ("Tout", kept + twice), ("output_shapes", kept + twice)):
            _pick(branch, node, key, positions)
        for number, (key, name) in enumerate(nodes.functions_of(node)):
            where = f"{view.where}{node.name}/{key}/"
            made = self._write_function(name, tuple(varying[1:]), given, kept, twice, where, stop=True)
            (branch.attr[key].func if key in branch.attr else branch.attr["branches"].list.func[number]).name = made
        _place(view, node, kept, twice)
        if twice:
            self._note(view, node, None if varying[0] else table.BRANCH, VARYING_CONDITION if varying[0] else "")

    def _write_function(
        self,
        name: str,
        varying: tuple[bool, ...],
        arguments: list[int],
        results: list[int],
        doubled: list[int],
        where: str,
        stop: bool = False,
    ) -> str:
        """Writes a function paired; returns its new name.

        Args:
            varying: which of its arguments vary.
            arguments, results: positions of those that are kept.
            doubled: positions of results that are doubled.
            stop: whether gradients that come in at the reference must be stopped.
        """
        body, old = self._depends.body(name), self._depends.library[name]
        function = self.graph.library.function.add()
        self._number += 1
        function.signature.name = f"{name}_paired_{self._number}"
        for key, value in old.attr.items():
            function.attr[key].CopyFrom(value)
        kept = without(body, set(range(len(varying))) - set(arguments), results)
        dependent = self._depends.dependent(body, starts(body.arguments, varying))
        view = _View(kept, dependent, function.node_def.add, where, self._cancel)
        both = [(number, False) for number in arguments] + [(number, True) for number in arguments if varying[number]]
        for position, (number, at_reference) in enumerate(both):
            argument = function.signature.input_arg.add()
            argument.CopyFrom(old.signature.input_arg[number])
            if number in old.arg_attr:
                function.arg_attr[position].CopyFrom(old.arg_attr[number])
            if at_reference:
                argument.name += "_at_reference"
                view.at_reference[f"{body.arguments[number]}:0"] = f"{argument.name}:0"
        self._write(view)
        _return(function, old, view, results, doubled, stop)
        return function.signature.name


def _return(function: Any, old: Any, view: _View, results: list[int], doubled: list[int], stop: bool) -> None:
    """Writes what a paired function returns, and turns its references into those of a function."""
    made = {node.name: node for node in function.node_def}
    for number, at_reference in [(number, False) for number in results] + [(number, True) for number in doubled]:
        output = function.signature.output_arg.add()
        output.CopyFrom(old.signature.output_arg[number])
        output.name += "_at_reference" if at_reference else ""
        found = (view.reference if at_reference else view.input)(view.body.returns[number])
        if at_reference and stop:
            node = function.node_def.add()
            node.name, node.op, node.input[:] = f"{REFERENCE}returned_{number}", "StopGradient", [found]
            node.attr["T"].type = output.type
            made[node.name], found = node, f"{node.name}:0"
        function.ret[output.name] = nested(made, found)
    for node in function.node_def:
        node.input[:] = [nested(made, reference) for reference in node.input]


def _pick(node: Any, old: Any, key: str, positions: list[int]) -> None:
    """Gives `node` those entries of the list `key` of `old` that are at these positions."""
    for kind in ("type", "shape") if key in old.attr else ():
        values = list(getattr(old.attr[key].list, kind))
        if values:
            node.attr[key].list.ClearField(kind)
            getattr(node.attr[key].list, kind).extend(values[number] for number in positions)


def _place(view: _View, node: Any, kept: list[int], doubled: list[int]) -> None:
    """Notes where the outputs of a loop or branch went."""
    for position, number in enumerate(kept):
        view.at_input[f"{node.name}:{number}"] = f"{node.name}:{position}"
    for position, number in enumerate(doubled, len(kept)):
        view.at_reference[f"{node.name}:{number}"] = f"{node.name}:{position}"
