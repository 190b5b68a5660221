# Every habit of this project. `make` alone lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
MAKEFLAGS += --no-print-directory

PY := .venv/bin/python
STAGE := scripts/stage.sh
SOURCES := $(wildcard services operator tests scripts bench examples)

.PHONY: help
help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## make .venv from the lock file (does nothing when it is up to date)
	@scripts/setup.sh

.PHONY: demo
demo: setup ## trade a simulated MES session on this machine and print the report
	@scripts/demo.sh

.PHONY: test
test: ## everything CI checks: lint, types, layers, contracts, tests (PYTEST_ARGS="-k name" narrows the tests)
	@$(STAGE) setup $(MAKE) setup
	@$(STAGE) kubernetes $(MAKE) kube-binaries
	@$(STAGE) prometheus $(PY) -m tests.dashboards.binaries
	@scripts/beside.sh lint $(MAKE) lint -- contracts $(MAKE) proto-check -- collect $(MAKE) collect -- types $(MAKE) types \
		$(if $(PYTEST_ARGS),,-- image $(MAKE) kube-image)
	@$(STAGE) tests $(PY) -m pytest -n auto --dist loadscope $(PYTEST_ARGS)

.PHONY: collect
collect: setup ## find the tests; what is compiled is kept, so that the processes that run them need not compile all of them each
	@found=$$(PYTHONDONTWRITEBYTECODE= $(PY) -m pytest --collect-only -qq $(PYTEST_ARGS)) || { echo "$$found"; exit 1; }

.PHONY: test-node
test-node: setup kube-binaries ## what a whole platform and a sweep survive on a real node; takes about an hour (root on Linux)
	@$(PY) -m pytest -m node_minutes tests/kube $(PYTEST_ARGS)

.PHONY: kube-binaries
kube-binaries: setup ## find or build the Kubernetes that the tests run on (once; several minutes, and 3 GB of Go's caches)
	@$(PY) -m tests.kube.cluster.binaries $$([ "$$(id -u)" != 0 ] || echo node) >/dev/null

.PHONY: kube-image
kube-image: setup ## build the image that the tests run on a node, when something in it has changed (root on Linux)
	@$(PY) -m tests.kube.cluster.images

.PHONY: cluster
cluster: setup ## run a one-node Kubernetes with Leadline on it until Ctrl-C (root on Linux)
	@$(PY) -m scripts.cluster $(CLUSTER_ARGS)

.PHONY: lint
lint: setup ## ruff (rules and format) and import-linter (which room may import which)
	@.venv/bin/ruff check --quiet $(SOURCES)
	@.venv/bin/ruff format --quiet --check $(SOURCES)
	@.venv/bin/lint-imports --no-cache

.PHONY: format
format: setup ## let ruff put imports and layout right
	@.venv/bin/ruff check --quiet --fix-only $(SOURCES)
	@.venv/bin/ruff format $(SOURCES)

.PHONY: types
types: setup ## mypy --strict
	@.venv/bin/mypy

.PHONY: proto
proto: setup ## write the Python code of proto/ into the rooms it belongs to
	@$(PY) scripts/proto.py

.PHONY: proto-check
proto-check: setup ## generated code is fresh, buf lint passes, nothing breaks a published contract
	@$(PY) scripts/proto.py --check
	@.venv/bin/buf lint
	@.venv/bin/buf format --diff --exit-code
	@.venv/bin/buf breaking --against proto/image.binpb

.PHONY: proto-image
proto-image: setup ## publish the contracts: later changes are compared with this image
	@.venv/bin/buf build --exclude-source-info --output proto/image.binpb

.PHONY: crds
crds: setup ## write the definitions of the kinds, helm/leadline-crds, from the models of the manifests
	@$(PY) -m scripts.crds

.PHONY: crds-check
crds-check: setup ## the definitions are what the models give (make test asks for it too)
	@$(PY) -m scripts.crds --check

.PHONY: dashboards
dashboards: setup ## write the dashboards for Grafana, dashboards/, and the chart's copy of that folder
	@$(PY) -m scripts.dashboards

.PHONY: lock
lock: setup ## resolve pyproject.toml into the lock files (UPGRADE=1 takes newer versions)
	@scripts/lock.sh

.PHONY: image
image: ## build the image with docker, podman or buildah (IMAGE=name:tag, BASE=image with Python)
	@scripts/image.sh

