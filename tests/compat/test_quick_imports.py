"""Importing the stack without what it imports only in case, each time in a process of its own."""

import subprocess
import sys

import pytest

START = "import gc, sys; from ponderv2.compat.quick_imports import install_quick_imports; install_quick_imports(); "


def _says(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", START + code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_stack_comes_without_what_it_needs_only_in_case_and_finds_its_own_loader():
    code = (
        "import mmdet.models; print(sorted({'sklearn', 'transformers'} & set(sys.modules)), gc.isenabled(), "
        "type(mmdet.models.__loader__).__name__, mmdet.models.necks.FPN.__name__); import transformers, sklearn"
    )
    assert _says(code) == "[] True SourceFileLoader FPN"


@pytest.mark.slow
def test_what_is_imported_first_is_used():
    code = "import transformers; from mmdet.models.language_models import bert; print(bert.AutoTokenizer is not None)"
    assert _says(code) == "True"


def test_installing_twice_changes_nothing():
    assert _says("n = len(sys.meta_path); install_quick_imports(); print(len(sys.meta_path) - n)") == "0"
