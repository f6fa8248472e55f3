"""Studies of what pre-training contributes.

A transfer study (`tools/transfer_study.py`) compares detectors that start from pre-trained encoders with baselines from
scratch, over shares of the labels and seeds, beside a frozen random encoder and a constant predictor. A linear probe
(`tools/linear_probe.py`) compares encoders without any training. Their arguments are in `arguments`, which imports
nothing heavy.
"""
