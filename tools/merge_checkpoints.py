"""Start a fusion model from a camera and a LiDAR encoder: python tools/merge_checkpoints.py CAMERA LIDAR OUT."""

from ponderv2.engine.merge import merge, parse_arguments

if __name__ == "__main__":
    print(f"written to {merge(parse_arguments(__doc__))}")
