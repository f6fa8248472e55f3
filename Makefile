# make setup | test | test-all | lint | demo — each sets up what it needs by itself. make gpu-check takes what is there.
PYTHON ?= python3.11
VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check
STAMP := $(VENV)/.installed
DATA_ROOT ?=
WORK_DIR ?= work_dirs/demo
# Tests run in so many processes of a thread each, a file at a time, long ones first (tests/conftest.py).
TEST_PROCESSES ?= 2
# Of `make demo`: with DATA_ROOT the one real key frame in that folder is pre-trained on and rendered; else synthetic
# streets, on which the encoder is probed and a detector is trained as well.
DEMO_DATA := $(or $(DATA_ROOT),data/synthetic)
DEMO_CONFIG := configs/tiny/ponderv2_camera_$(if $(DATA_ROOT),keyframe,synthetic).py
DEMO_DETECTOR := configs/tiny/uvtr_camera_synthetic_head_first.py
# The progress and the summary are shown; warnings as well, but not the recipe and every message of a training.
QUIET := log_level=WARNING

# The GPU check takes the environment that is there: on a GPU machine it is not `make setup` that made it.
GPU_PYTHON ?= $(or $(wildcard $(PY)),python3)

.PHONY: setup test test-all lint format demo gpu-check clean

setup: $(STAMP)
	@echo "Ready: $(PY)"

# Three steps, because mmcv's build looks for torch in the environment it is built for. The pins
# of all three are those of requirements.txt; --no-deps because that file is already the whole set. Without symbols for
# debuggers, which Python's own flags ask for, a file of mmcv compiles in less than half the time.
$(STAMP): requirements.txt pyproject.toml
	@if test -x $(PY) && ! test -e $@; then \
	  want=$$(sed -n 's/^torch==//p' requirements.txt); \
	  found=$$($(PY) -c "import importlib.metadata as m; print(next((d.version for d in m.distributions(name='torch')), ''))"); \
	  case "$${found%%+*}" in ""|"$$want") ;; *) \
	    echo "$(VENV) has torch $$found, and make setup installs $$want: another environment; move it away, or make setup VENV=.venv-cpu" >&2; \
	    exit 2;; \
	  esac; \
	fi
	@test -x $(PY) || { echo "[1/4] creating $(VENV) with $(PYTHON)"; $(PYTHON) -m venv $(VENV); }
	@echo "[2/4] torch, numpy and the build tools"
	@$(PIP) install -q -c requirements.txt setuptools wheel ninja psutil numpy torch
	@if ! $(PIP) show -q mmcv 2>/dev/null; then \
	  echo "[3/4] mmcv from source: about 10 minutes on 2 cores, pip keeps the result for the next time"; \
	  ( while sleep 30; do echo "      still compiling mmcv, $$(ps -o etime= -p $$$$ | tr -d ' ') so far"; done ) & pulse=$$!; \
	  MMCV_WITH_OPS=1 FORCE_CUDA=0 CFLAGS="$${CFLAGS:--DNDEBUG -fwrapv -O3 -g0}" MAX_JOBS=$${MAX_JOBS:-$$(nproc)} $(PIP) install -q --no-build-isolation --no-deps -c requirements.txt mmcv; \
	  status=$$?; kill $$pulse 2>/dev/null; test $$status -eq 0; \
	fi
	@echo "[4/4] the rest of requirements.txt, and this project"
	@$(PIP) install -q --no-deps -r requirements.txt
	@$(PIP) install -q --no-build-isolation --no-deps -e .
	@touch $@

test: setup
	OMP_NUM_THREADS=1 $(PY) -m pytest -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder

test-all: setup
	$(PY) -m pytest -m ""

lint: setup
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

format: setup
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

demo: setup
	@rm -rf $(WORK_DIR)/render $(WORK_DIR)/probe.json $(WORK_DIR)/detection $(WORK_DIR)/constant.json $(WORK_DIR)/boxes
ifeq ($(DATA_ROOT),)
	@echo "[1/6] synthetic streets in $(DEMO_DATA)"
	$(PY) tools/make_synthetic_nuscenes.py --out $(DEMO_DATA) --benchmark streets-mini --workers 2
	@echo "[2/6] info files"
	$(PY) tools/create_data.py --root $(DEMO_DATA) --version v1.0-mini --out $(DEMO_DATA) --no-paste-database
endif
	@echo "[3/6] pre-training by rendering"
	$(PY) tools/train.py $(DEMO_CONFIG) --data-root $(DEMO_DATA) --work-dir $(WORK_DIR) --cfg-options $(QUIET)
	@echo "[4/6] pictures and numbers of what is rendered"
	$(PY) tools/render.py $(DEMO_CONFIG) $(WORK_DIR)/last_checkpoint --data-root $(DEMO_DATA) --out $(WORK_DIR)/render --samples 2
ifeq ($(DATA_ROOT),)
	@echo "[5/6] what the encoder knows of objects, without a label: a random encoder and the pre-trained one"
	$(PY) tools/linear_probe.py $(DEMO_DETECTOR) --data-root $(DEMO_DATA) --encoders scratch $(WORK_DIR)/encoder.safetensors \
	  --json $(WORK_DIR)/probe.json
	@echo "[6/6] a detector on the pre-trained encoder: its head alone is trained, then scored by the official devkit beside boxes that see nothing"
	$(PY) tools/train.py $(DEMO_DETECTOR) --data-root $(DEMO_DATA) --work-dir $(WORK_DIR)/detection --cfg-options $(QUIET) \
	  model.init_cfg.checkpoint=$(WORK_DIR)/encoder.safetensors train_cfg.max_iters=1000
	$(PY) tools/test.py $(DEMO_DETECTOR) $(WORK_DIR)/detection --data-root $(DEMO_DATA) --work-dir $(WORK_DIR)/detection/test \
	  --draw $(WORK_DIR)/boxes --cfg-options $(QUIET) test_evaluator.submission_dir=$(WORK_DIR)/detection/test
	$(PY) -m studies.constant_predictor $(DEMO_DETECTOR) --data-root $(DEMO_DATA) --json $(WORK_DIR)/constant.json
endif
	@$(PY) -m studies.demo_summary $(WORK_DIR)

gpu-check:
	@mkdir -p work_dirs
	$(GPU_PYTHON) tools/gpu_check.py --json work_dirs/gpu_check.json --markdown work_dirs/gpu_check.md

clean:
	rm -rf $(VENV)
