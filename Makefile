# SPDX-License-Identifier: Apache-2.0
# Copyright The weir authors
#
# Needs Go and make. What a test or a benchmark uses besides them, the target that
# needs it installs (.ci/packages, through apt-get).

SHELL := /bin/sh
GO    ?= go
TIME  ?= 30s

# One version for both binaries: the master refuses a worker that says another.
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
LDFLAGS := -X main.version=$(VERSION)

# -buildvcs=false: the version is passed above, and a tree that belongs to another user must build too.
BUILD := CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags "$(LDFLAGS)"

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

# Tests of tests/e2e that hold the proxy under full load for seconds and judge its counts or times: `make test` and
# `make invariants` run them. With the race detector they take minutes, and what they judge is the detector's slowness.
LOADED := ^TestLimit(IsExact|CrashUnderLoad|OverReloads|HeldOverReloads)$$

.DEFAULT_GOAL := help
.PHONY: help build run test check fmt vet lint race invariants fuzz bench docs clean

help: ## list the targets (the default)
	@sed -n 's/^\([a-z]*\):[^#]*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 14

build: ## bin/weir and bin/weir-worker
	$(BUILD) -o bin/weir ./cmd/master
	$(BUILD) -o bin/weir-worker ./cmd/worker

run: build ## build, then start weir in the foreground on its default config: curl -i http://127.0.0.1:8080/
	./bin/weir

test: build ## build and pass every test
	@.ci/packages nginx curl strace || echo "make test: going on; tests that use what is missing say so" >&2
	CGO_ENABLED=0 $(GO) test ./...

check: fmt vet lint race invariants ## format, vet, lint, tests with the race detector and with -tags invariants

fmt: ## fail when a file is not formatted
	@files=$$(gofmt -l $$(find . -name '*.go' -not -path './tmp/*')); \
	if [ -n "$$files" ]; then echo "not formatted (gofmt -w):"; echo "$$files"; exit 1; fi

vet: ## go vet, with and without the invariants
	$(GO) vet ./...
	$(GO) vet -tags invariants ./...

lint: ## the house rules (internal/lint) and staticcheck
	$(GO) test ./internal/lint/
	$(GO) run $(STATICCHECK) ./...

race: ## tests with the race detector (but the longest), in the binaries that tests/e2e runs too (needs cgo and gcc)
	@command -v $$($(GO) env CC) >/dev/null || { \
		echo "make race: no C compiler ($$($(GO) env CC)): the race detector needs cgo; install gcc" >&2; exit 1; }
	CGO_ENABLED=1 WEIR_E2E_BUILDFLAGS=-race $(GO) test -race -skip '$(LOADED)' ./...

invariants: ## tests with the expensive checks compiled in, in the binaries that tests/e2e runs too
	CGO_ENABLED=0 WEIR_E2E_BUILDFLAGS=-tags=invariants $(GO) test -tags invariants ./...

fuzz: ## every fuzz target in turn, TIME=30s each
	GO="$(GO)" .ci/fuzz $(TIME)

bench: build ## side by side with nginx and HAProxy; QUICK=1 for a short run, PROXIES=weir,nginx to choose
	@.ci/packages nginx haproxy wrk perf
	@.ci/packages valgrind || echo "make bench: going on; without hardware counters and valgrind little is counted" >&2
	$(GO) run ./tests/bench

ifneq ($(wildcard tests/interop/.),)
.PHONY: interop
interop: build ## against real nginx, curl, wrk, h2load from packages
	@.ci/packages nginx curl wrk h2load
	$(GO) test -count=1 -tags interop ./tests/interop/...
endif

docs: ## regenerate what is generated under docs/
	$(GO) generate ./...

clean: ## remove what the other targets made
	rm -rf bin run logs tmp
