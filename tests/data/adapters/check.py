#!/usr/bin/env python3
"""Checks the golden numbers of adapters against a second program, written in numpy alone.

Reads what `record.py` wrote and nothing of it else: no torch, no hooks, one sentence at a time (the
model is that of ../training/check.py). It shows that README.md and the settings are complete. Generated
values are computed entry by entry; losses, logits and encoder output are compared directly, gradients
with central differences along random directions of every tensor.

    python check.py         prints the largest differences; ends with 1 if one is too large
"""
import importlib.util
import json
import math
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent


def load(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


training = load("training_check", HERE.parent / "training/check.py")


def relu(x):
    return np.maximum(x, 0)


def normalised(x):
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)


class Adapted(training.Model):
    """The base with adapters: by site, matrices and vectors by name."""

    def __init__(self, config, params, adapters, norm):
        super().__init__(config, params)
        self.adapters, self.place = adapters, norm

    def adapt(self, site, x):
        w = self.adapters.get(site)
        if w is None:
            return x

        def norm(y):
            return normalised(y) * w.get("norm.weight", 1.0) + w.get("norm.bias", 0.0)

        a = norm(x) if self.place == "before" else x
        a = relu(a @ w["down.weight"].T + w["down.bias"]) @ w["up.weight"].T + w["up.bias"]
        return x + (norm(a) if self.place == "after" else a)

    def side(self, side, ids, memory=None):
        d, heads = self.c["d_model"], self.c[f"{side}_attention_heads"]
        scale = math.sqrt(d) if self.c["scale_embedding"] else 1.0
        x = self.p["model.shared.weight"][ids] * scale + training.positions(len(ids), d)
        for i in range(self.c[f"{side}_layers"]):
            p, site = f"model.{side}.layers.{i}", f"{side}.layers.{i}"
            h = self.norm(f"{p}.self_attn_layer_norm", x)
            x = x + self.adapt(f"{site}.attention", self.attention(f"{p}.self_attn", h, h, heads, memory is not None))
            if memory is not None:
                h = self.norm(f"{p}.encoder_attn_layer_norm", x)
                h = self.attention(f"{p}.encoder_attn", h, memory, heads, causal=False)
                x = x + self.adapt(f"{site}.cross-attention", h)
            h = relu(self.linear(f"{p}.fc1", self.norm(f"{p}.final_layer_norm", x)))
            x = self.adapt(f"{site}.layer", x + self.adapt(f"{site}.feed-forward", self.linear(f"{p}.fc2", h)))
        return self.norm(f"model.{side}.layer_norm", x)


class HyperNetwork:
    def __init__(self, settings, params, d):
        self.s, self.c, self.p, self.d = settings, settings["hyper_network"], params, d

    def linear(self, name, x):
        return self.p[name + ".weight"] @ x + self.p[name + ".bias"]

    def norm(self, name, x):
        return normalised(x) * self.p[name + ".weight"] + self.p[name + ".bias"]

    def row(self, table, key):
        return self.p[f"embedding.{table}.{key}"]

    def hidden(self, site, src, tgt):
        side = site.split(".")[0]
        if self.s["method"] == "hyper-x":
            language = {"source": src, "target": tgt}[self.c["language"][side]]
            s = [self.row("task", self.c["task"]), self.row("language", language), self.row("layer", site)]
            return self.linear("trunk.fc2", relu(self.linear("trunk.fc1", np.concatenate(s))))
        source, target = ("language", "language") if self.c["tied"] else ("source", "target")
        on = self.c["inputs"][side]
        z = np.concatenate([("source" in on) * self.row(source, src), ("target" in on) * self.row(target, tgt),
                            ("layer" in on) * self.row("layer", site)])
        h = relu(self.linear("trunk.input", self.norm("trunk.input_norm", z) if self.c["input_norm"] else z))
        for k in range(self.c["blocks"]):
            a = relu(self.linear(f"trunk.blocks.{k}.fc1", self.norm(f"trunk.blocks.{k}.norm", h)))
            h = h + self.linear(f"trunk.blocks.{k}.fc2", a)
        return self.norm("trunk.output_norm", h) if self.c["output_norm"] else h

    def adapter(self, site, src, tgt):
        h, d, b = self.hidden(site, src, tgt), self.d, self.s["bottleneck"]
        parts = ["down_weight", "down_bias", "up_weight", "up_bias"]
        if self.s["affine"] == "generated":
            parts += ["norm_weight", "norm_bias"]
        out = {}
        for part in parts:
            values = self.linear(f"head.{part}", h)
            if self.c.get("rescale"):
                values = values / math.sqrt(len(h))
            out[part.replace("_", ".")] = values
        # Entry (i, j) of down is i d + j, of up i b + j.
        flat_down, flat_up = out["down.weight"], out["up.weight"]
        out["down.weight"] = np.array([[flat_down[i * d + j] for j in range(d)] for i in range(b)])
        out["up.weight"] = np.array([[flat_up[i * b + j] for j in range(b)] for i in range(d)])
        if "norm.weight" in out and self.s["method"] == "hyper-adapters":
            out["norm.weight"] = out["norm.weight"] + 1
        return out


