"""The street teacher's file: round trip, odd sizes, and what is refused."""

import pytest
import torch
from safetensors.torch import save_file

from ponderv2.errors import UserError
from ponderv2.teachers import StreetTeacher, read_street_net
from tests.factories.image_teachers import random_street_teacher


def test_a_file_makes_the_same_network_and_equal_files_have_equal_fingerprints(tmp_path):
    path = random_street_teacher(tmp_path)
    net = read_street_net(path)
    assert net.classes == ("road", "car", "sky")
    teacher = StreetTeacher(path)
    torch.manual_seed(0)
    picture = torch.rand(1, 3, 40, 72)
    with torch.no_grad():
        assert torch.equal(teacher(picture), net(picture))
        assert net.classify(net(picture)).shape == (1, 3, 10, 18)
        assert teacher(torch.rand(1, 3, 41, 70)).shape == (1, 12, 11, 18)
    assert teacher.fingerprint == StreetTeacher(path).fingerprint
    assert teacher.fingerprint != StreetTeacher(path, stride=8).fingerprint


def test_a_cell_stands_for_the_pixels_that_it_covers(tmp_path):
    """What a pixel changes most is the cell that it lies in."""
    teacher = StreetTeacher(random_street_teacher(tmp_path))
    torch.manual_seed(0)
    shares = []
    for _ in range(20):
        picture = torch.rand(1, 3, 64, 64).requires_grad_()
        teacher(picture)[0, :, 7, 9].square().sum().backward()
        effect = picture.grad.abs().sum(dim=1)[0]
        rows, columns = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
        shares.append(torch.stack([(effect * rows).sum(), (effect * columns).sum()]) / effect.sum())
    center = torch.stack(shares).mean(dim=0)
    torch.testing.assert_close(center, torch.tensor([7 * 4 + 1.5, 9 * 4 + 1.5]), atol=3.0, rtol=0)


def test_wrong_files_are_one_clear_error(tmp_path):
    with pytest.raises(UserError, match="no such file; tools"):
        StreetTeacher(tmp_path / "none.safetensors")
    path = random_street_teacher(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[:200])
    with pytest.raises(UserError, match="no whole street teacher"):
        StreetTeacher(path)
    save_file({"weight": torch.zeros(1)}, path)
    with pytest.raises(UserError, match="in its header, found None"):
        StreetTeacher(path)
