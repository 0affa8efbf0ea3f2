.DEFAULT_GOAL := help
.PHONY: help dev demo lint test e2e bench docs proto lock build clean
PY := .venv/bin/python
UV := $(shell if [ -x .tools/uv/bin/uv ]; then echo .tools/uv/bin/uv; else command -v uv || echo .tools/uv/bin/uv; fi)

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

dev: ## uv, .venv and all members, editable
	@scripts/bootstrap.sh

demo: dev ## start the embedded box, deploy the example, call it, stop
	@$(PY) scripts/demo.py

lint: dev ## ruff, mypy strict, import arrows, stale stubs and artifacts, repository rules
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports --no-cache
	$(PY) scripts/generate_stubs.py --check
	$(PY) scripts/check_repository.py
	e2e/scripts/regenerate_artifacts.sh --check

test: dev ## every test that this machine can run, and which it could not
	$(PY) scripts/test_members.py
	.venv/bin/pytest e2e -q -m "not gate"

e2e: dev ## the gate: clean clone, wheels in fresh environments, the whole path; suites on every kind of box
	.venv/bin/pytest e2e -q -m gate
	$(PY) e2e/run_tests.py --parallel --verbose

bench: dev ## figures, side by side, for the README
	$(PY) benchmarks/run.py

docs: dev ## rewrite the generated pages of docs/
	$(PY) scripts/generate_docs.py

proto: dev ## regenerate the gateway-agent stubs
	$(PY) scripts/generate_stubs.py

lock: ## resolve again and export requirements.lock
	UV_PYTHON_DOWNLOADS=never $(UV) lock --upgrade
	UV_PYTHON_DOWNLOADS=never $(UV) export --quiet --all-packages --all-extras --all-groups --no-emit-workspace \
	    --no-annotate --no-header --format requirements-txt --output-file requirements.lock

build: dev ## wheels and sdists of all members in dist/
	rm -f dist/*.whl dist/*.tar.gz
	for member in packages/* services/*; do $(UV) build --quiet --out-dir dist $$member || exit 1; done

clean: ## remove what the targets made
	rm -rf .venv .venvs .tools .esb dist examples/*/artifact examples/*/.esb