class Case:
    def __init__(self, path):
        self.settings = json.loads(path.with_suffix(".json").read_text())
        self.golden, _ = training.read(path)
        base = HERE.parent / "training" / self.settings["base"]
        self.config = json.loads((base / "config.json").read_text())
        self.base, _ = training.read(base / "model.safetensors")
        self.names = [n.removeprefix("grad.") for n in self.golden if n.startswith("grad.")]
        self.params = {n: self.golden[n] for n in self.names}
        renamed = {k.replace("direction.", "batch."): v for k, v in self.golden.items() if k.startswith("direction.")}
        self.data = [training.ragged(renamed, i) for i in range(len(self.settings["directions"]))]

    def adapters(self, params, i):
        if self.settings["method"] == "adapters":
            name = self.settings["adapters"][i]
            start = {site: f"adapter.{name[site.split('.')[0]]}.{site}." for site in self.settings["sites"]}
            return {site: {n.removeprefix(p): t for n, t in params.items() if n.startswith(p)}
                    for site, p in start.items()}
        network = HyperNetwork(self.settings, params, self.config["d_model"])
        return {site: network.adapter(site, *self.settings["directions"][i]) for site in self.settings["sites"]}

    def run(self, params, base, i):
        """Encoder output, logits, loss and nll of direction i; the last two are means over its tokens."""
        model = Adapted(self.config, base, self.adapters(params, i), self.settings["norm"])
        encoded, logits, loss, nll = model.run(self.data[i], self.settings["label_smoothing"])
        tokens = sum(len(t) for _, t in self.data[i])
        return encoded, logits, loss / tokens, nll / tokens

    def loss(self, params, base):
        return sum(self.run(params, base, i)[2] for i in range(len(self.data)))


def check(path):
    case, worst = Case(path), {}
    golden = case.golden

    def note(kind, found, expected, limit):
        assert np.shape(found) == np.shape(expected), kind
        d = float(np.abs(found - expected).max())
        worst[kind] = (max(d, worst.get(kind, (0, 0))[0]), limit)

    for i in range(len(case.data)):
        encoded, logits, loss, nll = case.run(case.params, case.base, i)
        note("encoder output", encoded, golden[f"direction.{i}.encoded"], 2e-6)
        note("logits", logits, golden[f"direction.{i}.logits"], 2e-6)
        note("loss", loss, golden[f"direction.{i}.loss"][0], 1e-6)
        note("nll", nll, golden[f"direction.{i}.nll"][0], 1e-6)
    note("loss of both", case.loss(case.params, case.base), golden["loss"][0], 1e-6)
    first = case.adapters(case.params, 0)
    generated = [n for n in golden if n.startswith("generated.")]
    assert bool(generated) == (case.settings["method"] != "adapters")
    for name in generated:
        _, side, layers, i, position, *part = name.split(".")
        note("generated", first[".".join((side, layers, i, position))][".".join(part)], golden[name], 1e-6)

    rng = np.random.default_rng(5)
    squares = 0.0
    for name in case.names:
        grad = golden[f"grad.{name}"]
        squares += (grad**2).sum()
        direction, h = rng.standard_normal(grad.shape), 1e-6
        value = [case.loss(case.params | {name: case.params[name] + s * h * direction}, case.base) for s in (1, -1)]
        note("gradients", (value[0] - value[1]) / (2 * h), (grad * direction).sum(), 2e-6)
    note("their norm", math.sqrt(squares), golden["grad_norm"][0], 2e-6)
    for key in (k for k in golden if k.startswith("base_grad.")):
        name, grad = key.removeprefix("base_grad."), golden[key]
        direction, h = rng.standard_normal(grad.shape), 1e-6
        value = [case.loss(case.params, case.base | {name: case.base[name] + s * h * direction}) for s in (1, -1)]
        note("gradients of the base", (value[0] - value[1]) / (2 * h), (grad * direction).sum(), 2e-6)
    return worst


def main():
    everything = {}
    for path in sorted(HERE.glob("*/*.safetensors")):
        for kind, (d, limit) in check(path).items():
            if d > limit:
                print(f"{path.parent.name}/{path.stem}: {kind} {d:.1e}, above {limit:.0e}")
            everything[kind] = (max(d, everything.get(kind, (0, 0))[0]), limit)
    for kind, (d, limit) in everything.items():
        print(f"  {kind:24} {d:.1e}")
    return 0 if everything and all(d <= limit for d, limit in everything.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
