# The front door. `make` alone says what there is.

PORT ?= 8000
FUZZ_MINUTES ?= 10

.PHONY: help
help:
	@echo 'make run      build and run against the bundled market; http://127.0.0.1:$(PORT) (PORT=… for another)'
	@echo 'make build    build/moonwatch and build/moonwatch-market'
	@echo 'make test     build and run every test, plainly and under sanitizers'
	@echo 'make bench    what bench/ measures, as a table and as build/bench.json; QUICK=1: in under three minutes'
	@echo 'make deb      the Debian package, into build-deb'
	@echo 'make cover    how much of what heals is run by its tests'
	@echo 'make fuzz     each fuzzer for FUZZ_MINUTES (10), as many at once as there are cores'
	@echo 'make torture  every call that can fail made to fail, and the power cut at every write'
	@echo 'make lint     formatting, both compilers, clang-tidy, shellcheck, tsc and biome, the purity of src/core'
	@echo 'make format   clang-format over all sources, biome over the dashboard'
	@echo
	@echo 'What is missing on Debian 12 is installed first (as root or with sudo).'

.PHONY: build
build:
	@tools/setup run
	@tools/build release moonwatch moonwatch-market

.PHONY: run
run: build
	@tools/run-demo $(PORT)

.PHONY: test
test:
	@tools/setup run test
	@tools/test

.PHONY: bench
bench:
	@tools/setup run bench
	@tools/build release moonwatch moonwatch-market bench/moonwatch-bench bench/bench-worker bench/bench-bare
	@build/bench/moonwatch-bench $(if $(QUICK),--quick) --out build/bench.json

.PHONY: cover
cover:
	@tools/setup run cover
	@tools/cover

.PHONY: torture
torture:
	@tools/setup run test
	@tools/configure build-torture -Doptimization=1
	@ninja -C build-torture --quiet tests/torture/moonwatch-torture tests/torture/test_power moonwatch-market
	@build-torture/tests/torture/test_power --all
	@tools/torture build-torture

.PHONY: fuzz
fuzz:
	@tools/setup run test
	@tools/fuzz --minutes $(FUZZ_MINUTES)

.PHONY: deb
deb:
	@tools/setup run deb
	@tools/deb

.PHONY: lint
lint:
	@tools/setup run test lint
	@tools/lint

.PHONY: format
format:
	@tools/setup lint
	@tools/sources | xargs clang-format -i
	@cd web && npx --no-install biome check --write . ../tests/e2e ../tests/contract
