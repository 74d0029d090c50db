# The course in two commands: `make lab` to read and run it, `make test` to check it.
# Works with GNU make 3.81 (macOS) and newer. pip's own variables (PIP_INDEX_URL, ...) are left alone.

PYTHON ?= python3
PIP_ARGS ?=
LAB_ARGS ?=
BENCH_ARGS ?=
BUILD_ARGS ?=
# Number of test processes, with one thread each: more threads would not make the tests faster.
JOBS ?= 2
TORCH := torch==2.14.1 torchvision==0.29.1

STAMP := .venv/.installed
PEERS := .venv/.peers
INSTRUCTOR := .venv/.instructor
VENV_PYTHON := .venv/bin/python
# `!python` in a notebook and a terminal in JupyterLab must find the same Python.
RUN := PATH="$(CURDIR)/.venv/bin:$$PATH" $(VENV_PYTHON)
LINTED := gen_lib gen_course tests benchmarks data
BENCHMARKS := newcomer import_cost steps scaling processes vae_peer gan_peer diffusion_peer

.DEFAULT_GOAL := help
.PHONY: help lab test test-quick test-unit test-faults test-notebooks test-browser test-sections test-homework test-latest reliability mutants homework notebooks slides studies comparison weights bench bench-widgets lint lock clean
.NOTPARALLEL:

define LINT
$(RUN) -m ruff check $(LINTED)
$(RUN) -m ruff format --check $(LINTED)
$(RUN) -m mypy
PATH="$(CURDIR)/.venv/bin:$$PATH" lint-imports --no-cache
endef

