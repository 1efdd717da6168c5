import pytest

from knotwork.kernels import reference

try:
    from knotwork.kernels import _compiled, compiled
except ImportError:
    _compiled = compiled = None


@pytest.fixture(params=["reference", "avx512", "avx2", "baseline"])
def edge_sums(request):
    """`edge_sums` of plain torch and of the compiled kernels, for every instruction set that this machine has."""
    if request.param == "reference":
        yield reference.edge_sums
        return
    if compiled is None:
        pytest.skip("built without a compiler")
    before = _compiled.instruction_set()
    if not _compiled.choose(request.param):
        pytest.skip(f"this machine has no {request.param}")
    yield compiled.edge_sums
    _compiled.choose(before)
