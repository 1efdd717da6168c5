# Each of these works alone on a fresh machine with Python 3.10 or later and make (and a C++ compiler, for speed):
# they set up .venv first, and again only when what it is built from has changed.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check docs dist versions clean

demo: .venv/installed
	$(BIN)/knotwork discover knots --target signature \
	    --inputs longitudinal_translation,meridinal_translation_real,meridinal_translation_imag --out knotwork-out

test: .venv/installed
	$(BIN)/python -m pytest -q

check: .venv/installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright

docs: .venv/docs
	@echo "Running the pages, which takes minutes" >&2
	PATH="$(CURDIR)/$(BIN):$$PATH" sphinx-build -q -E -W --keep-going -j 2 docs docs/_build/html
	@echo "Open docs/_build/html/index.html"

dist: .venv/packaging
	$(BIN)/python tools/dist.py

versions: .venv/packaging
	@echo "Downloading and running all tests twice, which takes half an hour" >&2
	$(BIN)/python tools/versions.py

clean:
	rm -rf .venv build dist docs/_build .hypothesis .pytest_cache .ruff_cache

.venv/installed: pyproject.toml constraints.txt CMakeLists.txt $(wildcard csrc/*)
	@$(PYTHON) -c 'import sys; sys.exit("knotwork needs Python 3.10 or later: make PYTHON=...") if sys.version_info < (3, 10) else 0'
	@echo "Setting up .venv, which takes minutes the first time" >&2
	@test -x $(BIN)/pip || $(PYTHON) -m venv --clear .venv
	@$(BIN)/pip install -qq --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@$(BIN)/python -c 'from knotwork import kernels; print("Kernels in use are", kernels.active())' >&2
	@touch $@

.venv/docs .venv/packaging: .venv/%: .venv/installed
	@$(BIN)/pip install -qq --disable-pip-version-check -c constraints.txt 'knotwork[$*]'
	@touch $@
