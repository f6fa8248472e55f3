"""Train a recipe: python tools/train.py configs/tiny/ponderv2_camera_keyframe.py --data-root DIR."""

from ponderv2.engine import build_runner, parse_arguments

if __name__ == "__main__":
    build_runner(parse_arguments(__doc__, train=True), train=True).train()
