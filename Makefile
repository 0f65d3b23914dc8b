# Everything that is installed goes into .venv, in the versions of constraints.txt.

PYTHON ?= python3
PIP = bin/python -m pip --quiet --disable-pip-version-check
INSTALLED = pyproject.toml example_project/pyproject.toml constraints.txt
EXAMPLE = -e '.[all]' -e example_project --group example_project/pyproject.toml:dev
# What takes longer is left to CI.
TESTS = -m pytest -n 2 --dist loadgroup $(if $(CI),,-m 'not slow')
# What takes or returns DataFrames, and one run of the example from end to end.
PANDAS = tests/test_frames.py redcap_dagster/frames.py tests/tables tests/io_managers \
  tests/api/calls tests/api/export tests/api/methods \
  tests/clients/test_own_client.py tests/clients/test_pycap.py tests/execution/test_stored_records.py \
  tests/execution/test_complete_project.py tests/execution/test_database_io_managers.py \
  tests/example/test_warehouse.py tests/test_benchmarks.py \
  redcap_dagster/api redcap_dagster/tables redcap_dagster/io_managers example_project/tests \
  $(if $(wildcard ../shared/fixtures),tests/fixture_projects/test_round_trips.py)
# Another language, PHP's CSV, instances' columns where they are, 403 for a missing right.
DIALECT ?= any-2
DEV = $(EXAMPLE) --group dev --group docs
export NO_MKDOCS_2_WARNING = 1

.PHONY: help demo ui playground test test-quick test-dialect test-pandas2 coverage lint docs package bench soak pictures
.DELETE_ON_ERROR:

help:
	@echo 'make demo          run the example: two studies in REDCap become tables in DuckDB'
	@echo 'make ui            open the example in the Dagster UI'
	@echo 'make playground    open the pages of a REDCap on this machine, with the two studies'
	@echo 'make test          run the tests'
	@echo 'make test-quick    run those of the client, the tables and where they are stored'
	@echo 'make test-dialect  run those of the client and of runs against a server that differs: DIALECT=older'
	@echo 'make test-pandas2  run those that depend on pandas, on pandas 2'
	@echo 'make coverage      measure line coverage, without and with responses of real servers'
	@echo 'make bench         measure speed and memory, side by side, for half an hour'
	@echo 'make soak          export while everything goes wrong, for five minutes'
	@echo 'make pictures      take the pictures of the documentation, with Chromium'
	@echo 'make lint          check style, types, imports, spelling, dependencies, package and docs'
	@echo 'make docs          build the documentation into build/docs'
	@echo 'make package       build wheel and sdist into build/dist, and check them'
	@echo
	@echo 'With REDCAP_API_URL and REDCAP_API_TOKEN set, demo and ui use that project.'
	@echo 'With XML=path, they use the project of that project XML, in a sandbox.'
	@echo 'Another Python: make demo PYTHON=python3.12'

demo: .venv/demo
	@.venv/bin/python -m example_project.demo $${XML:+"$$XML"}

ui: .venv/demo
	@.venv/bin/python -m example_project.ui $${XML:+"$$XML"}

playground: .venv/demo
	@.venv/bin/python -m example_project.playground

test: .venv/dev
	.venv/bin/python $(TESTS)

test-quick: .venv/dev
	.venv/bin/python $(TESTS) tests/api tests/tables tests/io_managers

test-dialect: .venv/dev
	.venv/bin/python $(TESTS) -m 'not slow' --redcap-dialect=$(DIALECT) \
	  tests/api tests/execution tests/sensors

test-pandas2: .venv-pandas2/dev
	.venv-pandas2/bin/python $(TESTS) $(PANDAS)

coverage: .venv/dev
	.venv/bin/python -m tests.compare_coverage

bench: .venv/dev
	.venv/bin/python -m benchmarks.tables
	.venv/bin/python -m benchmarks.logic
	.venv/bin/python -m benchmarks.queries
	.venv/bin/python -m benchmarks.loading
	.venv/bin/python -m benchmarks.records
	.venv/bin/python -m benchmarks.small
	.venv/bin/python -m benchmarks.slow
	.venv/bin/python -m benchmarks.refresh
	.venv/bin/python -m benchmarks.large

soak: .venv/dev
	.venv/bin/python -m tests.soak

pictures: .venv/dev
	.venv/bin/python -m pytest -q tests/example/test_ui.py tests/example/test_walk.py \
	  tests/sandbox/pages/test_walk.py --pictures docs

lint: .venv/dev
	.venv/bin/ruff format --check
	.venv/bin/ruff check
	.venv/bin/mypy
	.venv/bin/lint-imports
	.venv/bin/codespell
	.venv/bin/deptry redcap_dagster
	.venv/bin/deptry example_project/src --config example_project/pyproject.toml
	@$(MAKE) --no-print-directory package docs

# Never with --quiet: then a broken link passes.
docs: .venv/dev
	.venv/bin/mkdocs build --strict

package: .venv/dev
	rm -rf build/dist
	.venv/bin/python -m build --no-isolation --outdir build/dist
	.venv/bin/twine check --strict build/dist/*

# -- what the above need ---------------------------------------------------------------------

.venv/made .venv-pandas2/made: constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo 'Python 3.11 or newer is needed. Name one: make PYTHON=python3.12 ...' >&2; exit 1; }
	@echo 'Making $(@D) ...'
	@$(PYTHON) -m venv --clear $(@D)
	@[ -d $(@D)/bin ] || cp -r $(@D)/Scripts $(@D)/bin  # Windows
	@$(@D)/$(PIP) install -c constraints.txt pip  # one that knows --group
	@touch $@

.venv/demo: .venv/made $(INSTALLED)
	@echo 'Installing the package and the example ...'
	@.venv/$(PIP) install -c constraints.txt $(EXAMPLE)
	@touch $@

.venv/dev: .venv/made $(INSTALLED)
	@echo 'Installing the package, the example and the tools ...'
	@.venv/$(PIP) install -c constraints.txt $(DEV) --group pandas3
	@touch .venv/demo $@

.venv-pandas2/dev: .venv-pandas2/made $(INSTALLED)
	@echo 'Installing the same with pandas 2 ...'
	@sed 's/^pandas==.*/pandas==2.3.3/' constraints.txt > .venv-pandas2/constraints.txt
	@.venv-pandas2/$(PIP) install -c .venv-pandas2/constraints.txt $(DEV) --group pandas2
	@touch $@
