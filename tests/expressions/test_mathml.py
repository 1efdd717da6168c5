"""The MathML for a browser shows the expression, and names of variables add no markup."""

import html
import math
import re
from xml.etree import ElementTree

import html5lib
import numpy as np
import pytest
import sympy

from knotwork.expressions import mathml, parse, to_numpy

WORDS = {"arcsin": "math.asin", "arctan": "math.atan", "arctanh": "math.atanh", "max": "max", "min": "min"}
SIGNS = {"·": "*", "\u2062": "*", "+": "+", "−": "-", "(": "(", ")": ")", ",": ",", "|": "|"}


def python(node, names):
    """Presentation MathML as Python code, element by element."""
    children = list(node)
    parts = [python(child, names) for child in children]
    text = node.text or ""
    match node.tag:
        case "mrow" if [child.text for child in children[:1]] == ["|"]:
            return f"abs({parts[1]})"
        case "mrow" if children and children[0].tag == "msup" and children[0][0].text in ("sin", "cos", "tanh"):
            return f"({python(children[0][0], names)}{parts[1]}**{python(children[0][1], names)})"
        case "mrow":
            return f"({''.join(parts)})"
        case "mfrac":
            return f"(({parts[0]})/({parts[1]}))"
        case "msqrt":
            return f"math.sqrt({''.join(parts)})"
        case "msup":
            return f"(({parts[0]})**({parts[1]}))"
        case "msub":
            return names[f"{children[0].text}_{children[1].text}"]
        case "mn":
            return text
        case "mo":
            return (SIGNS | WORDS)[text]
        case "mi" | "mtext" if text in names:
            return names[text]
        case "mi":
            return {"π": "math.pi", "e": "math.e"}.get(text) or WORDS.get(text) or f"math.{text}"
    raise AssertionError(f"<{node.tag}>{text} is not expected here")


@pytest.mark.parametrize(
    "text",
    [
        "exp(sin(pi*x) + theta**2)",
        "0.25*x/theta - sqrt(speed) + 1.2345e-7*x - 3",
        "1/(1 + exp(-x)) - abs(x - theta)",
        "2.3*exp(-1.5*x**2)*theta",
        "-x**3*theta/4 + speed**1.5",
        "2*sin(x)**2*cos(theta)**3 - tanh(speed)",
        "asin(x/9)*atanh(theta/9) - atan(speed)",
        "max(x, theta) - min(x, speed)",
        "(x + 1)**2/(theta - speed)**3",
        "-2.5",
        "-x",
        "e*x + log(theta)/log(2)",
        "x_1*2 + y_12 - x_1/(0.3*x + 2.1)",
        "-exp(-x) - 2*theta",
        "-0.5*(x + 1.7)*(theta - speed)*(sin(1.3*x + 1) - 2)",
        "2*x*speed*sin(x)*theta**2*exp(x)*(x + 1)**2 - 3*cos(x)/x*tanh(theta)",
        "-(x + 1)*(theta + 2) + 20000.0*x",
    ],
)
def test_the_typeset_formula_has_the_value_of_the_expression(text):
    expression = parse(text)
    values = {"x": 0.31, "theta": 0.72, "speed": 1.9, "x_1": 0.44, "y_12": 0.83}
    names = {name.replace("theta", "θ"): str(value) for name, value in values.items()}
    row = html.unescape(f"<mrow>{''.join(mathml(expression))}</mrow>")
    typeset = eval(python(ElementTree.fromstring(row), names), {"math": math, "abs": abs, "max": max, "min": min})
    expected = to_numpy(expression, list(values))(*(np.array(v) for v in values.values()))
    assert typeset == pytest.approx(float(expected), rel=1e-12)


def test_a_sum_is_split_into_terms_with_their_signs():
    assert [re.sub("<.*?>", "", piece) for piece in mathml(parse("x**2 - 3*y + 1"))] == [
        "x2",
        "−3&InvisibleTimes;y",
        "+1",
    ]


def test_a_product_is_split_only_before_brackets_and_functions():
    pieces = [
        re.sub("<.*?>", "", piece).replace("&InvisibleTimes;", "") for piece in mathml(parse("-2*x*y*(x + 1)*sin(y)"))
    ]
    assert pieces == ["−2xy", "(x+1)", "sin(y)"]
    assert len(mathml(parse("sin(x)*(x + 1)/y"))) == 1


def test_bessel_functions_and_signs_have_their_usual_names():
    assert [re.sub("<.*?>", "", piece) for piece in mathml(parse("J0(x) + sign(y)"))] == ["J0(x)", "+sgn(y)"]


@pytest.mark.parametrize(
    "name",
    [
        "<script>alert(1)</script>",
        "</math><img src=x>",
        "&pi;",
        "a<b>c_2",
        "\"quoted\" & 'more'",
        "$x_1^2$ \\frac",
        "ΔT שלום 😀",
        "<mn>-3</mn>",
    ],
)
def test_names_with_special_characters_are_plain_text(name):
    pieces = mathml(2 * sympy.Symbol(name) ** 2 + sympy.Symbol(name) / 3)
    parser = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False)
    tree = parser.parse(f"<!DOCTYPE html><title>t</title><p>{''.join(f'<math>{piece}</math>' for piece in pieces)}")
    elements = [element for element in tree.iter() if isinstance(element.tag, str)]
    assert {e.tag.split("}")[-1] for e in elements if "Math" in e.tag} == {
        "math",
        "mrow",
        "mfrac",
        "msup",
        "mtext",
        "mn",
        "mo",
    }
    assert [e.text for e in elements if e.tag.endswith("mtext")] == [name, name]
    assert not any(e.tag.endswith(("script", "img", "b")) for e in elements)


def test_a_dot_separates_long_names():
    (piece,) = mathml(sympy.Symbol("voltage") * sympy.Symbol("current"))
    assert re.sub("<.*?>", "", piece) == "current&#xB7;voltage"
    long = mathml(sympy.Symbol("voltage") * (sympy.Symbol("current") + 1))
    assert [re.sub("<.*?>", "", piece) for piece in long] == ["voltage", "·(current+1)"]
