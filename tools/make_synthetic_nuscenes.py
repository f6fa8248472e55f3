"""Make a synthetic data set in nuScenes' format: python tools/make_synthetic_nuscenes.py --out DIR."""

from synthetic_nuscenes.command import make, parse_arguments

if __name__ == "__main__":
    make(parse_arguments(__doc__))
