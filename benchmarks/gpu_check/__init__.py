"""The check of a machine with a GPU, `make gpu-check`: what of this project works there, and how fast.

`tools/gpu_check.py` runs `check`, which gives each part (`parts`) a process of its own, one for each level (`levels`)
or recipe. All parts also run on a CPU, which is then compared with itself: that is how they are tested.
"""