PYTEST := OMP_NUM_THREADS=1 $(RUN) -m pytest -n $(JOBS) --dist loadscope
TEST_UNIT = $(PYTEST) -m "not browser and not fault and not homework"
TEST_NOTEBOOKS = $(PYTEST) --nbval-lax --nbval-current-env notebooks/*.ipynb
TEST_BROWSER = $(PYTEST) -m browser tests/browser

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-15s %s\n", $$1, $$2 }' Makefile

lab: $(STAMP) ## install what is missing, then open the course in JupyterLab (LAB_ARGS="--port 9000")
	@flags=; \
	[ "$$(uname)" = Darwin ] || [ -n "$$DISPLAY$$WAYLAND_DISPLAY" ] || flags="--no-browser"; \
	[ "$$(id -u)" != 0 ] || flags="$$flags --allow-root"; \
	$(RUN) -m jupyterlab --ServerApp.root_dir="$(CURDIR)" \
		--LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb $$flags $(LAB_ARGS)

test: $(INSTRUCTOR) ## run everything: unit tests, lint, types, every notebook, every widget
	$(LINT)
	$(TEST_UNIT)
	$(TEST_NOTEBOOKS)
	$(TEST_BROWSER)

test-quick: $(STAMP) ## run the unit tests that take seconds, and lint (under 3 minutes)
	$(PYTEST) -m "not slow and not browser and not fault and not homework"
	$(LINT)

test-unit: $(INSTRUCTOR) ## run the unit tests, slow ones too
	$(TEST_UNIT)

test-faults: $(INSTRUCTOR) ## run the tests of faults, without writing their table
	$(PYTEST) -m "fault and not browser"

test-notebooks: $(STAMP) ## execute every chapter
	$(TEST_NOTEBOOKS)

test-browser: $(STAMP) ## drive every widget, page and slide in Chromium
	$(TEST_BROWSER)

test-sections: $(STAMP) ## run every section after its set-up cell alone (minutes; writes tests/sections.md)
	$(RUN) tests/build/sections.py

test-homework: $(INSTRUCTOR) ## grade every assignment, right and wrong, with nbgrader (minutes)
	OMP_NUM_THREADS=1 $(RUN) -m pytest -p no:xdist tests/homework/test_homework.py

test-latest: $(STAMP) ## run the unit tests with the newest versions that pyproject.toml allows
	$(VENV_PYTHON) -m venv --clear .venv/latest
	.venv/latest/bin/python -m pip install $(PIP_ARGS) --upgrade --upgrade-strategy eager -e '.[slides,test]'
	PATH="$(CURDIR)/.venv/latest/bin:$$PATH" python -m pytest -n $(JOBS) --dist loadscope \
		-m "not slow and not browser and not fault"

reliability: $(INSTRUCTOR) ## try every fault ten times as often and write tests/RELIABILITY.md (minutes)
	FAULT_TIMES=10 OMP_NUM_THREADS=1 $(RUN) -m pytest -m fault --reliability

mutants: $(STAMP) ## apply every classic bug and see it caught (minutes; writes tests/mutants.md)
	$(RUN) tests/mutants/mutants.py

homework: $(INSTRUCTOR) ## write the students' copies of the homework from their masters
	$(RUN) -m gen_course.build.assignments

notebooks: $(STAMP) ## build the notebooks, execute what changed, write the map, the glossary, the plan, the README (BUILD_ARGS="--jobs 2")
	$(RUN) -m gen_course.build.notebooks $(BUILD_ARGS)
	$(RUN) -m gen_course.build.lecture_map
	$(RUN) -m gen_course.build.glossary
	$(RUN) -m gen_course.build.lecturer
	$(RUN) -m gen_course.build.results
	$(RUN) -m gen_course.build.pictures

slides: $(STAMP) ## make build/slides/, decks of every chapter and plan that need no network, and handouts (PDF)
	$(RUN) -m gen_course.build.slides

studies: $(STAMP) ## repeat the stored measurements of every chapter's studies (an idle machine, hours)
	for study in gen_course/ch*/studies/*.py; do $(RUN) $$study || exit 1; done

comparison: $(STAMP) ## train every family for equal times and compare them (an hour of one core; can be continued)
	$(RUN) gen_course/ch07_comparison/studies/comparison.py

weights: $(STAMP) ## retrain the shipped models except the judge (an idle machine, some hours)
	$(RUN) data/pretrained/retrain.py

bench: $(PEERS) ## compare speed and quality with other libraries (an idle machine, BENCH_ARGS="--minutes 1")
	@failed=; for name in $(BENCHMARKS); do \
		case $$name in *_peer) args="$(BENCH_ARGS)";; *) args=;; esac; \
		echo "== $$name"; PYTHONPATH=tests/browser $(RUN) benchmarks/$$name.py $$args || failed="$$failed $$name"; \
	done; \
	$(RUN) benchmarks/report.py || failed="$$failed report"; \
	[ -z "$$failed" ] || { echo "FAIL:$$failed" >&2; exit 1; }

bench-widgets: $(STAMP) ## measure the time from key to picture of every widget (an idle machine, Chromium)
	PYTHONPATH=tests/browser $(RUN) benchmarks/widgets.py

lint: $(STAMP) ## check style, types and the layers of imports
	$(LINT)

lock: $(VENV_PYTHON) ## resolve the dependencies in pyproject.toml again and rewrite requirements.txt
	$(VENV_PYTHON) -m pip install $(PIP_ARGS) --quiet --dry-run --ignore-installed \
		--python-version 3.11.0 --only-binary=:all: --target .venv/lock \
		--report .venv/lock.json $(TORCH) -e '.[slides,test]'
	{ echo "# The set that make installs, for Python 3.11.0 and newer; written by 'make lock'."; \
	  echo "# What torch itself pins on Linux alone (CUDA, triton) is left to torch."; \
	  printf '%s\n' $(TORCH); \
	  $(VENV_PYTHON) -c 'import json; \
	    found = [p["metadata"] for p in json.load(open(".venv/lock.json"))["install"]]; \
	    print(*sorted((p["name"] + "==" + p["version"] for p in found), key=str.lower), sep="\n")' \
	  | grep -Ev '^(gen[-_]lib|torch|torchvision|triton|pip|setuptools|wheel|(nvidia|cuda)[-_].*)=='; \
	} > requirements.txt

clean: ## remove the environment and caches; never your runs or a tracked file
	rm -rf .venv .pytest_cache .ruff_cache .mypy_cache .import_linter_cache build *.egg-info tests/screenshots
	find gen_lib gen_course tests benchmarks notebooks \( -name __pycache__ -o -name .ipynb_checkpoints \) \
		-prune -exec rm -rf {} +

# If making an environment was interrupted, it has no pip; then it is made again.
FITS := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 15))
define MAKE_VENV
@$(VENV_PYTHON) -m pip --version >/dev/null 2>&1 || { \
	$(PYTHON) -c '$(FITS)' 2>/dev/null && $(PYTHON) -m venv --clear .venv; } || { \
	echo "'$(PYTHON)' is not a Python 3.11 to 3.14 with venv: install one (Debian, Ubuntu:" \
	"apt-get install python3-venv) or name one (make lab PYTHON=python3.12)." >&2; exit 1; }
endef

# The stamp holds the path of the folder that it was made for. A checkout that was moved or copied
# installs again, and so does one whose Python no longer exists.
ifneq ($(shell test -x $(VENV_PYTHON) && cat $(STAMP) 2>/dev/null),$(CURDIR))
.PHONY: $(STAMP)
endif

$(STAMP): requirements.txt pyproject.toml gen_course/build/lab_settings.json
	$(MAKE_VENV)
	$(VENV_PYTHON) -m pip install $(PIP_ARGS) -r requirements.txt -e .
	mkdir -p .venv/share/jupyter/lab/settings
	cp gen_course/build/lab_settings.json .venv/share/jupyter/lab/settings/overrides.json
	printf '%s\n' "$(CURDIR)" > $(STAMP)

# The libraries that the benchmarks compare with. They never change the pinned versions.
$(PEERS): $(STAMP)
	$(VENV_PYTHON) -m pip install $(PIP_ARGS) -c requirements.txt -e '.[peers]'
	touch $(PEERS)

# nbgrader, for people who test the course or grade homework. Its JupyterLab parts stay disabled.
LAB_PARTS := @jupyter/nbgrader @jupyter-notebook/lab-extension
$(INSTRUCTOR): $(STAMP)
	$(VENV_PYTHON) -m pip install $(PIP_ARGS) -c requirements.txt -e '.[instructor]'
	$(RUN) -m jupyter labextension disable --level=sys_prefix $(LAB_PARTS)
	touch $(INSTRUCTOR)

$(VENV_PYTHON):
	$(MAKE_VENV)
