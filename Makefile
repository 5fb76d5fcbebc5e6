# The front door. `make` lists the targets. Each installs the Debian packages it needs that are not there yet
# (scripts/install-packages.sh: as root, or with sudo) and asks nothing.
#
# Variables: JOBS    how much is compiled and tested at once (number of cores)
#            ARCHS   the architectures that `make release` builds: make release ARCHS=amd64
#            TESTS   only the tests whose name matches this regular expression: make test TESTS=unit

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

JOBS ?= $(shell nproc)
TESTS ?= .

# The LLVM version that scripts/install-packages.sh installs, before any other on the machine.
export PATH := /usr/lib/llvm-19/bin:$(PATH)

packages = scripts/install-packages.sh
build = cmake --preset $(1) && cmake --build --preset $(1) -j $(JOBS)
cpp_files = find src tests -name '*.[ch]pp' -print0

.PHONY: help build demo test test-all bench e2e image release format lint clean

help: ## this list
	@sed -nE 's/^([a-z0-9-]+):[^#]*## (.*)/\1 \2/p' Makefile | while read -r name text; do printf 'make %-10s%s\n' "$$name" "$$text"; done

build: ## the release binary for this machine, at build/lockkeeper
	$(packages) build
	$(call build,release)
	cmake --install build/release --prefix build/release/installed
	install -m 755 build/release/installed/bin/lockkeeper build/lockkeeper
	build/lockkeeper --version

demo: ## a database, migrations, a rolling deploy: what Lockkeeper does, on this machine
	$(packages) build demo
	$(MAKE) build
	scripts/demo.sh build/lockkeeper

test: ## everything that a change must pass, with sanitizers (about 15 minutes on two cores)
	$(packages) build test fuzz
	$(call build,dev)
	scripts/run-ctest.sh build/dev -j $(JOBS) -LE '^(long|deploy|image)$$' -R '$(TESTS)'
	$(call build,fuzz)
	tests/fuzz/run.sh build/fuzz

test-all: ## what takes longer: every PostgreSQL version, chart, manifests, static binary, image, clang-tidy (as root)
	$(packages) build test fuzz long deploy release image
	$(call build,dev)
	scripts/run-ctest.sh build/dev -j $(JOBS) -L '^(long|deploy|image)$$' -R '$(TESTS)'

bench: ## Lockkeeper beside its peers: docs/benchmarks.md and its pictures (bench/run.sh has the variables)
	$(packages) bench
	$(MAKE) release ARCHS=$$(dpkg --print-architecture)
	bench/run.sh dist/lockkeeper-linux-$$(dpkg --print-architecture)

image: ## the container image, lockkeeper:VERSION, by docker, buildah or podman; PLATFORM=arm64 for the other machine
	PLATFORM='$(PLATFORM)' scripts/image.sh

e2e: ## releases in the cluster of the current kubeconfig; tests/e2e/README.md says which images it needs
	tests/e2e/run.sh

release: ## dist/: the static binaries for amd64 and arm64, what is in them, licences (as root, or with sudo)
	$(packages) release
	scripts/release.sh $(ARCHS)

format: ## formats the sources in place
	$(packages) test
	$(cpp_files) | xargs -0 clang-format -i

lint: ## formatting, shell scripts, clang-tidy
	$(packages) build test
	tests/checks/sources.sh format
	tests/checks/sources.sh shell
	cmake --preset dev
	python3 tests/checks/tidy.py build/dev $(JOBS)

clean: ## removes build/ and dist/
	rm -rf build dist
