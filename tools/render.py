"""Draw what a pre-trained model renders, beside the real thing: python tools/render.py CONFIG CHECKPOINT --out DIR."""

from ponderv2.engine.render import parse_arguments, render

if __name__ == "__main__":
    arguments = parse_arguments(__doc__)
    for name, value in render(arguments).items():
        print(f"{name:>12} {value:.4g}")
    print(f"pictures and metrics.json in {arguments.out}")
