# Each of these works alone on a fresh machine with Python 3.10 or later and make (and a C++ compiler, for speed):
# they set up .venv first, and again only when what it is built from has changed.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-reference check docs dist versions clean always

demo: .venv/installed
	$(BIN)/knotwork discover knots --target signature \
	    --inputs longitudinal_translation,meridinal_translation_real,meridinal_translation_imag --out knotwork-out

# One process a core, each with one thread: twice as fast as one process with threads on two cores.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto --dist worksteal

test: .venv/installed
	$(PYTEST)

# The tests whose arithmetic differs without the compiled kernels: layers under torch's transforms, splines, networks with
# their Jacobians and Taylor sweeps, and the two second-order fits that call whole networks.
REFERENCE_TESTS := tests/kernels/test_active.py tests/kernels/test_in_torch.py tests/splines tests/model \
    tests/training/test_levenberg_marquardt.py tests/pde/test_jets.py

test-reference: .venv/installed
	KNOTWORK_KERNELS=reference $(PYTEST) -k "not curved_valley" $(REFERENCE_TESTS)

check: .venv/installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright

# Two pages at a time, each with one thread: with more they wait for each other.
docs: .venv/docs
	@echo "Running the pages, which takes minutes" >&2
	OMP_NUM_THREADS=1 PATH="$(CURDIR)/$(BIN):$$PATH" sphinx-build -q -E -W --keep-going -j 2 docs docs/_build/html
	@echo "Open docs/_build/html/index.html"

dist: .venv/packaging
	$(BIN)/python tools/dist.py

versions: .venv/packaging
	@echo "Downloading and running all tests twice, which takes half an hour" >&2
	$(BIN)/python tools/versions.py

clean:
	rm -rf .venv build dist docs/_build .hypothesis .pytest_cache .ruff_cache

# The editable installation keeps a list of the package's files, so it is made again when one is added, moved or removed.
build/files: always
	@mkdir -p build
	@find src -name '*.py' | LC_ALL=C sort > $@.now
	@cmp -s $@.now $@ && rm $@.now || mv $@.now $@

.venv/installed: pyproject.toml constraints.txt CMakeLists.txt $(wildcard csrc/*) build/files
	@$(PYTHON) -c 'import sys; sys.exit("knotwork needs Python 3.10 or later: make PYTHON=...") if sys.version_info < (3, 10) else 0'
	@echo "Setting up .venv, which takes minutes the first time" >&2
	@test -x $(BIN)/pip || $(PYTHON) -m venv --clear .venv
	@$(BIN)/pip install -qq --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@$(BIN)/python -c 'from knotwork import kernels; print("Kernels in use are", kernels.active())' >&2
	@touch $@

.venv/docs .venv/packaging: .venv/%: .venv/installed
	@$(BIN)/pip install -qq --disable-pip-version-check -c constraints.txt 'knotwork[$*]'
	@touch $@
