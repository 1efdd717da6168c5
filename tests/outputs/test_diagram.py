"""A diagram shows the edges of a network, their scores and their names, and no removed edges."""

import itertools

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb

import knotwork as kw
from knotwork.drawing.curves import thinned
from knotwork.drawing.figure import RED
from knotwork.errors import SpecError
from knotwork.model import KANNetwork, Spec, parse_width, trace
from knotwork.outputs import diagram, pen
from knotwork.outputs.arrangement import crossings, nodes_of_sums, places_of_factors, untangled
from knotwork.outputs.diagram import FAINTEST, telling_beta
from knotwork.simplify import Scores, attribute

HOSTILE = "<b>&$x_1$"


def network(width, seed=0, **settings):
    generator = torch.Generator().manual_seed(seed)
    return KANNetwork(Spec(parse_width(width), **settings), generator=generator)


def rows(columns, n=200):
    return 2 * torch.rand(n, columns, generator=torch.Generator().manual_seed(1), dtype=torch.float64) - 1


def parts(figure, kind):
    """The collections of one kind, layer by layer."""
    found = [c for c in figure.axes[0].collections if str(c.get_gid()).startswith(kind + "_")]
    return sorted(found, key=lambda c: c.get_gid())


def paths(figure, kind):
    return [path.vertices for collection in parts(figure, kind) for path in collection.get_paths()]


def opacities(figure, kind):
    return [collection.get_edgecolor()[:, 3] for collection in parts(figure, kind)]


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts if text.get_gid() != "height"]


@pytest.mark.parametrize(
    ("width", "arity"), [([2, 1], 2), ([2, 5, 1], 2), ([3, (0, 1), 1], 3), ([2, (3, 2), (1, 1)], 2), ([17, 1, 14], 2)]
)
def test_every_edge_has_a_curve_a_frame_and_a_line(width, arity):
    model = network(width, arity=arity)
    figure = diagram(model, rows(width[0]))
    edges = sum(int(layer.active().sum()) for layer in model.layers)
    assert [len(paths(figure, kind)) for kind in ("curves", "frames", "lines")] == [edges] * 3


@pytest.mark.parametrize("width", [[2, 5, 1], [2, 5, 5, 1], [10, 20, 5], [17, 1, 14], [40, 3, 1], [2, (3, 2), 1]])
def test_frames_never_overlap_and_stay_on_the_sheet(width):
    figure = diagram(network(width), rows(width[0], 20), show_values=True)
    corners = np.array([[p[:4].min(0), p[:4].max(0)] for p in paths(figure, "frames")])
    low, high = corners[:, 0], corners[:, 1]
    apart = (low[:, None] >= high[None] - 1e-9) | (low[None] >= high[:, None] - 1e-9)
    assert (apart.any(-1) | np.eye(len(low), dtype=bool)).all()
    assert (low > 0).all()
    assert (high < figure.get_size_inches()).all()


def test_a_line_goes_from_its_source_through_its_frame_to_its_target():
    model = network([2, 3, 1])
    model.layers[0].remove_edge(0, 1)
    figure = diagram(model, rows(2), untangle=False)
    (layer, _), (frames, _) = parts(figure, "lines"), parts(figure, "frames")
    lines = [path.vertices for path in layer.get_paths()]
    centres = [path.vertices[:4].mean(0) for path in frames.get_paths()]
    starts, ends = np.array([line[0] for line in lines]), np.array([line[-1] for line in lines])
    source, target = model.layers[0].active().nonzero().numpy().T
    for points, nodes in ((starts, source), (ends, target)):
        places = np.unique(points.round(9), axis=0)  # one for each node, from left to right
        np.testing.assert_allclose(points, places[nodes])
    assert np.allclose([line[1, 0] for line in lines], [x for x, _ in centres])
    assert (starts[:, 1] < min(y for _, y in centres)).all()
    assert (ends[:, 1] > max(y for _, y in centres)).all()


