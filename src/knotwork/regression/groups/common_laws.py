"""Laws of one input that are common in science, with constants that are fitted from many starts."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from knotwork.formulas.constants import Constants, Sample, Template
from knotwork.formulas.starts import starts_of

COMMON_LAWS = {
    "a straight line": "a*x + b",
    "exponential decay or growth": "a*exp(b*x)",
    "exponential approach to a limit": "a*exp(b*x) + offset",
    "two exponentials": "a*exp(b*x) + c*exp(d*x)",
    "saturation (Michaelis-Menten)": "a*x/(x + b)",
    "saturation from an offset": "a*x/(x + b) + offset",
    "a hyperbola": "a/(x + b)",
    "logistic growth": "a/(1 + exp(b*(x - c)))",
    "logistic growth from an offset": "a/(1 + exp(b*(x - c))) + offset",
    "Gompertz growth": "a*exp(b*exp(c*x))",
    "the Hill equation": "a*x**b/(c + x**b)",
    "Arrhenius's law": "a*exp(b/x)",
    "a damped oscillation": "a*exp(b*x)*sin(c*x + d)",
    "an oscillation": "a*sin(b*x + c)",
    "an oscillation about an offset": "a*sin(b*x + c) + offset",
    "a power law": "a*x**b",
    "a power law from an offset": "a*x**b + offset",
    "a parabola": "a*x**2 + b*x + c",
    "a Gaussian peak": "a*exp(b*(x - c)**2)",
    "a Lorentzian peak": "a/((x - b)**2 + c)",
    "a rise and decay": "a*x*exp(b*x)",
}


def common_laws(sample: Sample, seed: int, keep: int) -> Iterator[tuple[str, int, list[Template]]]:
    """Each law that is defined on the rows of a sample with one input, its symbols, and its best fits.

    Symbols are those without an offset, as only the law itself has a name.
    """
    from knotwork.expressions import algebra, complexity, parse, symbol

    for words, text in COMMON_LAWS.items():
        expression: Any = parse(text)
        constants, size = Constants(), complexity(expression.xreplace({symbol("offset"): algebra.Integer(0)}))
        names = sorted(s.name for s in expression.free_symbols if s.name != "x")
        places = {symbol(name): constants(1.0) for name in names}
        law = expression.xreplace({**places, symbol("x"): symbol(next(iter(sample.columns)))})
        found = starts_of(law, list(constants.values), sample, seed, keep)
        if found:
            yield words, size, [replace(one, mse=float("inf")) for one in found]
