# make build        bin/rhumb, static
# make test         everything that CI runs; installs what is missing (Docker Engine, a base image) from the
#                   distribution, and builds Engine 29 for its last part (about eight minutes, once)
# make test-engines the engine's contract and all end-to-end tests, on the machine's own engine and on Engine 29
# make test-short   the part without Docker, four to eight minutes on two cores
# make release      dist/: archives for linux on amd64 and arm64, checksums, SBOMs;
#                   "make release-check" builds them twice and compares
# make soak         1,000 rolling deployments under load (N=200: 200),
#                   and the long versions of the tests that kill and break things
# make bench        measures rhumb against what can't be faster, and against others; a part of it: PART=metrics;
#                   the proxy also against that of another binary: AGAINST=older/rhumb
# make pictures     the README's picture of the dashboard, docs/dashboard.png
# make demo         the guestbook, deployed by a server of its own; "make demo-down" removes all of it

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c

VERSION     := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
ERRCHECK    := github.com/kisielk/errcheck@v1.30.0
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.7.0
FUZZTIME    ?= 20s
N           ?= 1000
RACE         = $(shell command -v gcc >/dev/null && echo -race)

# What takes minutes, and ten times as long with the race detector.
LONG        := ./rollout ./observe/why ./observe/alerts ./observe/metrics ./web

# Engine 29 is built from modules and runs beside the machine's own engine: scripts/engine-29. Commands after ON_29 run
# on it.
ON_29       := scripts/engine run 29
CONTRACT    := ./engine/docker ./build ./vip
# A few end-to-end tests of what engines differ in: health, files, networks, hooks, streams.
FEW         := ^(TestAKilledReplicaIsReplaced|TestARollbackBringsBackTheSecretAndTheBoundFile
FEW         := $(FEW)|TestANetworkChangesWithoutALostRequest|TestHooksRunInTheirOrder|TestAOneOffHasWhatItsServiceHas)$$

.PHONY: all build test test-engines test-newer test-short check vuln bench pictures fuzz soak demo demo-down images
.PHONY: release release-check clean

all: build

build:
	CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o bin/rhumb ./cmd/rhumb

# The promises are tried last and alone: what is measured under load must not compete with other tests, nor be the race
# detector's own memory. The simulations of rollouts, of causes and of alerts are pure and long, stores of
# values are killed and damaged with millions of samples, and the dashboard's browser is slow: all of them run without
# the race detector, a part of them with.
test: check images
	@scripts/compiler
	go test -tags failpoints ./internal/failpoint
	CI=true go test $(RACE) -p 3 -timeout 15m \
		$$(go list ./... | grep -vE '^rhumb/(rollout|observe/why|observe/alerts|observe/metrics|web|test/e2e)$$')
	RHUMB_TEST_HTTP=standard CI=true go test $(RACE) -short -timeout 15m ./proxy
	CI=true go test -p 1 -timeout 15m $(LONG)
	go test $(RACE) -short $(LONG)
	RHUMB_TEST_ALONE=1 go test -timeout 5m -run 'Alone$$' ./proxy
	CI=true go test $(RACE) -parallel 3 -timeout 50m ./test/e2e
	@$(MAKE) --no-print-directory test-newer

test-engines: images
	@trap 'scripts/engine down 29' EXIT; set -x; \
	scripts/engine up 29; \
	$(ON_29) scripts/test-images; \
	CI=true go test -count=1 -timeout 15m $(CONTRACT); \
	CI=true $(ON_29) go test -count=1 -timeout 15m $(CONTRACT); \
	CI=true go test -count=1 $(RACE) -parallel 3 -timeout 50m ./test/e2e; \
	CI=true $(ON_29) go test -count=1 $(RACE) -parallel 3 -timeout 50m ./test/e2e

# The part of test-engines that CI has time for. Only where Engine 29 can't be built is it left out, and CI says so. A
# cached result may come from the other engine: -count=1.
test-newer:
	@if timeout 20m scripts/engine up 29; then \
		trap 'scripts/engine down 29' EXIT; \
		$(ON_29) scripts/test-images; \
		CI=true $(ON_29) go test -count=1 -timeout 10m ./engine/docker ./build; \
		CI=true $(ON_29) go test -count=1 -parallel 3 -timeout 10m -run '$(FEW)' ./test/e2e; \
	else \
		echo '**********************************************************************'; \
		echo 'NOT TESTED ON ENGINE 29: it could not be built or started here; the lines above say why'; \
		echo '**********************************************************************'; \
	fi

# What is killed and broken here is named in the tests' logs, with the seeds.
soak: images
	RHUMB_TEST_DOCKER=1 RHUMB_SOAK=$(N) go test -count=1 -v -timeout 12h -run 'ByTheScore' ./test/e2e
	RHUMB_TEST_LONG=1 go test -count=1 -v -timeout 1h -run 'MistakesOfMutants|KeyWithAWrongValue' ./compose
	RHUMB_TEST_DOCKER=1 RHUMB_TEST_LONG=1 go test -count=1 -v -timeout 2h -parallel 72 \
		-run 'TestWhyNames|TestShippedAlerts|TestGoodDeployments' ./test/e2e
	RHUMB_TEST_DOCKER=1 RHUMB_TEST_LONG=1 go test -count=1 -v -timeout 12h \
		-run 'Killed|WriteThatFails|IsAwayOrHangs' ./test/e2e

test-short: check
	go test $(RACE) -short -timeout 15m ./...

# The two tools beside go vet are pinned and run from the module proxy. .errcheck names the calls whose errors don't
# matter.
check:
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); \
	if [ -n "$$unformatted" ]; then echo "not formatted: $$unformatted"; exit 1; fi
	go vet ./...
	go run $(STATICCHECK) ./...
	go run $(ERRCHECK) -ignoretests -exclude .errcheck ./...
	scripts/arm64

# Looks things up on the internet, so it is not part of test.
vuln:
	go run $(GOVULNCHECK) ./...

images:
	scripts/test-tools
	scripts/engine up
	scripts/test-images

bench: build images
	@$(if $(filter-out proxy,$(PART)),:,scripts/bench-tools)
	go run ./bench $(if $(PART),-part $(PART)) $(if $(AGAINST),-against $(AGAINST))

pictures:
	scripts/test-tools
	RHUMB_PICTURES=$(CURDIR)/docs go test -count=1 -run 'PictureOfTheDashboard' ./web

# Every fuzz target for FUZZTIME.
fuzz:
	@for package in $$(go list ./...); do \
		for target in $$(go test -list '^Fuzz' "$$package" | grep '^Fuzz' || true); do \
			echo "fuzz: $$package $$target"; \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "$$package"; \
		done; \
	done

demo:
	scripts/demo up

demo-down:
	scripts/demo down

release:
	scripts/release dist

# The same commit gives the same bytes, also in another folder and without what was built before.
release-check: release
	scripts/release-check dist

clean:
	rm -rf bin dist
