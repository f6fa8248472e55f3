"""Processes that load data leave stop signals to the training, and end when that ends them."""

import multiprocessing
import signal
import subprocess

import pytest
from torch.utils.data import DataLoader

from ponderv2.engine.stop_signals import outlive_signals


@pytest.mark.parametrize("number", ["TERM", "USR1", "INT"])
def test_a_loading_process_goes_on_after_a_signal_of_others_and_ends_with_one_of_the_training(number):
    loader = DataLoader(range(100), num_workers=1, persistent_workers=True, worker_init_fn=outlive_signals)
    batches = iter(loader)
    next(batches)
    (worker,) = multiprocessing.active_children()
    # Another process sends it, as Slurm, torchrun or a terminal do.
    subprocess.run(["kill", f"-{number}", str(worker.pid)], check=True)
    assert [int(next(batches)) for _ in range(10)] == list(range(1, 11))
    assert worker.is_alive()
    # What multiprocessing does when the training ends, once.
    worker.terminate()
    worker.join(timeout=30)
    assert worker.exitcode == 0
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
