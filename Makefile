# Two commands are enough: `make hunt` and `make test`. Both make the virtual environment on first use.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
READY = $(VENV)/ready
# Files with a test that is marked so: to import all others, which have none, takes a core twenty seconds.
ALONE = $(shell grep -rl --include='test_*.py' 'pytest\.mark\.alone' tests)

.PHONY: hunt test test-all check versions invariants coverage bench docs clean

hunt: $(READY)
	$(BIN)/lab hunt

# Three processes on two cores: each waits for its server, or for time, a third of its time. Each begins with files of its
# own, so that what a file shares is made once, and at the end takes work from the others.
test: $(READY)
	$(BIN)/python -m pytest -n 3 --dist worksteal -m "not alone and not long"
	$(BIN)/python -m pytest -m "alone and not long" $(ALONE)

# What `test` leaves out as well: the same checks, repeated more often.
test-all: $(READY)
	$(BIN)/python -m pytest -n 3 --dist worksteal -m "not alone"
	$(BIN)/python -m pytest -m alone $(ALONE)

check: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

# A smoke set with the lowest allowed versions of all dependencies and with the newest ones.
versions: $(READY)
	$(BIN)/python .ci/versions

invariants: $(READY)
	$(BIN)/lab invariants --check

coverage: $(READY)
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n 3 -m "not alone and not long"
	$(BIN)/coverage run -m pytest -m alone $(ALONE)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

# The site, in site/.
docs: $(READY)
	$(BIN)/zensical build --strict

# All figures, in bench/RESULTS.md: some hours on a machine that does nothing else; `--quick` is some minutes.
bench: $(READY)
	$(BIN)/python bench/all.py

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt --editable '.[test,docs]'
	-$(BIN)/python -m compileall -qq -j 0 -x '/tests/' $(VENV)/lib # pip compiles on one core; what cannot be compiled is nobody's
	touch $(READY)

clean:
	rm -rf $(VENV) build site .cache *.egg-info .coverage* .pytest_cache .mypy_cache .ruff_cache .hypothesis
