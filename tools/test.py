"""Evaluate a checkpoint with the recipe's test data and metrics: python tools/test.py CONFIG CHECKPOINT."""

from ponderv2.engine import build_runner, parse_arguments

if __name__ == "__main__":
    build_runner(parse_arguments(__doc__, train=False), train=False).test()
