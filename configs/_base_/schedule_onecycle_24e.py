"""AdamW at 2e-4, one cycle over 24 epochs: PonderV2's outdoor schedule. Its code clips no gradients; neither do we."""

from mmengine.optim import OneCycleLR, OptimWrapper
from mmengine.runner import EpochBasedTrainLoop
from torch.optim import AdamW

max_epochs = 24
optim_wrapper = dict(type=OptimWrapper, optimizer=dict(type=AdamW, lr=2e-4, weight_decay=0.01))
param_scheduler = [
    dict(
        type=OneCycleLR,
        eta_max=2e-4,
        pct_start=0.4,
        div_factor=10.0,
        final_div_factor=100.0,
        begin=0,
        end=max_epochs,
        by_epoch=True,
        convert_to_iter_based=True,
    )
]
train_cfg = dict(type=EpochBasedTrainLoop, max_epochs=max_epochs, val_interval=8)
auto_scale_lr = dict(enable=False, base_batch_size=16)
