"""Every published weight has a name here, in each of the four detectors and the three pre-trainings."""

import hashlib

import pytest

from ponderv2.checkpoints.published.conversion import NOT_WEIGHTS
from ponderv2.checkpoints.published.published_names import RULES, rename
from tests.factories.published_detectors import PRETRAINED, PUBLISHED, uvtr_lidar

DIGESTS = {
    "uvtr_camera_vs0.1_ablation": (643, "ded13b232ac42dad8dd39f6691a54565306c0e3e9d810250848b990d9a6ed0ab"),
    "uvtr_camera_vs0.075": (744, "7a9366a884dd68f7ea9ee181878927ab464c6fc7684e311229eb4d968fefc678"),
    "uvtr_lidar_vs0.075": (564, "9cf86e578962c5f069579909907ea72c063a3aefb831aaaec6a3bffe70b2166f"),
    "uvtr_fusion_vs0.075": (1021, "64d844aabf987ab969b941dedf871258d428d5857396c2e072261d8c5e43c8d6"),
}
"""Number of weights of each detector that UniPAD publishes, and SHA-256 of its lines `name [shape]`, sorted: facts
about the modules of the published code, derived apart from the factory."""

ALL = {**PUBLISHED, **PRETRAINED, "UVTR's LiDAR detector": uvtr_lidar}


@pytest.mark.parametrize("detector", PUBLISHED)
def test_the_factory_makes_the_published_names_and_shapes(detector):
    shapes = PUBLISHED[detector]()
    lines = "\n".join(f"{name} {list(shape)}" for name, shape in sorted(shapes.items()))
    assert (len(shapes), hashlib.sha256(lines.encode()).hexdigest()) == DIGESTS[detector]


@pytest.mark.parametrize("model", ALL)
def test_every_weight_has_a_name_of_its_own(model):
    names = {}
    for published in ALL[model]():
        name = rename(published, fusion="fusion" in model)
        if name is None:
            assert any(part in published for part in ("code_weights", "laplace_density")), published
            continue
        assert name not in names, f"{published} and {names.get(name)}"
        assert "CAMERA" not in name
        assert "LIDAR" not in name
        names[name] = published
    assert len(names) > 200


def test_no_name_has_two_rules_and_no_rule_is_idle():
    published = {name for shapes in ALL.values() for name in shapes()}
    about = {rule: {name for name in published if rule.match(name)} for rule in RULES}
    assert [rule.published for rule, names in about.items() if not names] == []
    assert sum(map(len, about.values())) == len(set().union(*about.values()))


@pytest.mark.parametrize(
    "name",
    [
        "img_backbone.layer3.0.conv2.conv_offset.weight",
        "img_backbone.downsample_layers.0.2.weight",
        "depth_net.depth_conv.5.weight",
        "pts_bbox_head.transformer.decoder.layers.0.attentions.2.output_proj.weight",
        "encoder.img_neck.fpn_convs.0.conv.weight",
        "pts_middle_encoder.mtoken",
        # Numbers that are written in another way, or none from 1 on.
        "img_neck.fpn_convs.00.conv.weight",
        "pts_bbox_head.cls_branches.0.\u0666.weight",
        "pts_middle_encoder.encoder_layers.encoder_layer0.0.conv1.weight",
        "pts_bbox_head.conv_trans_head_0.0.weight",
        "",
    ],
)
def test_what_no_published_module_has_has_no_name(name):
    assert rename(name, fusion=False) is None


def test_what_is_no_weight_is_said_with_a_reason():
    assert all(reason for reason in NOT_WEIGHTS.values())
