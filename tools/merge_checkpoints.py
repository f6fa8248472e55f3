"""Start a fusion model from two encoders: python tools/merge_checkpoints.py CAMERA LIDAR OUT --config RECIPE."""

from ponderv2.engine.merge import merge, parse_arguments

if __name__ == "__main__":
    print(f"written to {merge(parse_arguments(__doc__))}")
