#!/usr/bin/env python3
"""Checks the golden numbers of training against a second model, written in numpy alone.

One sentence at a time, so that nothing is padded or masked but the future: it shows that the
recorded numbers depend on no padding, and that the definitions in README.md are complete. Logits,
encoder output, loss and nll are compared directly, gradients with central differences along random
directions of every tensor, the optimizers by the loss after one step from the recorded gradients.

    python check.py         prints the largest differences; ends with 1 if one is too large
"""
import json
import math
import sys
from pathlib import Path

import numpy as np
from safetensors import safe_open

HERE = Path(__file__).resolve().parent
START = 2


def read(path):
    with safe_open(path, "np") as f:
        tensors = {k: f.get_tensor(k) for k in f.keys()}
        return {k: v.astype(np.float64) if v.dtype == np.float32 else v for k, v in tensors.items()}, f.metadata()


def positions(length, d):
    """Sine half, then cosine half; position 0 of the text is row 2."""
    half = d // 2
    freq = np.exp(np.arange(half) * -(math.log(10000) / (half - 1)))
    angle = np.arange(2, 2 + length)[:, None] * freq
    return np.concatenate([np.sin(angle), np.cos(angle)], axis=1)


class Model:
    def __init__(self, config, params):
        self.c, self.p = config, params

    def linear(self, name, x):
        return x @ self.p[name + ".weight"].T + self.p[name + ".bias"]

    def norm(self, name, x):
        mean = x.mean(-1, keepdims=True)
        var = ((x - mean) ** 2).mean(-1, keepdims=True)
        return (x - mean) / np.sqrt(var + 1e-5) * self.p[name + ".weight"] + self.p[name + ".bias"]

    def attention(self, name, x, memory, heads, causal):
        q, k, v = (self.linear(f"{name}.{m}_proj", y) for m, y in (("q", x), ("k", memory), ("v", memory)))
        size = x.shape[1] // heads
        out = np.empty_like(q)
        for h in range(heads):
            s = slice(h * size, (h + 1) * size)
            score = q[:, s] @ k[:, s].T / math.sqrt(size)
            if causal:
                score = np.where(np.tri(len(x), dtype=bool), score, -np.inf)
            weight = np.exp(score - score.max(-1, keepdims=True))
            out[:, s] = weight / weight.sum(-1, keepdims=True) @ v[:, s]
        return self.linear(f"{name}.out_proj", out)

    def side(self, side, ids, memory=None):
        d = self.c["d_model"]
        scale = math.sqrt(d) if self.c["scale_embedding"] else 1.0
        x = self.p["model.shared.weight"][ids] * scale + positions(len(ids), d)
        heads = self.c[f"{side}_attention_heads"]
        for i in range(self.c[f"{side}_layers"]):
            p = f"model.{side}.layers.{i}"
            h = self.norm(f"{p}.self_attn_layer_norm", x)
            x = x + self.attention(f"{p}.self_attn", h, h, heads, causal=memory is not None)
            if memory is not None:
                h = self.norm(f"{p}.encoder_attn_layer_norm", x)
                x = x + self.attention(f"{p}.encoder_attn", h, memory, heads, causal=False)
            h = np.maximum(self.linear(f"{p}.fc1", self.norm(f"{p}.final_layer_norm", x)), 0)
            x = x + self.linear(f"{p}.fc2", h)
        return self.norm(f"model.{side}.layer_norm", x)

    def run(self, batch, smoothing):
        """Encoder output, logits of all target tokens; loss and nll summed over them."""
        encoded, logits, loss, nll = [], [], 0.0, 0.0
        for src, labels in batch:
            encoded.append(self.side("encoder", src))
            logits.append(self.side("decoder", [START, *labels[:-1]], encoded[-1]) @ self.p["model.shared.weight"].T)
            for row, gold in zip(logits[-1], labels):
                minus_log_p = math.log(np.exp(row - row.max()).sum()) + row.max() - row
                nll += minus_log_p[gold]
                loss += (1 - smoothing) * minus_log_p[gold] + smoothing * minus_log_p.mean()
        return np.concatenate(encoded), np.concatenate(logits), loss, nll


