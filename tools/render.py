"""Draw what a pre-trained model renders, beside the real thing: python tools/render.py CONFIG CHECKPOINT --out DIR."""

from ponderv2.engine.render_dataset import describe, parse_arguments, render

if __name__ == "__main__":
    arguments = parse_arguments(__doc__)
    metrics = render(arguments)
    for name, value in metrics.items():
        print(f"{name:>14} {value:.4g}")
    print(describe(metrics))
    print(f"pictures and metrics.json in {arguments.out}")
