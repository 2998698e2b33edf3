# SPDX-License-Identifier: Apache-2.0
# Copyright The weir authors
#
# Needs Go and make. What a test or a benchmark uses besides them, the target that
# needs it installs (.ci/packages, through apt-get).

SHELL := /bin/sh
GO    ?= go
TIME  ?= 30s

# One version for all binaries: the master refuses a worker that says another.
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
LDFLAGS := -X main.version=$(VERSION)

# -buildvcs=false: the version is passed above, and a tree that belongs to another user must build too.
BUILD := CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags "$(LDFLAGS)"

# What the compiler goes by in the worker: which calls are frequent (make profile). It is not named default.pgo, with which every build and test would
# compile all packages of the worker once more.
PGO := cmd/worker/worker.pgo

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

# What is left out where. `make test` leaves out nothing. `make race` and `make invariants` run every package, with -short: where a test
# kills a process at each store of an operation they try one in some, and fewer random schedules. Of tests/e2e, which they run with
# binaries built the same way, each mechanism is run, but not these, which take minutes there; FULL=1 (`make check`) runs them too:
#
# LOADED: full load for seconds, judged by its counts and times. With the race detector that would be the detector's slowness: never run with it.
LOADED := ^Test(Limit(IsExact|CrashUnderLoad|OverReloads|HeldOverReloads)|ReloadsUnderLoad|UpgradeUnderLoad|UpgradesUnderTraffic|WorkerIsReplacedFast)$$
# POINTS: changes of generation and of master, killed at one more point; in between `make race` keeps those around the take-over and the commit.
POINTS := ^TestUpgradeKilled$$/[.](begin|started|ready|proved|taken|leaving)$$|^TestReloadKilled$$/[.](started|committed)$$|^TestUpgradeTo(BadBinaries|AnotherLayout)$$
# WAITS: seconds of waiting for timeouts and rates, in the worker's one thread.
WAITS := ^Test(.*Timeout|.*TimeoutWhile.*|Rates|ProxyLimitRateTemplate|PauseIsNotSilence|StreamBytesArriveAtOnce|Tunnel(IsKeptAliveByEitherSide|EndsWhenASideTakesNothing))$$
# BULK: many and large bodies, also through that one thread; `make race` keeps those that use the thread beside it for temporary files (TestSpilled.*).
BULK := ^Test(LargeBodies|TenThousandBodies|RequestBodies|ResponseBodies|Uploads|ReadAhead|SlowReader|ClientsThatReadNothing|MemoryStaysWithinTheSum)$$
# TEXT: an nginx.conf in, a config out: no process runs.
TEXT := ^TestNginxConf

# In tests/e2e it is weir's processes that are looked at: the clients and origins of the tests, in their own process, have the race detector too with FULL=1 only.
# tests/e2e has the machine for itself, after the other packages; of tests/interop, `make test` runs a quick part. internal/lint reads the source, whatever it is built with: `make lint`.
UNITS := $$($(GO) list ./... | grep -v -e '/tests/e2e$$' -e '/tests/interop$$' -e '/tests/torture$$' -e '/internal/lint$$')
SHORT := $(if $(FULL),,-short)
SKIP_RACE := $(LOADED)$(if $(FULL),,|$(POINTS)|$(WAITS)|$(BULK)|$(TEXT))
SKIP_INVARIANTS := $(if $(FULL),^$$,$(LOADED)|$(POINTS)|$(WAITS)|$(TEXT))
# For a machine that is slow and busy; a package has ten minutes by default.
PATIENCE := -timeout 30m

.DEFAULT_GOAL := help
.PHONY: help build run test check fmt vet lint race invariants torture fuzz bench profile interop docs clean

help: ## list the targets (the default)
	@sed -n 's/^\([a-z]*\):[^#]*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 14

build: ## bin/weir, bin/weir-worker and bin/weir-convert
	$(BUILD) -o bin/weir ./cmd/master
	$(BUILD) -pgo=$(PGO) -o bin/weir-worker ./cmd/worker
	$(BUILD) -o bin/weir-convert ./cmd/convert

run: build ## build, then start weir in the foreground on its default config: curl -i http://127.0.0.1:8080/
	./bin/weir

