# Everything a developer does. `make` alone lists the targets.

SHELL := /bin/bash
.DEFAULT_GOAL := help
CARGO ?= cargo
CLUSTER := tests/cluster/cluster

.PHONY: help setup demo demo-down run dev plugin \
	test test-unit test-rules test-chart test-single test-integration test-gateway-api test-autobahn test-e2e chaos-quick \
	test-page test-observe test-install test-images test-arm64 test-coverage test-upgrade chaos fleet scale bench soak fuzz \
	lint format format-check check generate generate-check security workflows image sbom release clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  \033[1m%-18s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Install what is missing: packages, the Kubernetes binaries, cargo-deny, the Autobahn test suite
	@scripts/setup

demo: ## Show the main job: two MUDs on a real Kubernetes talk by the router, and by NATS when it is cut
	@scripts/setup cluster
	@scripts/setup tools nats-server
	@tests/e2e/run demo

demo-down: ## Remove all that the demo made
	@$(CLUSTER) down

run: ## Run one gateway against the bundled router on loopback: no Kubernetes, no NATS
	@scripts/run

dev: ## The same with debug logs as text
	@LOG_LEVEL=debug LOG_FORMAT=text scripts/run

test-rules: ## The alerts (promtool) and the dashboards, without running anything
	@scripts/setup packages
	@tests/observe/rules

test-chart: ## The chart without a cluster: lint, values, what it renders, and kubeconform
	@tests/chart/run

test-observe: ## The dashboards against a real Prometheus that scrapes a real fleet; draws docs/dashboards/
	@scripts/setup cluster
	@scripts/setup tools nats-server
	@tests/observe/grafana-types
	@scripts/within 20 tests/observe/run

test-single: ## One MUD without Kubernetes: the compose files, what they name on loopback, the systemd unit
	@scripts/setup packages
	@scripts/setup tools nats-server
	@$(CARGO) build --quiet --package mudgateway --package i3-router --bins
	@PATH=$$(tests/cluster/tools/build --path nats-server):$$PATH tests/single/run

test-page: ## The status page in headless Chromium
	@scripts/setup browser
	@scripts/within 20 tests/observe/page

test: ## All tests: units, integration, faults, WebSocket conformance (where there is a Python 2.7), end to end
	@$(MAKE) --no-print-directory test-unit test-rules test-chart test-single test-integration test-gateway-api chaos-quick
	@if scripts/setup has-python2; then $(MAKE) --no-print-directory test-autobahn; \
	else echo "NOT RUN: test-autobahn; its suite needs Python 2.7 (pyenv install 2.7.18)"; fi
	@$(MAKE) --no-print-directory test-e2e

test-unit: ## Tests that need nothing but the code
	$(CARGO) test --workspace --quiet

test-integration: ## The gateway against a real nats-server, the operator against a real kube-apiserver
	@scripts/setup cluster
	@scripts/setup tools nats-server
	@tests/integration

test-gateway-api: ## Muds reached through a real Gateway: Contour and Envoy, plain and under TLS, over a failover
	@scripts/setup cluster
	@scripts/setup tools nats-server
	@scripts/setup gateway-api
	@tests/gateway-api

test-autobahn: ## WebSocket conformance: the 301 cases of the Autobahn test suite without compression
	@scripts/setup autobahn
	@tests/autobahn/run

test-e2e: ## The demo's story and its faults, as tests on the cluster
	@scripts/setup cluster
	@scripts/setup tools nats-server
	@tests/e2e/run test

test-install: test-images test-page test-observe ## What a provider installs and looks at: these three, the quick start, then install, upgrade, roll back, remove and install again. 20 minutes
	@scripts/setup cluster
	@scripts/setup tools nats-server
	@scripts/within 75 tests/install/run

chaos-quick: ## Break gateways on purpose for a minute, and check what docs/FAILOVER.md promises
	@scripts/setup tools nats-server
	@tests/chaos/run quick

test-upgrade: ## Replace gateways by those of the version before and back, under clients: nothing lost, nothing doubled
	@scripts/setup tools nats-server
	@tests/chaos/run upgrade

chaos: ## All faults, many times: a quarter of an hour. Rewrites the tables in docs/FAILOVER.md
	@scripts/setup tools nats-server
	@tests/chaos/run

fleet: ## 200 gateways lose their router at once: how soon all are back, and that none is turned away. 12 minutes
	@scripts/setup tools nats-server
	@tests/fleet/run

scale: ## Measure the operator with N (1000) MudGateways on played nodes; fails when a goal is missed. Rewrites docs/SCALE.md
	@scripts/setup cluster
	@scripts/setup tools nats-server kwok
	@tests/scale/run $(or $(N),1000) --write docs/SCALE.md

test-coverage: ## Line coverage of the tests that need no cluster
	@scripts/coverage

bench: ## Benchmarks: the protocol library, and a gateway under load
	$(CARGO) bench --package intermud3
	$(CARGO) build --release --package mudgateway --package mudgateway-bench
	target/release/mudgateway-bench --gateway target/release/mudgateway

soak: ## 50 messages a second to 200 clients, of which one reconnects each second, for MINUTES (20): nothing grows, nothing is lost
	@scripts/setup tools nats-server
	$(CARGO) build --release --package mudgateway --package mudgateway-bench
	target/release/mudgateway-bench --gateway target/release/mudgateway --soak $(or $(MINUTES),20) \
		--nats-server "$$(tests/cluster/tools/build --path nats-server)/nats-server"

fuzz: ## Fuzz the protocol library and the gateway, SECONDS (60) for each target
	@scripts/fuzz $(or $(SECONDS),60)

plugin: ## Build the kubectl plug-in: target/release/kubectl-mudgw
	$(CARGO) build --release --locked --package kubectl-mudgw

lint: ## clippy and shellcheck, warnings are errors
	$(CARGO) clippy --workspace --all-targets --all-features -- -D warnings
	@# Tests that need more than the code are not among all targets.
	$(CARGO) clippy --package mudgateway --package mudgateway-e2e --package mudgateway-chart --test it --test install --test quickstart -- -D warnings
	@shellcheck -x $$(git ls-files -z | xargs -0 grep -lE '^#!.*(bash|/sh)$$')

format: ## Format the code
	$(CARGO) fmt --all

format-check:
	$(CARGO) fmt --all --check

check: format-check lint generate-check workflows security test ## All that must pass before a commit

generate: ## Write the generated files anew: the CRD, the API reference
	@scripts/generate

generate-check:
	@scripts/generate --check

security: ## Licences, sources and duplicates of dependencies; known vulnerabilities where the database can be had
	@scripts/security

workflows: ## The workflows of GitHub, with actionlint
	@"$$(tests/cluster/tools/build --path actionlint)/actionlint"

test-images: ## What the images are: no root, nothing writable, labels, health check, size, the same twice
	@scripts/setup packages
	@scripts/within 45 tests/images

test-arm64: ## The images for arm64, and the programs in them under qemu: the operator, the gateway, its clients. 20 minutes
	@scripts/setup cluster
	@scripts/setup arm64
	@scripts/setup tools nats-server
	@scripts/within 75 tests/arm64

sbom: ## What the programs are made of, as CycloneDX, into target/sbom
	@scripts/sbom

release: ## Write a new VERSION wherever one stands. docs/RELEASING.md says what comes then
	@scripts/release bump $(VERSION)

image: ## Build the container images, with docker or buildah
	@scripts/image

clean: ## Remove what was built here; the tool cache outside stays
	$(CARGO) clean
