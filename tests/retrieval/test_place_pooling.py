"""Pooling: generalized means against a loop, and what turning and moving the car does to descriptors."""

import math

import pytest
import torch

from ponderv2.errors import UserError
from ponderv2.geometry import rotation_z
from ponderv2.retrieval import DescriptorSettings, generalized_means, place_descriptor


def _around(count: int = 400, channels: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    places = torch.rand(count, 3, generator=generator) * torch.tensor([90.0, 90.0, 6.0]) - torch.tensor([45.0, 45, 3])
    return places, torch.randn(count, channels, generator=generator)


@pytest.mark.parametrize("power", [1.0, 3.0, 20.0])
def test_generalized_means_are_those_of_the_paper_for_each_sign(power):
    _, features = _around(60)
    features, cells = features.double(), torch.arange(60) % 4
    found = generalized_means(features, cells, 5, power)
    for cell in range(4):
        own = features[cells == cell]
        for channel in range(5):
            for sign, column in ((1, channel), (-1, channel + 5)):
                parts = [max(sign * value, 0.0) ** power for value in own[:, channel].tolist()]
                assert found[cell, column].item() == pytest.approx((sum(parts) / len(parts)) ** (1 / power))
    assert not found[4].any()


def test_large_powers_approach_the_maximum_and_stay_finite():
    features = torch.tensor([[1e-3], [2e-3]])
    found = generalized_means(features, torch.zeros(2, dtype=torch.long), 1, 200.0)
    assert found[0, 0].item() == pytest.approx(2e-3, rel=0.01)


@pytest.mark.parametrize("layout", ["polar", "panorama"])
def test_descriptors_of_any_heading_do_not_change_when_the_car_turns(layout):
    settings = DescriptorSettings(layout=layout, sectors=24, heading="any")
    places, features = _around()
    turn = rotation_z(2 * math.pi * 5 / 24)[:3, :3].float()
    before = place_descriptor(places, features, settings)
    assert before.norm().item() == pytest.approx(1.0)
    torch.testing.assert_close(place_descriptor(places @ turn.T, features, settings), before, atol=1e-5, rtol=1e-4)
    kept = DescriptorSettings(layout=layout, sectors=24)
    own = place_descriptor(places, features, kept)
    assert own @ place_descriptor(places @ turn.T, features, kept) < 0.9


@pytest.mark.parametrize("layout", ["polar", "panorama"])
def test_each_place_counts_in_the_cell_it_is_in_alone(layout):
    settings = DescriptorSettings(
        layout=layout, power=1.0, sectors=4, harmonics=1, rings=(0, 10, 20), bands=(-10, 0, 10)
    )
    # Along the y axis, at 15 m, 5 degrees up; others are beyond the last ring and the last band, or on the road.
    places = torch.tensor([[0.0, 15.0, 15 * math.tan(math.radians(5))], [30.0, 0.0, 30.0], [0.5, 0.0, -1.8]])
    grid = place_descriptor(places, torch.tensor([[3.0], [7.0], [2.0]]), settings).unflatten(0, (2, 4, 3))
    filled = torch.zeros(2, 4, 3)
    filled[1, 1] = torch.tensor([1.0, 0.0, 1.0]) / math.sqrt(2)
    torch.testing.assert_close(grid, filled)


def test_vlad_sums_up_differences_to_the_nearest_word():
    words = torch.nn.functional.normalize(torch.randn(3, 4, generator=torch.Generator().manual_seed(0)), dim=1)
    places, features = _around(50, 4)
    found = place_descriptor(places, features, DescriptorSettings(layout="vlad"), words).unflatten(0, (3, 4))
    expected = torch.zeros(3, 4)
    for feature in torch.nn.functional.normalize(features, dim=1):
        distances = [(feature - word).norm().item() for word in words]
        nearest = distances.index(min(distances))
        expected[nearest] += feature - words[nearest]
    expected = torch.nn.functional.normalize(expected, dim=1)
    torch.testing.assert_close(found, expected / expected.norm(), atol=1e-5, rtol=1e-4)
    with pytest.raises(UserError, match="layout vlad: expected a vocabulary of 4 channels, found words of 3 channels"):
        place_descriptor(places, features, DescriptorSettings(layout="vlad"), words[:, :3])


def test_nothing_around_gives_zeros():
    for layout in ("whole", "polar"):
        found = place_descriptor(torch.zeros(0, 3), torch.zeros(0, 2), DescriptorSettings(layout=layout))
        assert len(found) > 0
        assert not found.any()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (dict(layout="round"), "layout: expected one of"),
        (dict(power=0.0), "power: expected a number above 0"),
        (dict(rings=(5.0, 5.0)), "rings: expected at least two growing limits"),
        (dict(sectors=8, harmonics=6), "harmonics: expected 1 to"),
    ],
)
def test_settings_that_mean_nothing_are_refused(wrong, message):
    with pytest.raises(UserError, match=message):
        DescriptorSettings(**wrong)


def test_settings_are_read_as_they_were_written_and_others_refused():
    settings = DescriptorSettings(layout="panorama", power=2.5)
    assert DescriptorSettings.from_json(settings.to_json(), "here") == settings
    with pytest.raises(UserError, match="here: power: expected a float, got '3'"):
        DescriptorSettings.from_json(settings.to_json() | {"power": "3"}, "here")
    with pytest.raises(UserError, match="here: expected the keys"):
        DescriptorSettings.from_json({"layout": "polar"}, "here")