def test_a_curve_is_the_edge_over_the_sampled_inputs():
    model, x = network([2, 2, 1]), rows(2, 60)
    seen = trace(model, x).layers[0]
    figure = diagram(model, x)
    for path, (source, target) in zip(parts(figure, "curves")[0].get_paths(), seen.active.nonzero(), strict=True):
        inputs, order = seen.inputs[:, source].sort()
        drawn = path.vertices
        unit = (drawn - drawn.min(0)) / np.ptp(drawn, axis=0)
        at = inputs[0].item() + unit[:, 0] * (inputs[-1] - inputs[0]).item()
        values = seen.edges[order, source, target].detach().numpy()
        expected = np.interp(at, inputs.numpy(), values)  # exact, because the drawn points are samples
        np.testing.assert_allclose(unit[:, 1], (expected - values.min()) / np.ptp(values), atol=1e-9)


@pytest.mark.parametrize("beta", [0.5, 3.0, 50.0])
def test_opacity_is_tanh_of_beta_times_the_score(beta):
    model, x = network([3, 4, 2]), rows(3)
    scores = attribute(model, x)
    figure = diagram(model, x, beta=beta)
    expected = [np.maximum(FAINTEST, np.tanh(beta * edges.flatten().numpy())) for edges in scores.edges]
    for kind in ("curves", "frames", "lines"):
        for drawn, law in zip(opacities(figure, kind), expected, strict=True):
            np.testing.assert_allclose(drawn, law, rtol=1e-12)


@pytest.mark.parametrize(("width", "least"), [([30, 5, 1], 0.9), ([2, 1], 0.9), ([30, 30, 1], 0.0)])
def test_the_automatic_beta_makes_the_strongest_edge_of_every_layer_visible(width, least):
    model, x = network(width), rows(width[0])
    beta = telling_beta(attribute(model, x))
    strongest = [float(layer.max()) for layer in opacities(diagram(model, x, beta=beta), "lines")]
    assert min(strongest) > least and (beta > 3) == (width == [30, 5, 1])
    nothing = Scores((torch.zeros(2, 1),), (torch.zeros(2), torch.zeros(1)), torch.zeros(2), "paper")
    assert telling_beta(nothing) == 3


def test_scores_may_be_given_and_an_edge_of_score_zero_stays_visible():
    model, x = network([2, 2, 1]), rows(2)
    edges = (torch.tensor([[0.0, 0.1], [float("nan"), 9.0]]), torch.tensor([[1.0], [0.0]]))
    scores = Scores(edges, (torch.ones(2), torch.ones(2), torch.ones(1)), torch.ones(2), "paper")
    first, second = opacities(diagram(model, x, scores=scores), "curves")
    np.testing.assert_allclose(first, [FAINTEST, np.tanh(0.3), FAINTEST, 1.0], rtol=1e-6)
    np.testing.assert_allclose(second, [np.tanh(3.0), FAINTEST], rtol=1e-6)


def test_values_are_written_on_request():
    model, x = network([2, 1]), rows(2)
    written = {f"{score:.2g}" for score in attribute(model, x, "paper").edges[0].flatten().tolist()}
    assert written <= set(texts(diagram(model, x, method="paper", show_values=True)))
    assert not written & set(texts(diagram(model, x, method="paper")))


def test_heights_of_curves_that_are_added_compare():
    model, x = network([2, 2, 1]), rows(2)
    with torch.no_grad():
        model.layers[0].coefficients[0] *= 0.1  # both edges of the first input
    seen = trace(model, x).layers[0].edges.detach().numpy()
    figure = diagram(model, x)
    drawn = [np.ptp(path.vertices[:, 1]) for path in parts(figure, "curves")[0].get_paths()]
    ranges = np.ptp(seen, axis=0)
    np.testing.assert_allclose(drawn / max(drawn), (ranges / ranges.max(0)).flatten(), rtol=1e-2)  # of fewer points
    heights = [float(text.get_text()) for text in figure.axes[0].texts if text.get_gid() == "height"]
    np.testing.assert_allclose(heights[:4], np.tile(ranges.max(0), 2), rtol=0.05)


