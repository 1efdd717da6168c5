"""With fewer rows than parameters, steps are solved by a matrix of the rows: the same steps, in less time."""

import math

import pytest
import torch

from knotwork import KANClassifier
from knotwork.estimators.linear_start import linear_network
from knotwork.training import evidence_steps
from knotwork.training.evidence_steps import RegularisedLikelihood
from knotwork.training.likelihood import Bernoulli, Categorical, Normal
from knotwork.training.regularised_systems import ByParameters, ByRows, rows_suffice
from knotwork.training.roughness import Roughness
from knotwork.training.rows import Rows
from knotwork.training.settings import EVIDENCE


def problem(likelihood, outputs, weighted, n=24, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 3, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, max(outputs, 2), (n,), generator=generator)
    targets = torch.eye(3, dtype=torch.float64)[labels] if outputs == 3 else labels.double()[:, None]
    targets = torch.randn(n, outputs, generator=generator).double() if isinstance(likelihood, Normal) else targets
    weights = torch.rand(n, generator=generator).double() + 0.5 if weighted else torch.ones(n).double()
    network = linear_network([3, 9, outputs], 4, 3, x, seed)
    with torch.no_grad():
        for layer in network.layers:
            layer.coefficients += 0.3 * torch.randn(layer.coefficients.shape, generator=generator).double()
    roughness = Roughness(network)
    roughness.set_weights(10 ** (2 * torch.rand(27 + 9 * outputs, 2, generator=generator).double() - 1))
    found = RegularisedLikelihood(
        network, Rows(x, targets, weights, torch.zeros(outputs).double(), likelihood), roughness, learn=True
    )
    with torch.no_grad():
        found.begin()
    return found


PROBLEMS = pytest.mark.parametrize(
    ("likelihood", "outputs"),
    [(Normal(), 2), (Bernoulli(), 1), (Categorical(), 3)],
    ids=["numbers", "two classes", "three classes"],
)


def distance(found, truth):
    """Relative to the truth; rounding errors are 1e-16 times the condition number of the matrix, here about 1e6."""
    return float((found - truth).norm() / truth.norm())


@PROBLEMS
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("damping", [0.0, 1e-6, 1e-2, 10.0])
def test_the_step_is_the_solution_of_the_whole_matrix(likelihood, outputs, weighted, damping):
    made = problem(likelihood, outputs, weighted)
    by_rows, whole = made._by_rows(), made._by_parameters()
    assert isinstance(by_rows, ByRows)
    matrix = whole.curvature + damping * torch.diag(whole.curvature.diagonal())
    step, other = by_rows.step(damping), whole.step(damping)
    assert distance(step.vector, torch.linalg.solve(matrix, -whole.slope)) < 1e-8
    assert step.predicted == pytest.approx(other.predicted, rel=1e-8)
    vector = torch.randn(made.size, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    assert distance(step.solve(vector), torch.linalg.solve(matrix, vector)) < 1e-8


@PROBLEMS
@pytest.mark.parametrize("weighted", [False, True])
def test_the_degrees_of_freedom_are_those_of_the_whole_covariance(likelihood, outputs, weighted):
    made = problem(likelihood, outputs, weighted)
    covariance = torch.linalg.inv(made._by_parameters().curvature)
    expected = [
        [float((measure * covariance[edge][:, edge]).sum()) for measure in measures]
        for places, measures in zip(made.roughness.places, made.roughness.measures, strict=True)
        for edge in places
    ]
    expected = torch.tensor(expected, dtype=torch.float64)
    # factors are of matrices with 1e-13 of their diagonal added, times condition numbers of about 1e6
    torch.testing.assert_close(made._by_rows().freedom(), expected, rtol=1e-6, atol=0)
    torch.testing.assert_close(made._by_parameters().freedom(), expected, rtol=1e-6, atol=0)


def test_a_classifier_is_the_same_by_rows_and_by_parameters(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    X = torch.randn(90, 12, generator=generator).double().numpy()
    y = X[:, 0] * X[:, 1] + X[:, 2] > 0.1
    ways = []
    for suffice in (rows_suffice, lambda *_: False):
        monkeypatch.setattr(evidence_steps, "rows_suffice", suffice)
        ways.append(KANClassifier(random_state=0).fit(X, y))
    assert ways[0].n_iter_ == ways[1].n_iter_
    # rounding errors grow from step to step; the fit ends where steps move logits by 1e-2
    assert abs(ways[0].decision_function(X) - ways[1].decision_function(X)).max() < 1e-4


def test_the_matrix_of_the_parameters_serves_where_rows_are_many_or_the_prior_cannot_be_inverted():
    made = problem(Bernoulli(), 1, weighted=False)
    size, roughness = made.size, made.roughness
    most = math.floor(EVIDENCE.few_rows * size)
    assert rows_suffice(most, size, roughness) and not rows_suffice(most + 1, size, roughness)
    assert not rows_suffice(1, size + 4, roughness)  # four constants of a named edge
    weights = torch.ones_like(roughness.weights)
    weights[3, :] = torch.tensor([1e-4, 1e6])
    roughness.set_weights(weights)
    assert not rows_suffice(1, size, roughness)
    assert isinstance(made.linearise(), ByParameters)
