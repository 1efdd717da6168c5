"""Methods of a KAN that have the names of the paper's library."""

import pytest

import knotwork as kw


@pytest.mark.parametrize("verb", ["prune", "plot", "auto_symbolic", "symbolic_formula"])
def test_methods_that_need_samples_raise_an_error_without_them(verb):
    with pytest.raises(kw.KnotworkError, match="pass data="):
        getattr(kw.KAN([2, 1], seed=0), verb)()


def test_scores_trace_and_figure_use_the_training_rows():
    data = kw.sample("x + y**2", x=(-1, 1), y=(-1, 1), size=100, seed=0)
    model = kw.KAN([2, 1], seed=0)
    model.fit(data, progress=False)
    assert model.trace(data).outputs.shape == (100, 1)
    assert bool((model.attribute(data).inputs > 0.1).all())
    assert {text.get_text() for text in model.plot(data).axes[0].texts} >= {"$x$", "$y$", "$f$"}
