# Two commands do everything: `make demo` and `make test`. They need Python 3.11 or later, gcc, cmake and make.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
LOG    := $(VENV)/install.log
SHELL  := bash

.PHONY: demo test check bench demo-model lock clean

demo: $(VENV)/.installed
	@echo "The demo: about half a minute until its result."
	$(BIN)/promptgrad demo

# What fails is tried once more, and named: real models, processes and terminals share the machine with others.
test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n 2 --reruns 1 -rR

check: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.installed-dev
	$(BIN)/python -m pip install -q xllamacpp
	$(BIN)/python -m benchmarks

demo-model: $(VENV)/.installed-dev
	$(BIN)/python -m pip install -q torch==2.13.0 tokenizers
	MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=100000000000 MALLOC_TOP_PAD_=536870912 OMP_WAIT_POLICY=PASSIVE \
	    $(BIN)/python -m models.demo.training

lock:
	uv pip compile pyproject.toml --extra gguf --universal --python-version 3.11 --generate-hashes \
	    --no-emit-index-url --no-header -q -o requirements.lock
	uv pip compile pyproject.toml --extra gguf --extra dev --extra yaml --extra excel --universal \
	    --python-version 3.11 --generate-hashes \
	    --no-emit-index-url --no-header -q -o requirements-dev.lock

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# GCC before 12.4 and 13.3 breaks AMX code (its bug 114098) unless it keeps the writes that it takes for dead. With
# AVX512-FP16, which the same processors have, llama.cpp's attention computes heads under 128 wide number by number.
ifneq (,$(shell grep -sE "amx_tile|avx512_fp16" /proc/cpuinfo))
known = $(shell $(CC) -Werror $(1) -E -x c /dev/null >/dev/null 2>&1 && echo $(1))
LLAMA_FLAGS := $(foreach flag,-fno-tree-dse -fno-dse -mno-avx512fp16,$(call known,$(flag)))
endif

# Of what pip says with -v: each package, and each file that is compiled.
PROGRESS := sed -nE -e 's|^(Collecting [^ ]+).*|\1|p' -e 's|^(Installing) collected.*|\1|p' \
    -e 's|^ *(\[ *[0-9]+[/%][0-9]*\]) .*/([^/ ]+)$$|  \1 \2|p' -e 's|^ *(\*\*\* .*)|  \1|p'

$(VENV)/.installed: pyproject.toml requirements.lock | $(BIN)/python
	@echo "The packages: about a minute, depending on the network."
	@echo "llama.cpp, compiled the first time only: about four minutes on two cores, one line a file."
	@set -o pipefail; CFLAGS="$$CFLAGS $(LLAMA_FLAGS)" CXXFLAGS="$$CXXFLAGS $(LLAMA_FLAGS)" \
	    $(BIN)/python -m pip install -v -r requirements.lock 2>&1 | tee $(LOG) | $(PROGRESS) \
	    || { tail -n 60 $(LOG); echo "The whole output is in $(LOG)."; exit 1; }
	$(BIN)/python -m pip install -q --no-deps -e .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.lock
	$(BIN)/python -m pip install -q -r requirements-dev.lock
	touch $@