test: build ## build and pass every test
	@.ci/packages nginx curl strace || echo "make test: going on; tests that use what is missing say so" >&2
	CGO_ENABLED=0 $(GO) test $(PATIENCE) $(UNITS) ./internal/lint
	CGO_ENABLED=0 $(GO) test $(PATIENCE) ./tests/e2e
	CGO_ENABLED=0 $(GO) test $(PATIENCE) ./tests/interop
	CGO_ENABLED=0 $(GO) test $(PATIENCE) ./tests/torture

check: fmt vet lint ## format, vet, lint, every test with the race detector and with -tags invariants: half an hour
	$(MAKE) --no-print-directory race FULL=1
	$(MAKE) --no-print-directory invariants FULL=1
	$(MAKE) --no-print-directory torture

fmt: ## fail when a file is not formatted
	@files=$$(gofmt -l $$(find . -name '*.go' -not -path './tmp/*')); \
	if [ -n "$$files" ]; then echo "not formatted (gofmt -w):"; echo "$$files"; exit 1; fi

vet: ## go vet, with and without the invariants
	$(GO) vet ./...
	$(GO) vet -tags invariants ./...

lint: ## the house rules (internal/lint) and staticcheck
	$(GO) test ./internal/lint/
	$(GO) run $(STATICCHECK) ./...

race: ## tests with the race detector, in the binaries that tests/e2e runs too (needs cgo and gcc); FULL=1 for the long ones
	@command -v $$($(GO) env CC) >/dev/null || { \
		echo "make race: no C compiler ($$($(GO) env CC)): the race detector needs cgo; install gcc" >&2; exit 1; }
	CGO_ENABLED=1 $(GO) test $(PATIENCE) $(SHORT) -race $(UNITS)
	CGO_ENABLED=1 WEIR_E2E_BUILDFLAGS=-race $(GO) test $(PATIENCE) $(if $(FULL),-race) -skip '$(SKIP_RACE)' ./tests/e2e

invariants: ## tests with the expensive checks compiled in, in the binaries that tests/e2e runs too; FULL=1 for the long ones
	CGO_ENABLED=0 $(GO) test $(PATIENCE) $(SHORT) -tags invariants $(UNITS)
	CGO_ENABLED=0 WEIR_E2E_BUILDFLAGS=-tags=invariants $(GO) test $(PATIENCE) -tags invariants -skip '$(SKIP_INVARIANTS)' ./tests/e2e

torture: ## everything against weir at once, RUNS=20 times for SECONDS=6 each (tests/torture); SEED=... repeats one
	WEIR_TORTURE_RUNS=$(or $(RUNS),20) WEIR_TORTURE_SECONDS=$(or $(SECONDS),6) WEIR_TORTURE_SEED=$(SEED) CGO_ENABLED=0 $(GO) test $(PATIENCE) -count=1 -v ./tests/torture

fuzz: ## every fuzz target in turn, TIME=30s each
	GO="$(GO)" .ci/fuzz $(TIME)

bench: build ## side by side with nginx and HAProxy; QUICK=1 for a short run, PROXIES=weir,nginx to choose
	@.ci/packages nginx haproxy wrk perf
	@.ci/packages valgrind || echo "make bench: going on; without hardware counters and valgrind little is counted" >&2
	$(GO) run ./tests/bench

profile: ## measure anew what the compiler goes by (cmd/worker/worker.pgo), with the loads of `make bench`: three minutes
	@.ci/packages nginx wrk
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && \
	$(BUILD) -o "$$folder/weir" ./cmd/master && \
	$(BUILD) -tags profile -ldflags "$(LDFLAGS) -X main.profiles=$$folder" -o "$$folder/weir-worker" ./cmd/worker && \
	BIN="$$folder" PROXIES=weir WORK="28 bytes;100 KiB" $(GO) run ./tests/bench && \
	$(GO) tool pprof -proto -output=$(PGO) "$$folder"/*.pprof

interop: ## the same nginx.conf and requests to the packaged nginx and to weir, answers compared (tests/interop)
	@.ci/packages nginx
	CGO_ENABLED=0 $(GO) test $(PATIENCE) -count=1 -tags interop ./tests/interop

docs: ## regenerate what is generated under docs/
	$(GO) generate ./...

clean: ## remove what the other targets made
	rm -rf bin run logs tmp
