"""Parameter groups: as mmengine makes them, and no key that matches nothing."""

import logging

import pytest
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.optim import OptimWrapper, build_optim_wrapper
from torch import nn
from torch.optim import AdamW

from ponderv2.engine import CheckedOptimWrapperConstructor


class Detector(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.ModuleDict(
            {"img_backbone": nn.Linear(2, 3), "depth_net": nn.Linear(3, 4), "lift": nn.Linear(4, 4)}
        )
        self.head = nn.Linear(4, 1)


def build(keys: dict | None, model: nn.Module | None = None, constructor=CheckedOptimWrapperConstructor):
    config = dict(type=OptimWrapper, constructor=constructor, optimizer=dict(type=AdamW, lr=1.0, weight_decay=0.5))
    if keys is not None:
        config["paramwise_cfg"] = dict(custom_keys=keys)
    return build_optim_wrapper(model or Detector(), config)


def test_groups_are_those_of_mmengine():
    keys = {"encoder": dict(lr_mult=0.1), "encoder.lift": dict(lr_mult=1.0, decay_mult=0.0)}
    model = Detector()
    ours, theirs = build(keys, model), build(keys, model, "DefaultOptimWrapperConstructor")
    assert ours.optimizer.param_groups == theirs.optimizer.param_groups
    rates = {id(p): group["lr"] for group in ours.param_groups for p in group["params"]}
    assert rates[id(model.encoder["img_backbone"].weight)] == pytest.approx(0.1)
    assert rates[id(model.encoder["lift"].weight)] == rates[id(model.head.bias)] == 1.0


@pytest.mark.parametrize("keys", [None, {}])
def test_no_keys_are_fine(keys):
    assert len(build(keys).param_groups) >= 1


def test_a_key_that_matches_nothing_is_named_with_what_it_may_have_meant():
    message = r"custom_keys: 'encoder.img_backbones' matches no parameter, close to 'encoder.img_backbone'"
    with pytest.raises(ValueError, match=message):
        build({"encoder.img_backbones": dict(lr_mult=0.1)})


def test_both_of_the_published_keys_are_found():
    with pytest.raises(ValueError, match=r"'view_cfg' matches no parameter.*; 'depth_head' matches no parameter") as e:
        build({"view_cfg": dict(lr_mult=0.1), "depth_head": dict(lr_mult=0.1), "img_backbone": dict(lr_mult=0.1)})
    assert "img_backbone' matches" not in str(e.value)
    assert "'encoder.depth_net'" in str(e.value).split("'depth_head'")[1]


def test_a_key_far_from_every_name_shows_the_parts_of_the_model():
    with pytest.raises(ValueError, match=r"'zzz' matches no parameter, whose parts are encoder, head"):
        build({"zzz": dict(lr_mult=0.1)})


def test_frozen_parameters_can_be_named():
    model = Detector()
    model.encoder["img_backbone"].requires_grad_(False)
    groups = build({"img_backbone": dict(lr_mult=0.1)}, model).optimizer.param_groups
    assert len(groups) == 6
    assert all(p.requires_grad for group in groups for p in group["params"])


def test_the_log_has_a_line_for_each_setting_and_none_for_each_parameter():
    model, said = Detector(), []
    model.encoder["img_backbone"].requires_grad_(False)
    logger = MMLogger.get_instance("optimizer lines", log_level="INFO")
    logger.addHandler(handler := logging.Handler())
    handler.emit = lambda record: said.append(record.getMessage())
    build({"head": dict(lr_mult=0.1), "encoder": dict(lr_mult=0.5)}, model)
    assert not any("paramwise_options" in line or "requires_grad" in line for line in said)
    said = [line for line in said if line.startswith("optimizer: ")]
    assert [line.split(" with ")[0] for line in said] == [
        "optimizer: 4 parameters",
        "optimizer: 2 parameters",
        "optimizer: 2 parameters are frozen and left out",
    ]
    assert "with lr=0.5, weight_decay=0.5" in said[0]
    assert "with lr=0.1, weight_decay=0.5" in said[1]


class WarmUpDetector(Detector):
    """A detector whose encoder joins later, except for a part that it freezes itself."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder["img_backbone"].requires_grad_(False)
        self.joining_parameters = [p for p in self.encoder.parameters() if p.requires_grad]
        for parameter in self.joining_parameters:
            parameter.requires_grad_(False)


@pytest.mark.parametrize("keys", [None, {}, {"encoder": dict(lr_mult=0.1)}])
def test_parameters_that_join_later_are_in_the_optimizer_from_the_start(keys):
    model = WarmUpDetector()
    optimizer = build(keys, model).optimizer
    held = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert {id(p) for p in model.joining_parameters} <= set(held)
    assert not any(p.requires_grad for p in model.encoder.parameters())
    if keys:
        assert id(model.encoder["img_backbone"].weight) not in held
        assert held[id(model.encoder["lift"].weight)] == pytest.approx(0.1)


def test_a_model_in_a_wrapper_is_looked_into():
    from mmengine.registry import MODEL_WRAPPERS

    class Wrapper(nn.Module):
        def __init__(self, module: nn.Module) -> None:
            super().__init__()
            self.module = module

    MODEL_WRAPPERS.register_module(module=Wrapper, name="WrapperOfTheTest")
    try:
        assert len(build({"head": dict(lr_mult=0.1)}, Wrapper(Detector())).optimizer.param_groups) == 8
    finally:
        MODEL_WRAPPERS.module_dict.pop("WrapperOfTheTest")


def test_it_survives_being_written_to_a_recipe(tmp_path):
    (tmp_path / "recipe.py").write_text(
        "from mmengine.optim import OptimWrapper\nfrom torch.optim import AdamW\n"
        "from ponderv2.engine import CheckedOptimWrapperConstructor\n"
        "optim_wrapper = dict(type=OptimWrapper, constructor=CheckedOptimWrapperConstructor,\n"
        "    optimizer=dict(type=AdamW, lr=1.0), paramwise_cfg=dict(custom_keys={'heads': dict(lr_mult=0.1)}))\n"
    )
    config = Config.fromfile(str(tmp_path / "recipe.py"))
    config.dump(tmp_path / "dumped.py")
    again = Config.fromfile(str(tmp_path / "dumped.py"))
    for wrapper in (config.optim_wrapper, again.optim_wrapper):
        with pytest.raises(ValueError, match=r"'heads' matches no parameter, close to 'head'"):
            build_optim_wrapper(Detector(), wrapper)
