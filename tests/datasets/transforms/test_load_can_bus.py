"""Loading of the car's signals, and what is said where there are none."""

import math

import numpy as np
import pytest

from ponderv2.datasets import LoadCanBus
from ponderv2.datasets.info_file import InfoFileError
from ponderv2.datasets.prepare.can_bus_signals import can_bus_vector
from ponderv2.datasets.transforms import load_can_bus

SIGNALS = [float(k) for k in range(18)]


@pytest.fixture
def logged(monkeypatch) -> list[str]:
    messages = []
    monkeypatch.setattr(load_can_bus, "print_log", lambda message, **_: messages.append(message))
    return messages


def test_measured_signals_are_those_of_the_info_file(logged):
    results = LoadCanBus(missing="raise")({"can_bus": SIGNALS, "can_bus_measured": True})
    assert results["can_bus_signals"].tolist() == SIGNALS
    assert results["can_bus_signals"].dtype == np.float64
    assert logged == []


def test_signals_that_were_not_measured_are_said_once_or_refused(logged):
    frame = {"can_bus": SIGNALS, "can_bus_measured": False, "info_name": "a.pkl, key frame b"}
    load = LoadCanBus()
    for _ in range(2):
        assert load(dict(frame))["can_bus_signals"].tolist() == SIGNALS
    assert len(logged) == 1
    assert "a.pkl, key frame b: nothing of can_bus was measured; acceleration" in logged[0]
    with pytest.raises(
        InfoFileError, match=r"a\.pkl, key frame b: nothing of can_bus was measured; .*CAN bus expansion"
    ):
        LoadCanBus(missing="raise")(dict(frame))


def test_an_info_file_without_signals_gives_those_of_its_pose(train_info, logged):
    frame = next(f for f in train_info["data_list"] if not f["can_bus_measured"])
    made = {"translation": frame["can_bus"][:3], "rotation": frame["can_bus"][3:7]}
    expected, measured = can_bus_vector([], 0, made, np.array(frame["ego2global"]))
    found = LoadCanBus()({"ego2global": frame["ego2global"], "info_name": "mmdet3d's"})["can_bus_signals"]
    np.testing.assert_allclose(found, expected, atol=1e-9)
    assert not measured
    assert logged[0].startswith("mmdet3d's: no can_bus; acceleration")


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ({"can_bus": SIGNALS[:17]}, "can_bus: expected 18 finite numbers, got 17"),
        ({"can_bus": [*SIGNALS[:17], math.nan]}, "can_bus: expected 18 finite numbers"),
        ({"can_bus": ["a"] * 18}, "can_bus: expected 18 numbers"),
        ({}, "neither can_bus nor ego2global"),
    ],
)
def test_signals_that_are_none_are_named(frame, message):
    with pytest.raises(InfoFileError, match=f"sample: {message}"):
        LoadCanBus()(frame)


def test_a_word_that_is_not_known_is_refused():
    with pytest.raises(ValueError, match="missing: expected 'zeros' or 'raise', got 'skip'"):
        LoadCanBus("skip")
