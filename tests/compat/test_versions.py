"""`compat.versions`: one clear refusal of a stack that cannot work."""

import subprocess
import sys

import pytest

from ponderv2 import compat
from ponderv2.compat import versions
from ponderv2.compat.versions import (
    UnsupportedVersionError,
    check_versions,
    find_problems,
    installed_versions,
)

GOOD = {
    "python": "3.11.7",
    "torch": "2.13.0+cpu",
    "numpy": "1.26.4",
    "mmengine": "0.10.7",
    "mmcv": "2.1.0",
    "mmdet": "3.3.0",
    "mmdet3d": "1.4.0",
    "transformers": "5.0.0",
    "spconv": "2.3.8",
}


def test_the_pinned_set_has_no_problems():
    assert find_problems(GOOD) == []


def test_this_environment_is_supported():
    check_versions()
    assert {"python", "torch", "mmengine"} <= set(installed_versions())


@pytest.mark.parametrize(
    ("package", "version"),
    [
        ("python", "3.9.18"),
        ("python", "3.14.0"),
        ("torch", "2.3.1"),
        ("numpy", "2.2.0"),
        ("mmengine", "0.10.3"),
        ("mmcv", "2.2.0"),
        ("mmdet", "3.4.0"),
        ("mmdet3d", "1.3.0"),
        ("transformers", "4.39.3"),
        ("spconv", "2.1.25"),
    ],
)
def test_a_version_out_of_range_is_named_with_what_is_needed(package, version):
    (problem,) = find_problems(GOOD | {package: version})
    assert problem.startswith(f"{package}: {version} is installed, needs ")


@pytest.mark.parametrize("version", ["2.4.1+cu121", "2.9.0a0+50eac811a6.nv25.09"])
def test_local_and_vendor_builds_of_torch_are_accepted(version):
    assert find_problems(GOOD | {"torch": version}) == []


def test_only_spconv_is_optional():
    assert len(find_problems({})) == len(GOOD) - 1
    assert not any("spconv" in problem for problem in find_problems({}))


def test_the_error_lists_everything_at_once_and_says_what_to_do():
    wrong = {name: version for name, version in GOOD.items() if name != "mmdet"} | {"numpy": "2.2.0"}
    with pytest.raises(UnsupportedVersionError) as caught:
        check_versions(wrong)
    message = str(caught.value)
    assert "numpy: 2.2.0 is installed, needs <2" in message
    assert "mmdet: not installed, needs >=3.2,<3.4" in message
    assert "requirements.txt" in message
    assert "requirements/a100.txt" in message


@pytest.mark.parametrize("name", ["spconv", "spconv-cu120", "spconv_cu118"])
def test_spconv_is_found_under_each_of_its_distribution_names(name, tmp_path, monkeypatch):
    info = tmp_path / f"{name}-2.3.6.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 2.3.6\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert installed_versions()["spconv"] == "2.3.6"


def test_install_checks_first_and_can_be_repeated(monkeypatch):
    pytest.importorskip("mmengine")
    compat.install()
    compat.install()

    def refuse():
        raise UnsupportedVersionError("wrong")

    monkeypatch.setattr(versions, "check_versions", refuse)
    with pytest.raises(UnsupportedVersionError):
        compat.install()


def test_the_check_imports_none_of_what_it_checks():
    names = "{'torch', 'numpy', 'mmengine', 'mmcv', 'mmdet', 'mmdet3d', 'transformers', 'spconv'}"
    program = (
        "import sys; from ponderv2.compat.versions import check_versions; check_versions(); "
        f"assert not {names} & set(sys.modules), sorted({names} & set(sys.modules))"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
