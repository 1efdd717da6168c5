"""The formula of a network whose edges are all named."""

from collections.abc import Sequence
from typing import Any

from knotwork.data import Dataset, as_dataset
from knotwork.errors import SpecError
from knotwork.formulas import Formula, measured
from knotwork.formulas.goals import LABELS, goal_of
from knotwork.formulas.simplest_form import simplified_output
from knotwork.functions import named_function
from knotwork.model import KANNetwork, on_cpu


def symbolic_formula(network: KANNetwork, data: object = None, *, simplify: bool = True, loss: str = "mse") -> Formula:
    """The formula of a network whose edges are all named, in the units of the columns.

    Args:
        network: a network whose edges all have names; it is not changed.
        data: the training data, for names of columns, the difference to the network and the errors of constants.
        simplify: True collects constants, drops terms that add less than 1e-8 of their sum, and replaces constants
            within 1e-7 of a simple number by it, where the error on the training rows does not grow. False gives
            the expression exactly as the network computes it.
        loss: that of the fit. With "cross_entropy" the targets are labels, and the formula gives their logits.

    Returns:
        The formula, with one expression for each output.

    Raises:
        SpecError: an edge is still a spline, or `data` are missing.
    """
    if data is None:
        raise SpecError(
            "symbolic_formula() compares formula and network on samples, and a model keeps none: pass data=."
        )
    network, data, goal = on_cpu(network), as_dataset(data).to("cpu"), goal_of(loss)
    raw = expressions_of(network, data)
    if simplify:
        if goal is LABELS and len(raw) > 1:
            raw = _against_shortest(raw)
        for n in range(len(raw)):
            raw = (*raw[:n], simplified_output(raw, data, n, goal), *raw[n + 1 :])
    return measured(raw, network, data, loss)


def expressions_of(network: KANNetwork, data: Dataset) -> tuple[Any, ...]:
    """Every output as an expression in the original columns, exactly as the network computes it."""
    from knotwork.expressions import compose, number, symbol

    spec = network.spec
    nodes = []
    for column in spec.inputs:
        name = symbol(data.input_names[column])
        if data.scaling is not None:
            name = (name - number(data.scaling.center[column])) / number(data.scaling.scale[column])
        nodes.append(name)
    for l, layer in enumerate(network.layers):
        left = (layer.mask > 0).nonzero().tolist()
        if left:
            i, j = left[0]
            raise SpecError(
                f"edge ({l}, {i}, {j}) and {len(left) - 1} more of layer {l} are still splines, which no formula can "
                "show: name them with fix_symbolic() or auto_symbolic(), or remove them with prune()."
            )
        sums = [number(0.0) for _ in range(spec.sums(l + 1))]
        for (source, target, name, _), constants in zip(layer.named, layer.affine.tolist(), strict=True):
            a, b, c, d = (number(v) for v in constants)
            sums[target] += c * compose(named_function(name).expression, a * nodes[source] + b) + d
        n_sums, n_products = spec.width[l + 1]
        nodes = sums[:n_sums]
        for p in range(n_products):
            product = number(1.0)
            for factor in sums[n_sums + p * spec.arity : n_sums + (p + 1) * spec.arity]:
                product *= factor
            nodes.append(product)
    return tuple(nodes)


def _against_shortest(logits: Sequence[Any]) -> tuple[Any, ...]:
    """The same probabilities with the shortest logit set to 0. Only differences of logits matter to the data.

    Common terms of the differences are combined where that leaves fewer constants.
    """
    from knotwork.expressions import algebra, complexity, float_constants

    least = min(logits, key=complexity)

    def difference(one: Any) -> Any:
        ways = [one - least, algebra.expand(one - least)]
        return min(ways, key=lambda way: (len(float_constants(way)), complexity(way)))

    return tuple(algebra.Integer(0) if one is least else difference(one) for one in logits)