def test_removed_edges_are_not_drawn():
    model = network([2, 5, 1])
    model.layers[0].remove_edge(1, 3)
    model.layers[1].remove_edge(2, 0)
    figure = diagram(model, rows(2))
    assert [len(c.get_paths()) for c in parts(figure, "curves")] == [9, 4]
    assert [len(c.get_paths()) for c in parts(figure, "lines")] == [9, 4]


def test_a_network_without_edges_is_drawn_as_nodes():
    model = network([2, 1])
    model.layers[0].remove_edge(0, 0)
    model.layers[0].remove_edge(1, 0)
    figure = diagram(model, rows(2))
    figure.draw_without_rendering()
    assert paths(figure, "curves") == []
    assert texts(figure) == ["$x_{1}$", "$x_{2}$", "$y$"]


def test_a_named_edge_is_red_and_labelled():
    model = network([2, 2, 1])
    model.layers[0].name_edge(1, 0, "sin", torch.tensor([3.0, 0.0, 1.0, 0.0]))
    model.layers[1].name_edge(1, 0, "x^2", torch.tensor([1.0, 0.0, 1.0, 0.0]))
    figure = diagram(model, rows(2))
    red = [np.allclose(c[:3], to_rgb(RED)) for layer in parts(figure, "curves") for c in layer.get_edgecolor()]
    assert red == [False, False, True, False, False, True]
    label = next(text for text in figure.axes[0].texts if text.get_text() == "sin")
    frame = parts(figure, "frames")[0].get_paths()[2].vertices[:4]
    x, y = label.get_position()
    assert x == pytest.approx(frame[:, 0].mean())
    assert 0 < y - frame[:, 1].max() < 0.1
    assert "$x^{2}$" in texts(figure)


