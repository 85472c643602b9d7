"""`python -m models.demo.training`: tokenizer, training, export."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from models.demo import demo_model_path
from models.demo.training.export import export
from models.demo.training.tokenizer import load_tokenizer, train_tokenizer
from models.demo.training.train import Plan, load_network, train


def main() -> None:
    """Make the demo model; a second call continues where the first one stopped."""
    parser = argparse.ArgumentParser(prog="python -m models.demo.training", description=main.__doc__)
    parser.add_argument(
        "--directory", type=Path, default=Path("build/demo-model"), help="checkpoints and tokenizer"
    )
    parser.add_argument("--minutes", type=float, default=90.0, help="training time, resumed runs included")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--rows", type=int, default=12, help="rows of 768 tokens per step")
    parser.add_argument("--workers", type=int, default=1, help="processes that make training data")
    parser.add_argument("--output", type=Path, default=demo_model_path(), help="the GGUF file to write")
    parser.add_argument("--eager", action="store_true", help="don't compile the network")
    options = parser.parse_args()
    options.directory.mkdir(parents=True, exist_ok=True)
    tokenizer = options.directory / "tokenizer.json"
    if not tokenizer.exists():
        train_tokenizer().save(str(tokenizer))
    train(
        Plan(
            options.directory,
            options.minutes,
            device=options.device,
            rows=options.rows,
            workers=options.workers,
            compiled=not options.eager,
        )
    )
    network, effort = load_network(options.directory)
    export(network, effort, load_tokenizer(tokenizer), options.output)
    print(f"{options.output} is written; python -m models.demo.training.evaluate measures it")


if __name__ == "__main__":
    main()