def ragged(golden, i):
    rows = {}
    for side in ("src", "labels"):
        ends = np.cumsum(golden[f"batch.{i}.{side}_lens"].astype(int))
        rows[side] = np.split(golden[f"batch.{i}.{side}"].astype(int), ends[:-1])
    return list(zip(rows["src"], rows["labels"]))


def adam_first_step(params, grads, s, settings, grad_norm):
    """After one step both moments equal the gradient and its square, whatever the betas."""
    clip = min(1.0, settings["max_grad_norm"] / grad_norm)
    lr = s["lr"] / settings["warmup_steps"]
    return {n: p * (1 - lr * s["weight_decay"]) - lr * clip * grads[n] / (abs(clip * grads[n]) + s["eps"])
            for n, p in params.items()}


def check(case):
    golden, meta = read(HERE / case / "golden.safetensors")
    params, _ = read(HERE / case / "model.safetensors")
    config = json.loads((HERE / case / "config.json").read_text())
    settings = json.loads(meta["settings"])
    eps = settings["label_smoothing"]
    data = [ragged(golden, 0), ragged(golden, 1)]
    tokens = [sum(len(t) for _, t in b) for b in data]
    model = Model(config, params)
    worst = {}

    def note(kind, found, expected, limit):
        d = float(np.abs(found - expected).max())
        worst[kind] = (max(d, worst.get(kind, (0, 0))[0]), limit)

    for i, batch in enumerate(data):
        encoded, logits, loss, nll = model.run(batch, eps)
        note("encoder output", encoded, golden[f"batch.{i}.encoded"], 2e-6)
        note("logits", logits, golden[f"batch.{i}.logits"], 2e-6)
        note("loss", loss / tokens[i], golden[f"batch.{i}.loss"][0], 1e-6)
        note("nll", nll / tokens[i], golden[f"batch.{i}.nll"][0], 1e-6)

    rng = np.random.default_rng(5)
    both = [data[:1], data] if any(k.startswith("accumulated.grad.") for k in golden) else [data[:1]]
    for group, prefix in zip(both, ("grad", "accumulated.grad")):
        total = sum(tokens[: len(group)])
        squares = 0.0
        for name in sorted(params):
            grad = golden[f"{prefix}.{name}"]
            squares += (grad**2).sum()
            for _ in range(2):
                direction = rng.standard_normal(grad.shape)
                h = 1e-6
                value = [sum(Model(config, params | {name: params[name] + s * h * direction}).run(b, eps)[2]
                             for b in group) / total for s in (1, -1)]
                note(prefix, (value[0] - value[1]) / (2 * h), (grad * direction).sum(), 2e-6)
        note(f"{prefix}_norm", math.sqrt(squares), golden[f"{prefix}_norm"][0], 1e-6)

    grads = {n: golden[f"grad.{n}"] for n in params}
    for name, s in settings["optimizers"].items():
        after = Model(config, adam_first_step(params, grads, s, settings, golden["grad_norm"][0]))
        note(f"{name}, loss at step 2", after.run(data[1], eps)[2] / tokens[1], golden[f"{name}.loss"][1], 1e-6)
    # The last parameters must be those of the curve's end: training got somewhere.
    final = params | {k.split(".final.")[1]: v for k, v in golden.items() if ".final." in k}
    end = Model(config, final).run(data[0], eps)[2] / tokens[0]
    print(f"{case}: loss of the first batch {golden['batch.0.loss'][0]:.4f}, after {settings['steps']} steps {end:.4f}")
    for kind, (d, limit) in worst.items():
        print(f"  {kind:24} {d:.1e}" + ("" if d <= limit else f"   above {limit:.0e}"))
    return end < golden["batch.0.loss"][0] and all(d <= limit for d, limit in worst.values())


if __name__ == "__main__":
    sys.exit(0 if all([check(c) for c in ("even", "lopsided")]) else 1)
