# SPDX-License-Identifier: AGPL-3.0-or-later

export PATH := $(PATH):/usr/local/go/bin
export CGO_ENABLED ?= 0

VERSION ?= $(shell git describe --tags --match 'v*' --dirty 2>/dev/null | sed 's/^v//')
LDFLAGS  = -s -w $(if $(VERSION),-X castgate/cmd/internal/cli.Version=$(VERSION))
TOOL     = go tool -modfile=.ci/tools.mod

.PHONY: help build deps lint web test-web test test-all test-host test-release fuzz deb rpm release update docs demo demo-clean bench bench-archive clean

help: ## what there is to make
	@sed -n 's/^\([a-z-]*\):.*## /make \1\t/p' $(MAKEFILE_LIST)

build: ## every program, static, into bin/
	go build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)' -o bin/ ./cmd/...

deps: ## Debian packages that the tests use (root)
	.ci/deps

lint: ## gofumpt, go vet, staticcheck
	@files=$$($(TOOL) gofumpt -l .); test -z "$$files" || { echo "gofumpt would change:"; echo "$$files"; exit 1; }
	go vet ./...
	$(TOOL) staticcheck ./...

web: ## the player that the web page embeds, from npm; build again afterwards
	command -v npm >/dev/null || .ci/deps nodejs npm
	upload/archive/web/fetch

test-web: ## the web page in a real browser
	.ci/deps chromium fonts-dejavu-core
	command -v npm >/dev/null || .ci/deps nodejs npm
	upload/archive/web/fetch tests
	CASTGATE_TEST_WEB=1 go test -count=1 -timeout 20m -run TestBrowser ./upload/archive/web

test: deps build lint test-web ## all but the slow tests (root, for throwaway hosts)
	CASTGATE_TEST_ALL=1 .ci/test

test-all: deps build lint test-web ## the slow ones as well
	CASTGATE_TEST_ALL=1 CASTGATE_TEST_SLOW=1 .ci/test

test-host: web ## the package, on Debians that this boots (root; systemd-nspawn)
	packaging/test-host

test-release: web ## that make release makes one, with two builds from nothing (10 min)
	CASTGATE_TEST_RELEASE=1 go test -count=1 -timeout 60m -run 'TestRelease$$' ./packaging

fuzz: ## every fuzz target for FUZZTIME (5s)
	.ci/fuzz

deb: web ## dist/castgate_VERSION_ARCH.deb, for amd64 and arm64
	packaging/build deb amd64 arm64

rpm: web ## the same as .rpm
	packaging/build rpm amd64 arm64

release: ## VERSION=1.2.3 KEY=FILE: packages, SBOM and signed sums in dist/castgate-VERSION
	packaging/release '$(VERSION)' '$(KEY)'

update: ## newest versions of all that castgate is built from; the tests; a table of what changed
	.ci/update

docs: docs/processes.svg ## docs/attacks.md, docs/sessions.md and the picture (root)
	mkdir -p .build/hosttest docs
	go test -count=1 -run TestAttacks ./packaging/attacks -args -update
	cp .build/hosttest/attacks.md docs/attacks.md
	CASTGATE_TEST_SLOW=1 go test -count=1 -timeout 30m -run EveryWay ./packaging/e2e -args -update
	cat packaging/e2e/sessions.head.txt .build/hosttest/sessions-*.md >docs/sessions.md

docs/processes.svg: docs/processes.dot
	command -v dot >/dev/null || .ci/deps graphviz
	dot -Tsvg $< -o $@

bench: ## castgate beside its peers; writes BENCHMARKS.md (root, 25 min; BENCHFLAGS='-only keys' prints one part)
	.ci/deps asciinema tlog ttyrec sudo bsdutils
	mkdir -p .build
	test -x .build/versitygw || CASTGATE_TEST_ALL=1 go test ./upload/target -run 'TestTheRealS3TakesIt$$/versitygw' -count 1
	go test -tags bench ./packaging/bench -run TestBench -count 1 -timeout 3h -v -args $(BENCHFLAGS) | tee .build/bench
	$(if $(PART),,$(MAKE) bench-archive RECORDINGS=$(or $(RECORDINGS),20000) | tee -a .build/bench)
	grep -q '^(end of the report)$$' .build/bench
	$(if $(PART),,sed -n '/^# Benchmarks$$/,/^(end of the report)$$/p; /^## Archive$$/,/^(end of archive)$$/p' .build/bench | sed 's/^(end of.*)$$//' >BENCHMARKS.md)

# What chooses parts or recorders makes no whole report.
PART = $(filter -only% -recorders%,$(BENCHFLAGS))

demo: ## a login, its recording, its replay; on a throwaway machine, as root
	packaging/demo/demo

demo-clean: ## undo what make demo changed
	packaging/demo/demo clean

bench-archive: ## a million recordings: how long ls and search take; seeks in 500 MB (20 min; 5 GB below .build)
	rm -rf .build/bench-archive && mkdir -p .build/bench-archive
	export CASTGATE_BENCH_DIR=$(CURDIR)/.build/bench-archive CASTGATE_BENCH_TABLE=$(CURDIR)/.build/bench-archive.md; \
	rm -f "$$CASTGATE_BENCH_TABLE" && \
	CASTGATE_BENCH_RECORDINGS=$(or $(RECORDINGS),1000000) go test ./upload/archive -run 'TestMillion$$' -count 1 -timeout 6h -v && \
	CASTGATE_BENCH_MB=$(or $(MB),500) go test ./upload/archive/web -run 'TestSeek' -count 1 -timeout 1h -v
	rm -rf .build/bench-archive
	@echo '## Archive'; echo; echo '| what | time | result |'; echo '|---|---|---|'; cat .build/bench-archive.md; echo; echo '(end of archive)'

clean: ## forget what was built
	rm -rf bin dist .build