.PHONY: bench
bench: setup ## measure; bench/README.md says what and how
	@for file in $(filter-out bench/_% bench/nautilus.py,$(wildcard bench/*.py)); do \
		$(STAGE) "$$file" $(PY) -m "bench.$$(basename "$$file" .py)" || exit 1; \
	done

.PHONY: bench-backtest
bench-backtest: setup ## a year of ticks from the catalog to the result, its stages, a sweep, and NautilusTrader (DAYS=198 KEEP=folder PYTHON=path)
	@$(PY) -m bench.backtest $(or $(DAYS),198) $(addprefix --keep ,$(KEEP))
	@$(PY) -m bench.study $(addprefix --keep ,$(KEEP))
	@$(PY) -m bench.nautilus $(addprefix --python ,$(PYTHON))

.PHONY: interleavings
interleavings: setup ## hundreds of random lives under a failing operator and API server (LIVES=200 SEED=1)
	@$(PY) -m tests.operator.interleaving $(or $(LIVES),200) --seed $(or $(SEED),1)

.PHONY: parity
parity: setup ## replay days through the whole platform, a roll and an early close among them, and backtest them
	@$(PY) -m pytest -m parity tests/system $(PYTEST_ARGS)

.PHONY: determinism
determinism: setup ## the same backtest in one process and in two, on this Python and on another: the same bytes
	@LEADLINE_MAKE_PYTHON=1 $(PY) -m pytest -v tests/backtest/test_determinism.py $(PYTEST_ARGS)

.PHONY: kills
kills: setup ## kill each part of a replaying stack by itself, three times in a run, and compare the books
	@$(PY) -m pytest -m kills tests/system $(PYTEST_ARGS)

.PHONY: chaos
chaos: setup ## faults at random moments on a live platform of real processes, hours of them (FAULTS=kill-*,rival TIMES=20 SEED=1)
	@$(PY) -m tests.chaos --times $(or $(TIMES),20) --seed $(or $(SEED),1) $(addprefix --faults ,"$(or $(FAULTS),*)")

.PHONY: soak-live
soak-live: setup ## a simulated week of a live platform: disk and memory do not grow with the days (about five minutes)
	@$(PY) -m pytest -s -m soak tests/system $(PYTEST_ARGS)

.PHONY: halts
halts: setup ## ten thousand random orders of halts, resumes, crashes and restarts against a model (SEQUENCES=10000)
	@LEADLINE_SEQUENCES=$(or $(SEQUENCES),10000) $(PY) -m pytest -q -k interleaving tests/execution/test_halts_interleaved.py

.PHONY: sim
sim: setup ## thousands of simulated schedules of kills and faults on the whole order path (SEEDS=1000 FROM=1, or SEED=7 TRACE=1)
	@$(PY) -m tests.simulation $(if $(SEED),--seed $(SEED) $(if $(TRACE),--trace),--seeds $(or $(SEEDS),1000) --from $(or $(FROM),1))

.PHONY: sim-models
sim-models: setup ## say the same commands to the simulation's models and to PostgreSQL, NATS and the paper venue (SEQUENCES=2000)
	@LEADLINE_SEQUENCES=$(or $(SEQUENCES),2000) $(PY) -m pytest -q tests/simulation/test_models.py tests/execution/test_stores.py -k "model or chance_do_the_same"

.PHONY: sim-planted
sim-planted: setup ## plant faults in the order path one after the other, and print after how many simulated schedules each is found
	@$(PY) -m tests.simulation --planted --seeds $(or $(SEEDS),10000) $(addprefix --only ,"$(ONLY)")

.PHONY: mutants
mutants: setup ## change the money path in one place at a time and see whether tests notice (MODULE=risk SAMPLE=40 SEED=1)
	@$(PY) -m scripts.mutants $(addprefix --module ,$(MODULE)) --sample $(or $(SAMPLE),0) --seed $(or $(SEED),1)

.PHONY: fuzz
fuzz: setup ## whatever may come from outside, changed in every way, and a table of what that did (SECONDS_EACH=60 SEED=1)
	@$(PY) -m tests.fuzz --seconds-each $(or $(SECONDS_EACH),60) --seed $(or $(SEED),1) $(addprefix --target ,$(TARGET))

.PHONY: clean
clean: ## remove caches and build output (keeps .venv and data directories)
	@rm -rf build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +
