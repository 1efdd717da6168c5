import pytest

from knotwork.kernels import reference

try:
    from knotwork.kernels import _compiled, compiled
except ImportError:
    _compiled = compiled = None


@pytest.fixture(params=["reference", "avx512", "avx2", "baseline"])
def kernels(request):
    """The module of plain torch and that of the compiled kernels, for every instruction set that this machine has."""
    if request.param == "reference":
        yield reference
        return
    if compiled is None:
        pytest.skip("built without a compiler")
    before = _compiled.instruction_set()
    if not _compiled.choose(request.param):
        pytest.skip(f"this machine has no {request.param}")
    yield compiled
    _compiled.choose(before)


@pytest.fixture
def edge_sums(kernels):
    """`edge_sums` of each of them."""
    return kernels.edge_sums


@pytest.fixture
def edge_series(kernels):
    """`edge_series` of each of them."""
    return kernels.edge_series
