# Firstlight: two commands to know are `make start` and `make test`.

.DEFAULT_GOAL := help
.PHONY: help start check test faults setup build samples bench-codec bench-convert bench-migrate bench-audit bench-scale bench-server bench-doors bench-viewer bench-policy judge-pairs dist test-migrate test-audit sweep fuzz wasm clean

help: ## Show what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

start: ## Build, convert sample images (or DICOM=/a/folder), serve them and print the address
	@scripts/start.sh $(if $(DICOM),"$(DICOM)")

check: ## The short answer after a change: format, lints, unit and crate tests without the corpus; minutes, not an hour
	@scripts/setup.sh build
	@python3 scripts/check.py

test: ## Everything that is checked: format, lints, licences, tests, judges, browser (STEPS="judges web" for some)
	@scripts/test.sh $(STEPS)

setup: ## Install what building and testing need
	@scripts/setup.sh build start test

build: ## Build the release binary: target/release/firstlight
	@scripts/setup.sh build
	@cargo build --release --locked -p firstlight

dist: ## Pack a release into dist/: program, viewer, unit file, manual, bill of materials, checksums
	@scripts/setup.sh build start
	@scripts/dist/dist.sh

samples: ## Fetch the sample images only
	@scripts/samples.sh

bench-codec: ## Time the codec against its peers on one thread
	@scripts/setup.sh build judges
	@scripts/bench/run.sh codec

bench-convert: ## Time conversion end to end: CPU milliseconds per instance
	@scripts/setup.sh build judges
	@scripts/bench/run.sh convert

bench-migrate: ## Migrate 100,000 instances, a million files, an object of 5.6 GB: rate and memory
	@scripts/setup.sh build judges
	@scripts/bench/run.sh migrate $(ARGS)

bench-audit: ## Audit the corpus, converted and imported: MB for each second of CPU time
	@scripts/setup.sh build judges
	@scripts/bench/run.sh audit $(if $(DICOM),"$(DICOM)")

bench-scale: ## PostgreSQL and S3 beside SQLite and a disk, workers, frames from far away, what grows with the archive (ARGS="--studies 10000,100000")
	@scripts/setup.sh build judges test
	@scripts/bench/run.sh scale $(ARGS)

bench-server: ## The server beside nginx: requests for a second of CPU time, crowds, memory (ARGS="--rounds 1 --seconds 2")
	@scripts/setup.sh build judges
	@scripts/bench/run.sh server $(ARGS)

bench-doors: ## DIMSE beside DCMTK and the disk: storing, finding, moving (ARGS="--rounds 1 --objects 20 --studies 2000")
	@scripts/setup.sh build judges
	@scripts/bench/run.sh doors $(ARGS)

bench-viewer: ## The viewer beside stock OHIF on slow lines, hours; goes on where it was (ARGS="--parts radiographs --runs 1 --table")
	@scripts/setup.sh build start judges
	@scripts/bench/run.sh viewer $(ARGS)

judge-pairs: ## The whole corpus to every target, judged by decoders that are not ours: a table (make test takes a sample)
	@scripts/test.sh pairs

faults: ## kill -9 of what stores, deletes and backs up, N times each (default 100): one line a kind (make test does fewer)
	@scripts/setup.sh build judges test
	@scripts/faults.sh $(or $(N),100)

test-migrate: ## Migrations through 200 kills, 20 full disks, 50 power cuts (make test does fewer)
	@scripts/setup.sh build judges test
	@scripts/test_migrate.sh

test-audit: ## The audit: 1,000 seeded faults, and no false alarm after 20 kills (make test does fewer)
	@scripts/setup.sh build judges test
	@scripts/test_audit.sh

sweep: ## Every URL of the corpus, every study in OHIF, 3,000 damaged files (make test takes samples)
	@scripts/test.sh sweep-all studies-all mutants-all

bench-policy: ## Compare the shipped policies on the corpus (or DICOM=/a/folder): the numbers of docs/choosing-a-policy.md
	@scripts/setup.sh build
	@scripts/bench/run.sh policy $(if $(DICOM),"$(DICOM)")

fuzz: ## Fuzz what files and strangers send (ARGS="--log 60 http"): by default all targets, 30 s each
	@scripts/setup.sh build
	@scripts/fuzz.sh $(or $(ARGS),30 all)

wasm: ## Build the codec for the browser into .cache/wasm
	@scripts/setup.sh build start
	@scripts/wasm.sh

clean: ## Remove what was built and fetched
	@rm -rf target .cache web/dist web/node_modules
