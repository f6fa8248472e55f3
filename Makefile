# make setup | test | test-all | lint | demo — each sets up what it needs by itself.
PYTHON ?= python3.11
VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check
STAMP := $(VENV)/.installed
DATA_ROOT ?=
WORK_DIR ?= work_dirs/demo
# Of `make demo`: with DATA_ROOT the one real key frame in that folder, else synthetic streets, whose boxes are then
# detected from the pre-trained encoder and from scratch.
DEMO_DATA := $(or $(DATA_ROOT),data/synthetic)
DEMO_CONFIG := configs/tiny/ponderv2_camera_$(if $(DATA_ROOT),keyframe,synthetic).py

.PHONY: setup test test-all lint format demo clean

setup: $(STAMP)
	@echo "Ready: $(PY)"

# Three steps, because mmcv's build looks for torch in the environment it is built for. The pins
# of all three are those of requirements.txt; --no-deps because that file is already the whole set.
$(STAMP): requirements.txt pyproject.toml
	@test -x $(PY) || { echo "[1/4] creating $(VENV) with $(PYTHON)"; $(PYTHON) -m venv $(VENV); }
	@echo "[2/4] torch, numpy and the build tools"
	@$(PIP) install -q -c requirements.txt setuptools wheel ninja psutil numpy torch
	@if ! $(PIP) show -q mmcv 2>/dev/null; then \
	  echo "[3/4] mmcv from source: about 9 minutes on 2 cores, pip keeps the result for the next time"; \
	  ( while sleep 30; do echo "      still compiling mmcv, $$(ps -o etime= -p $$$$ | tr -d ' ') so far"; done ) & pulse=$$!; \
	  MMCV_WITH_OPS=1 FORCE_CUDA=0 MAX_JOBS=$${MAX_JOBS:-$$(nproc)} $(PIP) install -q --no-build-isolation --no-deps -c requirements.txt mmcv; \
	  status=$$?; kill $$pulse 2>/dev/null; test $$status -eq 0; \
	fi
	@echo "[4/4] the rest of requirements.txt, and this project"
	@$(PIP) install -q --no-deps -r requirements.txt
	@$(PIP) install -q --no-build-isolation --no-deps -e .
	@touch $@

test: setup
	$(PY) -m pytest

test-all: setup
	$(PY) -m pytest -m ""

lint: setup
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

format: setup
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

demo: setup
ifeq ($(DATA_ROOT),)
	@echo "[1/5] synthetic streets in $(DEMO_DATA)"
	$(PY) tools/make_synthetic_nuscenes.py --out $(DEMO_DATA) --scenes 10 --keyframes 4 --image-size 400x225 --workers 2
	@echo "[2/5] info files"
	$(PY) tools/create_data.py --root $(DEMO_DATA) --version v1.0-mini --out $(DEMO_DATA) --no-paste-database
endif
	@echo "[3/5] pre-training by rendering"
	$(PY) tools/train.py $(DEMO_CONFIG) --data-root $(DEMO_DATA) --work-dir $(WORK_DIR)
	@echo "[4/5] pictures and numbers"
	$(PY) tools/render.py $(DEMO_CONFIG) $(WORK_DIR)/last_checkpoint --data-root $(DEMO_DATA) --out $(WORK_DIR)/render --samples 2
ifeq ($(DATA_ROOT),)
	@echo "[5/5] detectors, from the pre-trained encoder and from scratch, scored by the official devkit"
	@rm -rf $(WORK_DIR)/detection
	$(PY) tools/transfer_study.py --data-root $(DEMO_DATA) --out $(WORK_DIR)/detection --modalities camera --fractions 1.0 \
	  --seeds 0 --pretrained camera=$(WORK_DIR)/encoder.safetensors --jobs 2 \
	  --config camera=configs/tiny/uvtr_camera_synthetic_head_first.py \
	  --cfg-options train_cfg.max_iters=1060 param_scheduler.1.total_steps=60 param_scheduler.1.end=1060
endif

clean:
	rm -rf $(VENV)
