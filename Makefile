# The commands a person types; CI types the same. PYTHON names the interpreter that makes the environment (3.11 or newer).

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := app.py ftspace evals assets benchmarks tests

# What make lock and make audit use, in an environment that goes afterwards.
UV := uv==0.13.9
AUDIT := pip-audit==2.10.1

.PHONY: help demo app test check fix bench chaos load setup chromium docs base screenshots lock audit clean

help:  ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: $(VENV)/.runtime  ## fine-tune the bundled model, compare it with its base, show the verdict
	$(BIN)/python -m ftspace run

app: $(VENV)/.runtime  ## open the app on http://127.0.0.1:7860
	$(BIN)/python app.py

# A module's tests share what it builds, so they stay in one process; modules go in their order, the long ones first.
# Browsers come after them and alone: beside tests that train, pages run out of time. Both parts run, whichever fails.
test: $(VENV)/.development chromium  ## run all tests, as many modules at once as there are processors (at most 4)
	@failed=0; \
	$(BIN)/python -m pytest --ignore=tests/e2e -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder || failed=1; \
	$(BIN)/python -m pytest tests/e2e || failed=1; \
	exit $$failed

check: $(VENV)/.development  ## lint, format and types
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/basedpyright

fix: $(VENV)/.development  ## what check can mend by itself
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

setup: $(VENV)/.runtime $(VENV)/.development chromium  ## install all that demo, app, test and check need

bench: $(VENV)/.runtime  ## measure what the docs claim, as in docs/benchmarks.md
	$(BIN)/python -m benchmarks.data
	$(BIN)/python -m benchmarks.training

chaos: $(VENV)/.runtime  ## kill running jobs fifty times, bring them on again, and count what is lost
	$(BIN)/python -m benchmarks.chaos --rounds 50 --json

load: $(VENV)/.runtime  ## let 200 pages watch one run, and measure what that costs
	$(BIN)/python -m benchmarks.load --json

docs: $(VENV)/.runtime  ## write docs/configuration.md and docs/cli.md from the code
	$(BIN)/python -m ftspace.reference

base: $(VENV)/.runtime  ## make the bundled base model, datasets and tasks again from their recipe
	$(BIN)/python -m assets.make_data
	$(BIN)/python -m assets.make_base

screenshots: $(VENV)/.development chromium  ## take the pictures of the README again
	FTSPACE_SCREENSHOTS=assets/screenshots $(BIN)/python -m pytest tests/e2e -k "way or understood or first_screen or tour"

lock:  ## write requirements.lock: every version that the pinned ones bring along
	@place=$$(mktemp -d) && trap 'rm -rf "$$place"' EXIT && $(PYTHON) -m venv "$$place" && \
	"$$place/bin/python" -m pip install --quiet --disable-pip-version-check $(UV) && \
	"$$place/bin/uv" pip compile --quiet --universal --python-version 3.11 --no-annotate \
		--custom-compile-command "make lock" --output-file requirements.lock requirements-dev.txt

audit:  ## look for known vulnerabilities in requirements.lock; asks PyPI, and fails where it cannot be asked
	@place=$$(mktemp -d) && trap 'rm -rf "$$place"' EXIT && $(PYTHON) -m venv "$$place" && \
	"$$place/bin/python" -m pip install --quiet --disable-pip-version-check $(AUDIT) && \
	"$$place/bin/pip-audit" --strict --no-deps --disable-pip --progress-spinner off --requirement requirements.lock

clean:  ## remove what setup installed and what the tools left; runs stay
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# torch comes first and by its exact version: any other request may bring gigabytes of CUDA for a machine without a GPU.
$(VENV)/.runtime: requirements.txt requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name one: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep '^torch==' requirements.txt)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt -c requirements.lock
	@touch $@

$(VENV)/.development: requirements-dev.txt $(VENV)/.runtime
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt \
		-c requirements.lock
	@touch $@

# The browser tests drive Debian's chromium and are skipped, with a word, where there is none.
chromium:
	@if command -v chromium >/dev/null; then exit 0; \
	elif command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
		echo "installing chromium for the browser tests"; \
		{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium; } >/dev/null \
			|| echo "chromium could not be installed: the browser tests will be skipped"; \
	else echo "there is no chromium, and apt-get as root is not available: the browser tests will be skipped"; fi
