# Python 3.11 or newer, a C++20 compiler and make are all a machine needs; the rest comes from PyPI into .venv.
#   make demo    compress the example photos, print a table, write demo/report.html
#   make test    every test of the fast lane (twenty-five minutes or so on two cores)
#   make check   format, lint, types: what CI runs before the tests
#   make fuzz    the slow lane: many thousand damaged files, sanitizers, new examples for the laws
#   make build   (re)compile the native core into the environment; a second call takes seconds
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check install --quiet
STAMP := $(VENV)/stamps
# The environment's cmake and ninja come first, so that nothing depends on the machine's own.
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

NATIVE := CMakeLists.txt $(wildcard native/*.h native/*.cpp)

.PHONY: demo test check format fuzz build wheel clean
.DELETE_ON_ERROR:

demo: $(STAMP)/bench
	$(PY) -m laconic.measure.demo examples --output demo

test: $(STAMP)/test
	$(PY) -m pytest

check: $(STAMP)/dev
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/pyright

format: $(STAMP)/dev
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

fuzz: $(STAMP)/test
	$(PY) -m pytest -m slow
	$(PY) -m pytest tests/container tests/coder --hypothesis-profile=explore

build: $(STAMP)/build

wheel: $(STAMP)/venv
	$(PY) -m pip wheel --quiet --no-build-isolation --no-deps --wheel-dir dist .

clean:
	rm -rf build dist demo $(VENV)

# Each stamp stands for one finished step; a step runs again only when what it was made from has changed.
$(STAMP)/venv: Makefile
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PIP) "scikit-build-core>=1.1,<2" "nanobind>=3.1,<4" "cmake>=3.26,<5" ninja
	mkdir -p $(STAMP) && touch $@

# Editable: Python files are read from src/ as they are; only the native module is compiled and copied.
# A larger environment contains the smaller ones, so it stamps them too.
SOURCES := $(STAMP)/venv pyproject.toml $(NATIVE)
INSTALL = $(PIP) --no-build-isolation --editable

$(STAMP)/build: $(SOURCES)
	$(INSTALL) .
	touch $@

$(STAMP)/bench: $(SOURCES)
	$(INSTALL) ".[bench]"
	touch $(STAMP)/build $@

$(STAMP)/test: $(SOURCES)
	$(INSTALL) ".[test]"
	touch $(STAMP)/build $(STAMP)/bench $@

$(STAMP)/dev: $(SOURCES)
	$(INSTALL) ".[test,dev]"
	touch $(STAMP)/build $(STAMP)/bench $(STAMP)/test $@
