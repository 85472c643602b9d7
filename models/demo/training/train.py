"""Training: Muon for the matrices, AdamW for the rest, data made on the fly; it can be resumed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import Value
from pathlib import Path
from random import Random
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from models.demo.training.batches import Batch, Mixture, Packer, mixture, visible
from models.demo.training.effort import Effort
from models.demo.training.network import Network, Shape, parameter_count
from models.demo.training.tokenizer import load_tokenizer

ROW_TOKENS = 768
"""Length of a row in the second half of the training; in the first it is half of that, which is faster."""
_CHECKPOINT = "checkpoint.pt"


@dataclass(frozen=True)
class Plan:
    """How long and on what to train; `minutes` is the whole budget, resumed runs included."""

    directory: Path
    minutes: float
    device: str = "cpu"
    rows: int = 12
    workers: int = 1
    seed: int = 0
    matrix_rate: float = 0.02
    other_rate: float = 0.003
    width: int = 192
    layers: int = 4
    heads: int = 6
    hidden: int = 512
    compiled: bool = True


def train(plan: Plan) -> None:
    """Train until the budget is spent, with a checkpoint every minute; continue where a run stopped."""
    torch.manual_seed(plan.seed)
    device = torch.device(plan.device)
    tokenizer = load_tokenizer(plan.directory / "tokenizer.json")
    network = Network(_shape(plan, tokenizer)).to(device)
    optimizers = _optimizers(network, plan)
    spent, step = _resume(plan, network, optimizers)
    print(
        f"{parameter_count(network):,} parameters, {spent / 60:.1f} of {plan.minutes} minutes spent",
        flush=True,
    )
    progress = Value("d", spent / plan.minutes / 60)
    batches = iter(_loader(plan, progress, step))
    forward = torch.compile(_loss, dynamic=False) if plan.compiled else _loss
    started = last_save = time.monotonic()
    while progress.value < 1.0:
        batch = next(batches).to(device)
        _set_rates(optimizers, plan, progress.value)
        with torch.autocast(device.type, torch.bfloat16):
            loss = forward(
                network, batch.tokens, batch.targets, batch.weights, batch.positions, visible(batch)
            )
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        step += 1
        now = time.monotonic()
        progress.value = (spent + now - started) / (plan.minutes * 60)
        if step % 100 == 0 or step < 4:
            rate = plan.rows * ROW_TOKENS * step / max(spent + now - started, 1e-3)
            print(
                f"step {step} progress {progress.value:.3f} loss {loss.item():.4f} {rate:,.0f} tokens/s",
                flush=True,
            )
        if now - last_save > 60:
            last_save = now
            _save(plan, network, optimizers, spent + now - started, step)
        if step % 500 == 0:
            _report(network, tokenizer, device)
    _save(plan, network, optimizers, spent + time.monotonic() - started, step)
    _report(network, tokenizer, device)


def load_network(directory: Path) -> tuple[Network, Effort]:
    """Return the network of the checkpoint in `directory`, on the CPU, and what it took."""
    state = torch.load(directory / _CHECKPOINT, map_location="cpu", weights_only=True)
    network = Network(Shape(**state["shape"]))
    network.load_state_dict(state["network"])
    return network, Effort(state["step"], state["step"] * state["tokens_per_step"], state["seconds"] / 60)


def _shape(plan: Plan, tokenizer: Tokenizer) -> Shape:
    vocabulary = -(-tokenizer.get_vocab_size() // 64) * 64
    return Shape(vocabulary, width=plan.width, layers=plan.layers, heads=plan.heads, hidden=plan.hidden)


def _loss(
    network: Network, tokens: Tensor, targets: Tensor, weights: Tensor, positions: Tensor, mask: Tensor
) -> Tensor:
    logits = network.logits(network(tokens, positions, mask))
    losses = F.cross_entropy(logits.float().flatten(0, 1), targets.flatten(), reduction="none")
    return (losses * weights.flatten()).sum() / weights.sum()


def _optimizers(network: Network, plan: Plan) -> list[torch.optim.Optimizer]:
    matrices = [parameter for parameter in network.blocks.parameters() if parameter.ndim == 2]
    others = [network.embedding.weight, *(p for p in network.parameters() if p.ndim == 1)]
    return [
        torch.optim.Muon(matrices, lr=plan.matrix_rate, weight_decay=0.01),
        torch.optim.AdamW(others, lr=plan.other_rate, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def _set_rates(optimizers: list[torch.optim.Optimizer], plan: Plan, progress: float) -> None:
    """Hold the rates for the first half, then fall linearly to a fiftieth."""
    factor = max(0.02, min(1.0, 2 * (1 - progress)))
    for optimizer, rate in zip(optimizers, (plan.matrix_rate, plan.other_rate), strict=True):
        for group in optimizer.param_groups:
            group["lr"] = rate * factor


class _Batches(IterableDataset[Batch]):
    """Batches without end; each worker draws from a generator of its own."""

    def __init__(self, plan: Plan, progress: Any, first_step: int) -> None:
        self._plan, self._progress, self._first_step = plan, progress, first_step

    def __iter__(self) -> Iterator[Batch]:
        info = torch.utils.data.get_worker_info()
        worker = info.id if info else 0
        rng = Random(f"{self._plan.seed}-{worker}-{self._first_step}")
        tokenizer = load_tokenizer(self._plan.directory / "tokenizer.json")
        while True:
            progress = self._progress.value
            halves = 2 if progress < 0.4 else 1
            packer = Packer(tokenizer, ROW_TOKENS // halves)
            yield packer.pack(mixture(progress).conversations(rng), self._plan.rows * halves)


def _loader(plan: Plan, progress: Any, first_step: int) -> DataLoader[Batch]:
    return DataLoader(
        _Batches(plan, progress, first_step),
        batch_size=None,
        num_workers=plan.workers,
        prefetch_factor=8 if plan.workers else None,
        pin_memory=plan.device != "cpu",
    )


def _save(
    plan: Plan, network: Network, optimizers: list[torch.optim.Optimizer], seconds: float, step: int
) -> None:
    state = {
        "shape": vars(network.shape),
        "network": network.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in optimizers],
        "seconds": seconds,
        "step": step,
        "tokens_per_step": plan.rows * ROW_TOKENS,
    }
    partial = plan.directory / "checkpoint.partial"
    torch.save(state, partial)
    partial.replace(plan.directory / _CHECKPOINT)


def _resume(plan: Plan, network: Network, optimizers: list[torch.optim.Optimizer]) -> tuple[float, int]:
    path = plan.directory / _CHECKPOINT
    if not path.exists():
        return 0.0, 0
    state = torch.load(path, map_location=plan.device, weights_only=True)
    network.load_state_dict(state["network"])
    for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
        optimizer.load_state_dict(saved)
    return state["seconds"], state["step"]


_KINDS = {
    "look-ups": Mixture(1, 0, 0, 0, max_rules=8),
    "tickets": Mixture(0, 1, 0, 0, max_rules=8),
    "analyses": Mixture(0, 0, 1, 0, max_rules=8),
    "merges": Mixture(0, 0, 0, 1, max_rules=8),
}


@torch.no_grad()
def _report(network: Network, tokenizer: Tokenizer, device: torch.device, rows: int = 12) -> None:
    """Print, for each kind of conversation, how many answers are right to the last token."""
    packer = Packer(tokenizer, ROW_TOKENS)
    for name, kind in _KINDS.items():
        batch = packer.pack(kind.conversations(Random(f"watch {name}")), rows).to(device)
        with torch.autocast(device.type, torch.bfloat16):
            guessed = network.logits(network(batch.tokens, batch.positions, visible(batch))).argmax(-1)
        counted = batch.weights == 1.0
        right = (guessed == batch.targets)[counted].float().mean().item()
        whole = _answers_right(guessed, batch, counted)
        print(f"  {name}: {whole:.1%} of answers, {right:.2%} of their tokens", flush=True)


def _answers_right(guessed: Tensor, batch: Batch, counted: Tensor) -> float:
    """Return the share of answers of which every token is the most likely one."""
    answer = batch.document * 1000 + batch.turn
    missed = counted & (guessed != batch.targets)
    total = wrong = 0
    for row in range(len(answer)):
        asked = set(answer[row][counted[row]].tolist())
        total += len(asked)
        wrong += len(set(answer[row][missed[row]].tolist()))
    return 1 - wrong / max(total, 1)
