# SPDX-License-Identifier: MIT
#
# The front door: verbs. CMake builds, CTest tests, tools/ does the rest; each line here only
# calls them. `make help` lists the verbs.
.DEFAULT_GOAL := help
.PHONY: help run build debug test test-cassandra-cluster check bench fuzz sim demo-crash demo-fleet format install uninstall clean

PREFIX  ?= /usr/local
DESTDIR ?=
JOBS    ?= $(shell nproc 2>/dev/null || echo 2)
SECONDS ?= 600
SEEDS   ?= 1..10000
DEMO    ?= 25

help: ## what you are reading
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 30

run: ## set up, build, start a server, ask it, replay a real log: start here
	@tools/setup.sh run
	@tools/build.sh --no-tests release weir
	@tools/run.sh

build: ## the binary and the libraries, in build/release
	@tools/setup.sh run
	@tools/build.sh --no-tests release

debug: ## the same without optimisation, in build/debug
	@tools/setup.sh run
	@tools/build.sh --no-tests debug

check: ## the everyday loop, under a minute: style, rooms, lint, quick tests
	@tools/setup.sh test
	@tools/check.sh

test: ## everything: sanitizers, fuzzers, clients, packages; 30 minutes
	@tools/setup.sh test
	@tools/test.sh

test-cassandra-cluster: ## three real Cassandra nodes, killed and paused under load; 10 minutes, 3 GB of memory
	@tools/setup.sh test
	@tools/build.sh release weir weir_shared cassandra_client_driver fleet_worker wall_clock
	@for test in client verbs fleet; do \
	    WEIR_BIN=$(CURDIR)/build/release/weir WEIR_BUILD_DIR=$(CURDIR)/build/release \
	    .deps/python/bin/python test/cassandra/test_$${test}_cluster.py || exit 1; done

bench: ## measure, each figure beside its reference
	@tools/setup.sh bench
	@tools/build.sh --no-tests release
	@bench/run

fuzz: ## fuzz each target for SECONDS=600
	@tools/setup.sh run fuzz test
	@tools/fuzz.sh $(SECONDS)

sim: ## play SEEDS=1..10000 of simulated worlds: do leases keep the limit in all of them?
	@tools/setup.sh run
	@tools/build.sh --no-tests release weir
	@build/release/weir sim --seeds $(SEEDS)

demo-crash: ## kill -9 processes that share a file, for 20 s, and let weir judge read what they were told
	@tools/setup.sh run
	@tools/build.sh --no-tests release
	@tools/demo_crash.sh

demo-fleet: ## kill -9 a primary of a Redis Cluster, and a server of three that count there, and let weir judge read all
	@tools/setup.sh demo
	@tools/build.sh --no-tests release
	@tools/demo_fleet.sh $(DEMO)

format: ## lay out the C files (clang-format)
	@tools/setup.sh format
	@tools/format.sh

install: ## into DESTDIR= PREFIX=/usr/local
	@tools/setup.sh run
	@tools/build.sh --no-tests release
	@tools/install.sh "$(PREFIX)" "$(DESTDIR)"

uninstall: ## takes away what install put there
	@tools/install.sh --undo "$(DESTDIR)"

clean: ## removes build/ (the downloads in .deps/ stay)
	@tools/run.sh --stop
	@rm -rf build
