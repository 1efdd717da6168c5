"""Backward elimination finds sums that no term alone comes close to."""

import itertools

import pytest
import torch

from knotwork.regression.sparse_fits import eliminated


def quadratics(count: int, rows: int, low: float = 1.0, seed: int = 0):
    """Terms of a polynomial of degree two of positive inputs, by their inputs, and their columns (rows, terms)."""
    x = low + 2 * torch.rand(rows, count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    pairs = list(itertools.combinations_with_replacement(range(count), 2))
    terms = [(), *((i,) for i in range(count)), *pairs]
    return terms, torch.stack([x[:, list(term)].prod(1) for term in terms], 1)


@pytest.mark.parametrize("wanted", [[(0, 0), (1, 1), (2, 2)], [(0, 1), (1, 2), (2, 2)], [(), (0, 2), (1, 1)]])
def test_sums_of_squares_and_products_are_left(wanted):
    terms, design = quadratics(3, 300)
    noise = 0.05 * torch.randn(300, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    numbers = [terms.index(term) for term in wanted]
    target = design[:, numbers].sum(1) + noise
    left = {len(support): set(support) for support in eliminated(design, target, 4)}
    assert left[3] == set(numbers) and set(left) == {1, 2, 3, 4}


def test_each_step_leaves_out_the_column_that_explains_least():
    _, design = quadratics(2, 100)
    target = design @ torch.tensor([1.0, 2.0, 3.0, 0.5, 0.1, 0.2], dtype=torch.float64)
    target = target + 0.3 * torch.randn(100, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    found = list(eliminated(design, target, 6))

    def unexplained(support):
        chosen = design[:, list(support)]
        return float((chosen @ torch.linalg.lstsq(chosen, target[:, None]).solution[:, 0] - target).square().sum())

    for more, fewer in itertools.pairwise(found):
        best = min((more[:i] + more[i + 1 :] for i in range(len(more))), key=unexplained)
        assert fewer == best


def test_columns_that_are_zero_or_depend_on_others_do_no_harm():
    _, design = quadratics(2, 100)
    design = torch.cat([design, 0 * design[:, :1], design[:, 1:2] + design[:, 2:3]], 1)
    target = 2 * design[:, 3] - design[:, 4]
    found = {len(support): set(support) for support in eliminated(design, target, 3)}
    assert found[2] == {3, 4}