def test_named_curves_look_as_their_names_say():
    """-x² and exp(-x) lead to hidden nodes that are turned; a curve that leads to the output keeps its sign."""
    model, x = network([2, 2, 1]), rows(2)
    for edge, name, constants in (((0, 0), "x^2", (2, 0, -1, 0)), ((1, 1), "sin", (-1, 0, 1, 0))):
        model.layers[0].name_edge(*edge, name, torch.tensor(constants, dtype=torch.float64))
    model.layers[0].remove_edge(0, 1)
    model.layers[0].remove_edge(1, 0)
    model.layers[1].name_edge(0, 0, "exp", torch.tensor([-1.0, 0.0, 1.0, 0.0]))
    model.layers[1].name_edge(1, 0, "x^2", torch.tensor([1.0, 0.0, -1.0, 0.0]))

    def shown(**settings):
        figure = diagram(model, x, **settings)
        square, sine, exponential, last = (p[np.argsort(p[:, 0])][:, 1] for p in paths(figure, "curves"))
        middle = len(square) // 2
        opens = square[middle] < min(square[0], square[-1]), last[len(last) // 2] < min(last[0], last[-1])
        return [*opens, sine[-1] > sine[0], exponential[-1] > exponential[0]], texts(figure)[:4]

    assert shown() == ([True, False, True, True], ["$x^{2}$", "sin", "exp", "$-x^{2}$"])
    own = ["$-x^{2}$", "\N{MINUS SIGN}sin", "exp(\N{MINUS SIGN}x)", "$-x^{2}$"]
    assert shown(untangle=False) == ([False, False, False, False], own)


def test_hidden_nodes_are_ordered_so_that_lines_do_not_cross():
    model = network([3, (2, 1), 1])
    for source in range(3):
        for target in range(4):  # input 0 leads to the second sum, input 1 to the first, input 2 to the factors
            if (source, target) not in ((0, 1), (1, 0), (2, 2), (2, 3)):
                model.layers[0].remove_edge(source, target)

    def crossed(**settings):
        ends = [line[[0, -1], 0] for line in paths(diagram(model, rows(3), **settings), "lines")[:4]]
        return sum((a[0] - b[0]) * (a[1] - b[1]) < 0 for a, b in itertools.combinations(ends, 2))

    assert crossed() == 0 and crossed(untangle=False) == 1


@pytest.mark.parametrize("seed", range(5))
def test_an_order_has_no_more_crossings_and_leaves_inputs_outputs_and_factors(seed):
    rng = np.random.default_rng(seed)
    width, arity = ((4, 0), (3, 2), (2, 3), (2, 0)), 2
    edges = [
        np.argwhere(rng.random((sum(below), above[0] + arity * above[1])) < 0.35)
        for below, above in itertools.pairwise(width)
    ]
    ends = [
        np.column_stack([pairs[:, 0], nodes_of_sums(*above, arity)[pairs[:, 1]]])
        for pairs, above in zip(edges, width[1:], strict=True)
    ]
    places = untangled(width, arity, edges)
    own = [np.arange(sum(nodes)) for nodes in width]
    assert [sorted(place) for place in places] == [list(place) for place in own]
    assert all(set(place[:sums]) == set(range(sums)) for place, (sums, _) in zip(places, width, strict=True))
    assert (places[0] == own[0]).all() and (places[-1] == own[-1]).all()
    fewest = min(
        crossings([own[0], np.r_[a, 3 + np.array(b)], np.r_[c, 2 + np.array(d)], own[3]], ends)
        for a, b, c, d in itertools.product(*(list(itertools.permutations(range(n))) for n in (3, 2, 2, 3)))
    )
    assert fewest <= crossings(places, ends) <= min(crossings(own, ends), 1.2 * fewest + 1)


def test_named_edges_of_a_large_network_are_labelled_next_to_their_lines():
    model = network([20, 20, 1])
    model.layers[0].name_edge(3, 4, "gaussian", torch.tensor([3.0, 0.0, 1.0, 0.0]))
    figure = diagram(model, rows(20, 20), show_values=True)
    assert parts(figure, "curves") == []
    assert len(paths(figure, "lines")) == 420
    assert texts(figure).count("gaussian") == 1


def test_a_product_node_is_a_cross_above_its_factors():
    model = network([3, (1, 2), 1], arity=3)
    figure = diagram(model, rows(3))
    crosses = next(c for c in figure.axes[0].collections if c.get_gid() == "products")
    assert len(crosses.get_offsets()) == 2
    factors = paths(figure, "factors")
    assert len(factors) == 6
    # the lines of the first input, to one sum and six factors
    ends = np.array([line[-1] for line in paths(figure, "lines")[:7]])
    np.testing.assert_allclose(ends[1:], [stem[0] for stem in factors])
    assert ends[0, 1] == pytest.approx(crosses.get_offsets()[0, 1])


def of_expression(expression, names):
    x = torch.rand(100, len(names), dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 0.5
    data = kw.Dataset.from_arrays(x, x[:, 0], names=names, test_size=0)
    return kw.KAN.from_expression(expression, data=data), data


def test_a_power_is_one_curve_with_its_exponent():
    model, data = of_expression("3 - 2*x**2.05", ["x"])
    figure = model.plot(data)
    assert texts(figure) == ["$-x^{2.05}$", "$x$", "$y$"]
    (curve,) = paths(figure, "curves")
    assert (np.diff(curve[:, 1]) < 0).all() and curve[0, 1] - curve[-1, 1] == pytest.approx(0.8 * 0.52)
    bend = np.interp(0.5, np.linspace(0, 1, len(curve)), curve[:, 1])
    assert bend > (curve[0, 1] + curve[-1, 1]) / 2  # -x² is concave
    assert [len(layer.get_paths()) for layer in parts(figure, "frames")] == [1, 0]
    assert {"log", "\N{MINUS SIGN}exp"} <= set(texts(model.plot(data, untangle=False)))


def test_powers_of_one_sum_have_one_scale():
    model, data = of_expression("x**2.05 + 0.01*y**2.05", ["x", "y"])
    heights = sorted(float(np.ptp(curve[:, 1])) for curve in paths(model.plot(data), "curves"))
    assert heights[0] < 0.05 * heights[-1]


def test_a_logarithm_that_another_edge_uses_is_no_part_of_a_power():
    model, data = of_expression("log(x) + x**2.05", ["x"])
    assert "log" in texts(model.plot(data))


def test_factors_stand_above_the_inputs_that_they_come_from():
    model, data = of_expression("x**2*y/z", ["x", "y", "z"])
    lines = paths(model.plot(data), "lines")
    starts, ends = (np.array([line[n][0] for line in lines]) for n in (0, -1))
    assert (np.argsort(starts) == np.argsort(ends)).all()
    factors = np.array([0, 0, 1, 2, 3])
    np.testing.assert_array_equal(places_of_factors(2, 2, factors, np.array([3.0, 2.0, 1.0, 5.0, 4.0])), [1, 0, 1, 0])


def test_nodes_that_add_several_edges_have_a_plus():
    model = network([2, 2, 1])
    model.layers[0].remove_edge(0, 1)  # one edge remains, so nothing is added
    figure = diagram(model, rows(2))
    assert sum(len(c.get_offsets()) for c in figure.axes[0].collections if c.get_gid() == "sums") == 2


def test_only_used_inputs_are_drawn_with_their_own_names():
    model = KANNetwork(Spec(((2, 0), (1, 0)), in_features=4, inputs=(1, 3)))
    assert texts(diagram(model, rows(4))) == ["$x_{2}$", "$x_{4}$", "$y$"]
    named = diagram(model, rows(4), input_names=["mass", "length", "time", "charge"], output_names=["energy"])
    assert texts(named) == ["length", "charge", "energy"]


def test_outputs_are_numbered_where_there_are_several():
    assert texts(diagram(network([1, 2]), rows(1))) == ["$x_{1}$", "$y_{1}$", "$y_{2}$"]


@pytest.mark.parametrize("width", [[2, 1], [8, 1]])  # names are drawn horizontally, and vertically
@pytest.mark.parametrize("suffix", ["svg", "pdf", "png"])
def test_names_with_special_characters_are_drawn_literally(tmp_path, suffix, width):
    names = [HOSTILE, r"\frac{", *(f"a long name {n}" for n in range(width[0] - 2))]
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        figure = diagram(network(width), rows(width[0]), input_names=names, output_names=["$"], title="100 % $ ^_{")
        figure.savefig(tmp_path / f"figure.{suffix}")
    data = (tmp_path / f"figure.{suffix}").read_bytes()
    if suffix == "svg":
        assert data.count(b">&lt;b&gt;&amp;$x_1$</text>") == 1
        assert rb">\frac{</text>" in data
        assert b">100 % $ ^_{</text>" in data
        assert b"<image" not in data
    else:
        assert data.startswith({"pdf": b"%PDF", "png": b"\x89PNG"}[suffix])


def test_wide_names_are_drawn_vertically_and_very_long_ones_are_cut():
    figure = diagram(network([8, 1]), rows(8), input_names=["n" * 200] + ["m"] * 7)
    first = next(text for text in figure.axes[0].texts if text.get_gid() != "height")
    assert first.get_rotation() == 90
    assert first.get_text() == "n" * 47 + "…"
    assert figure.get_size_inches()[1] < 8


def test_a_matplotlib_style_changes_neither_background_nor_layout():
    style = {"figure.facecolor": "black", "axes.facecolor": "black", "figure.autolayout": True, "text.usetex": True}
    with matplotlib.rc_context(style):
        figure = diagram(network([2, 1]), rows(2), input_names=["$", "b"])
        figure.draw_without_rendering()
    assert figure.get_facecolor() == (1, 1, 1, 1)
    assert figure.axes[0].get_position().bounds == (0, 0, 1, 1)


def test_scale_resizes_the_whole_figure():
    small, large = (diagram(network([2, 1]), rows(2), scale=scale) for scale in (1.0, 2.0))
    np.testing.assert_allclose(large.get_size_inches(), 2 * small.get_size_inches())
    assert large.axes[0].texts[0].get_fontsize() == 2 * small.axes[0].texts[0].get_fontsize()


def test_drawing_fifty_edges_needs_few_artists_and_forward_passes(monkeypatch):
    model, x = network([5, 8, 1]), rows(5, 2000)
    passes = []
    edges = type(model.layers[0]).edges
    monkeypatch.setattr(type(model.layers[0]), "edges", lambda self, x: passes.append(1) or edges(self, x))
    figure = diagram(model, x)
    assert len(passes) <= 2 * len(model.layers)
    assert len(figure.axes) == 1
    assert len(figure.axes[0].collections) < 20
    assert max(len(p) for p in paths(figure, "curves")) <= 100


def test_constant_and_missing_values_are_drawn_as_horizontal_lines():
    model = network([2, 1])
    x = torch.zeros(3, 2, dtype=torch.float64)
    x[:, 1] = torch.tensor([float("nan"), 1.0, -1.0])
    level, sloped = paths(diagram(model, x), "curves")
    assert np.ptp(level[:, 1]) == 0
    assert np.isfinite(sloped).all()
    assert len(paths(diagram(model, x[1:2]), "curves")) == 2


def test_drawing_changes_neither_the_network_nor_the_rows():
    model, x = network([2, 2, 1]), rows(2)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    kept = x.clone()
    diagram(model, x)
    assert torch.equal(x, kept)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


def test_rows_may_be_a_numpy_array():
    assert len(paths(diagram(network([2, 1]), rows(2).numpy()), "curves")) == 2  # type: ignore[arg-type]


def test_a_thinned_curve_keeps_both_ends_and_the_order():
    x = np.array([3.0, np.nan, -1.0, 2.0, 0.0, 2.0])
    assert list(x[thinned(x, 10)]) == [-1, 0, 2, 3]
    many = np.random.default_rng(0).normal(size=1000)
    kept = many[thinned(many, 50)]
    assert len(kept) <= 50
    assert (np.diff(kept) > 0).all()
    assert (kept[0], kept[-1]) == (many.min(), many.max())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"input_names": ["a", "b", "c"]},
            "input_names needs one name for each of the 2 inputs of this KAN, including the pruned ones, "
            "but got 3 names (a, b, c).",
        ),
        ({"input_names": "ab"}, "but got the text 'ab'."),
        (
            {"output_names": []},
            "output_names needs one name for each of the 1 outputs of this KAN, but got 0 names ().",
        ),
        (
            {"x": torch.empty(0, 2)},
            "diagram() draws curves over rows of data, but x has shape (0, 2). Pass a tensor of ",
        ),
        ({"x": torch.zeros(2)}, "x has shape (2,). Pass a tensor of shape (rows, 2)"),
        ({"x": torch.zeros(4, 3)}, "this KAN takes rows of 2 values but got 3 input columns"),
        ({"beta": 0.0}, "beta=0.0 is not possible: it must be a positive number."),
        ({"scale": float("nan")}, "scale=nan is not possible: it must be a positive number."),
        ({"method": "guess"}, "method='guess' is not known"),
    ],
)
def test_bad_arguments_raise_an_error_with_advice(settings, message):
    x = settings.pop("x", rows(2))
    with pytest.raises(SpecError) as error:
        diagram(network([2, 1]), x, **settings)
    assert message in str(error.value)


def test_scores_of_another_network_are_refused():
    other = attribute(network([2, 3, 1]), rows(2))
    with pytest.raises(SpecError) as error:
        diagram(network([2, 1]), rows(2), scores=other)
    assert str(error.value) == (
        "scores of edges with shapes [(2, 3), (3, 1)] do not belong to this KAN, whose layers have [(2, 1)]. "
        "Pass attribute(network, x) of this network, or no scores."
    )


def test_names_are_measured_once(monkeypatch):
    measured = []
    width = pen.text_width
    monkeypatch.setattr(pen, "text_width", lambda typed, size: measured.append(typed) or width(typed, size))
    diagram(network([64, 5, 1]), rows(64, 20))
    assert len(measured) == 64 + 1
