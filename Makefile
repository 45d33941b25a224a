# Every target makes the test environment first (once, into ~/.cache/comfyui-levo) and then reuses it.
.PHONY: help demo test golden bench attack card lint lint-js lint-docker lint-registry python clean-environments

help:
	@echo "make demo     runs the example workflow in a real ComfyUI and puts a FLAC into output/"
	@echo "make test     checks style and types, and runs all tests"
	@echo "make golden   compares the models with outputs of the published code, number by number"
	@echo "make bench    measures loading, composing, rendering and splitting at full size, beside the published way"
	@echo "make attack   feeds the nodes thousands of odd files, texts, lists and numbers, and counts what comes of it"
	@echo "make card     on a machine with an NVIDIA card and torch: what the card makes of the pack (PYTHON, COMFYUI)"
	@echo "make lint     checks style and types only"
	@echo "make lint-js  checks the scripts of the browser (npx fetches biome from the npm registry, once)"
	@echo "make lint-docker  checks the Dockerfile of the command (by npx, too)"
	@echo "make lint-registry  asks the tools with which registries and reviewers look at packs (COMFYUI_DIR for a newer ComfyUI)"
	@echo "make clean-environments  removes the environments of other versions, 8 GB each"
	@echo "make python   prints the path of the environment's Python"

demo:
	@python=$$(tests/environment.sh) && \
	"$$python" tests/demo.py

test: lint
	@python=$$(tests/environment.sh) && \
	LEVO_BROWSER_DIR=$$(tests/environment.sh browser) && \
	export LEVO_BROWSER_DIR && \
	"$$python" -m pytest tests

golden:
	@python=$$(tests/environment.sh) && \
	PYTHONPATH=tests "$$python" -m support.golden_outputs

bench:
	@python=$$(tests/environment.sh) && \
	export PYTHONPATH=tests && \
	"$$python" tests/bench/loading.py && \
	"$$python" tests/bench/loading_small.py && \
	"$$python" tests/bench/composing.py && \
	"$$python" tests/bench/batches.py && \
	"$$python" tests/bench/rendering.py && \
	"$$python" tests/bench/stems.py && \
	"$$python" tests/bench/separating.py && \
	"$$python" tests/bench/style.py && \
	"$$python" tests/bench/overhead.py && \
	"$$python" tests/bench/workers.py

attack:
	@python=$$(tests/environment.sh) && \
	PYTHONPATH=tests "$$python" -m attack $(AREAS)

card:
	$(or $(PYTHON),python3) tests/bench/gpu_check.py $(if $(COMFYUI),--comfyui $(COMFYUI))

lint:
	@python=$$(tests/environment.sh) && \
	"$$python" -m ruff check . && \
	"$$python" -m ruff format --check . && \
	"$$python" -m mypy

lint-js:
	npx --yes --prefer-offline @biomejs/biome@2.6.8 lint --error-on-warnings

lint-docker:
	npx --yes --prefer-offline dockerfilelint@1.8.0 levo/command/Dockerfile

lint-registry:
	@python=$$(tests/environment.sh) && \
	tools=$$(tests/environment.sh linters) && \
	"$$python" tests/registry.py "$$tools"

clean-environments:
	@tests/environment.sh clean

python:
	@tests/environment.sh
