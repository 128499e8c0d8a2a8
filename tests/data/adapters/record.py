#!/usr/bin/env python3
"""Records the golden numbers of adapters: stored ones, hyper-adapters and Hyper-X.

Adapter block and hyper-networks are written out here in plain torch from the specifications of the two
papers (Baziotis et al. 2022, Üstün et al. 2022), whose sections are named, and hooked into
`M2M100ForConditionalGeneration` of transformers, on the tiny models of ../training, with eager
attention, in float64; what is stored is rounded to float32.
`check.py` repeats all of it in numpy, without torch and without hooks.

    python record.py            writes MODEL/CASE.{json,safetensors}
    python record.py --check    records again and compares with what is there
    python record.py --scales   prints the size of generated weights at the start of training

README.md, beside this file, says what each tensor is.
"""
import argparse
import json
import math
import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import torch
import torch.nn.functional as F
import transformers
from safetensors import safe_open
from safetensors.numpy import save_file

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "training"))
import record as training

EPS = 1e-5
# Of the parameters. Of the first sixty, the one whose smallest gradient is largest.
SEED = 4
LANGUAGES = ["de", "en", "ja"]
DIRECTIONS = [("en", "de"), ("de", "ja")]
# Lengths of the sentences of each direction, end mark included.
LENGTHS = [[(5, 3), (1, 4), (3, 1)], [(2, 4), (6, 2)]]
# Base models, with the seed of the sentences and a bottleneck for each.
MODELS = {"even": dict(seed=31, bottleneck=3), "lopsided": dict(seed=32, bottleneck=5)}
# `norm` says where; `affine` whose its scale and shift are: stored, generated, or nobody's.
CASES = {
    # Stored adapters. `keys`: which adapter a side uses.
    "stored-layer": dict(method="adapters", positions=["layer"], norm="before", affine="stored",
                         keys=dict(encoder="source", decoder="target")),
    "stored-sublayers": dict(method="adapters", positions=["attention", "cross-attention", "feed-forward"],
                             norm="none", affine="none", keys=dict(encoder="all", decoder="target")),
    "stored-feed-forward": dict(method="adapters", positions=["feed-forward"], norm="after", affine="stored",
                                keys=dict(encoder="direction", decoder="direction")),
    # Hyper-adapters, section 5; `inputs`: the switches m of each side.
    "hyper-adapters-static": dict(
        method="hyper-adapters", positions=["layer"], norm="before", affine="none",
        hyper_network=dict(embedding_dim=4, hidden_dim=6, blocks=1, tied=False, input_norm=False,
                           output_norm=False, rescale=True,
                           inputs=dict(encoder=["source", "layer"], decoder=["target", "layer"]))),
    "hyper-adapters-generated": dict(
        method="hyper-adapters", positions=["layer"], norm="before", affine="generated",
        hyper_network=dict(embedding_dim=4, hidden_dim=6, blocks=2, tied=True, input_norm=True,
                           output_norm=True, rescale=True,
                           inputs=dict(encoder=["source", "target", "layer"],
                                       decoder=["source", "target", "layer"]))),
    # Hyper-X, sections 3 and 4. One task is used, the other stays what it was drawn as.
    "hyper-x": dict(
        method="hyper-x", positions=["feed-forward"], norm="none", affine="none",
        hyper_network=dict(embedding_dim=4, hidden_dim=5, output_dim=6, tasks=["denoising", "translation"],
                           task="translation", language=dict(encoder="source", decoder="target"))),
    "hyper-x-norm": dict(
        method="hyper-x", positions=["feed-forward"], norm="after", affine="generated",
        hyper_network=dict(embedding_dim=4, hidden_dim=5, output_dim=6, tasks=["denoising", "translation"],
                           task="translation", language=dict(encoder="source", decoder="target"))),
}
# Also recorded of the base: gradients upstream of every adapter of a side.
BASE_GRADS = [f"model.{side}.layers.0.self_attn_layer_norm.{x}"
              for side in ("encoder", "decoder") for x in ("weight", "bias")]
# Tensors of an adapter, and the heads that make them.
PARTS = ["down.weight", "down.bias", "up.weight", "up.bias"]
NORM_PARTS = ["norm.weight", "norm.bias"]


def batches(vocab, seed):
    """Per direction a list of (source ids, label ids), as ../training draws them."""
    g = torch.Generator().manual_seed(seed + 1000)
    ids = [i for i in range(vocab) if i != training.PAD]

    def sentence(n):
        draw = torch.randint(len(ids), (n,), generator=g).tolist()
        return [ids[i] for i in draw[:-1]] + [training.EOS]

    return [[(sentence(s), sentence(t)) for s, t in lengths] for lengths in LENGTHS]


def sites(config, positions):
    return [f"{side}.layers.{i}.{p}" for side in ("encoder", "decoder") for i in range(config[f"{side}_layers"])
            for p in positions if p != "cross-attention" or side == "decoder"]


def names(case, side):
    """The adapter that each direction uses on a side."""
    return [dict(source=s, target=t, direction=f"{s}-{t}", all="all")[case["keys"][side]] for s, t in DIRECTIONS]


# The adapter block: hyper-adapters section 4, Hyper-X section 4.


def shapes(case, d, b):
    out = {"down.weight": (b, d), "down.bias": (b,), "up.weight": (d, b), "up.bias": (d,)}
    return out | ({n: (d,) for n in NORM_PARTS} if case["affine"] != "none" else {})


def layer_norm(x, weight=None, bias=None):
    return F.layer_norm(x, x.shape[-1:], weight, bias, EPS)


def adapter(x, w, norm):
    scale = w.get("norm.weight"), w.get("norm.bias")
    n = layer_norm(x, *scale) if norm == "before" else x
    branch = F.linear(torch.relu(F.linear(n, w["down.weight"], w["down.bias"])), w["up.weight"], w["up.bias"])
    return x + (layer_norm(branch, *scale) if norm == "after" else branch)


def attach(model, weights, norm):
    """Hooks that put the adapters of `weights`, by site, where their names say."""
    def hook(w):
        def run(module, args, out):
            # Attention returns its weights beside its output.
            return (adapter(out[0], w, norm), *out[1:]) if isinstance(out, tuple) else adapter(out, w, norm)
        return run

    handles = []
    for site, w in weights.items():
        side, _, i, position = site.split(".")
        layer = getattr(model.model, side).layers[int(i)]
        module = layer if position == "layer" else getattr(
            layer, {"attention": "self_attn", "cross-attention": "encoder_attn", "feed-forward": "fc2"}[position])
        handles.append(module.register_forward_hook(hook(w)))
    return handles


# The hyper-networks: parameters by name, one vector a row of a table.


def linear(p, name, x):
    return F.linear(x, p[f"{name}.weight"], p[f"{name}.bias"])


def heads(case, p, h, d, b, divisor):
    """Every head's output, divided, as the tensor it stands for. `view` is row-major."""
    return {part: (linear(p, "head." + part.replace(".", "_"), h) / divisor).view(shape)
            for part, shape in shapes(case, d, b).items()}


def hyper_adapter(case, p, site, src, tgt, d, b):
    c = case["hyper_network"]
    tables = dict(source="language", target="language") if c["tied"] else dict(source="source", target="target")
    on = c["inputs"][site.split(".")[0]]
    rows = dict(source=p[f"embedding.{tables['source']}.{src}"], target=p[f"embedding.{tables['target']}.{tgt}"],
                layer=p[f"embedding.layer.{site}"])
    # What is switched off is zeroed, not removed.
    z = torch.cat([rows[k] if k in on else torch.zeros_like(rows[k]) for k in ("source", "target", "layer")])
    if c["input_norm"]:
        z = layer_norm(z, p["trunk.input_norm.weight"], p["trunk.input_norm.bias"])
    h = torch.relu(linear(p, "trunk.input", z))
    for k in range(c["blocks"]):
        block = f"trunk.blocks.{k}"
        n = layer_norm(h, p[f"{block}.norm.weight"], p[f"{block}.norm.bias"])
        h = h + linear(p, f"{block}.fc2", torch.relu(linear(p, f"{block}.fc1", n)))
    if c["output_norm"]:
        h = layer_norm(h, p["trunk.output_norm.weight"], p["trunk.output_norm.bias"])
    w = heads(case, p, h, d, b, math.sqrt(h.numel()) if c["rescale"] else 1.0)
    if "norm.weight" in w:
        w["norm.weight"] = 1 + w["norm.weight"]
    return w


def hyper_x(case, p, site, src, tgt, d, b):
    c = case["hyper_network"]
    language = dict(source=src, target=tgt)[c["language"][site.split(".")[0]]]
    s = torch.cat([p[f"embedding.task.{c['task']}"], p[f"embedding.language.{language}"], p[f"embedding.layer.{site}"]])
    h = linear(p, "trunk.fc2", torch.relu(linear(p, "trunk.fc1", s)))
    return heads(case, p, h, d, b, 1.0)  # no rescaling, and no 1 added to the norm's scale


def weights_for(case, p, places, index, d, b):
    """All adapters of a direction, by site."""
    if case["method"] == "adapters":
        chosen = {side: names(case, side)[index] for side in ("encoder", "decoder")}
        return {site: {part: p[f"adapter.{chosen[site.split('.')[0]]}.{site}.{part}"] for part in shapes(case, d, b)}
                for site in places}
    generate = {"hyper-adapters": hyper_adapter, "hyper-x": hyper_x}[case["method"]]
    return {site: generate(case, p, site, *DIRECTIONS[index], d, b) for site in places}


def parameter_shapes(case, places, d, b):
    out = {}
    if case["method"] == "adapters":
        for site in places:
            for name in set(names(case, site.split(".")[0])):
                out |= {f"adapter.{name}.{site}.{part}": s for part, s in shapes(case, d, b).items()}
        return out

    def put(name, rows, columns):
        out.update({f"{name}.weight": (rows, columns), f"{name}.bias": (rows,)})

    def put_norm(name, n):
        out.update({f"{name}.weight": (n,), f"{name}.bias": (n,)})

    c = case["hyper_network"]
    e, hidden = c["embedding_dim"], c["hidden_dim"]
    read_by_heads = c.get("output_dim", hidden)
    tables = dict(layer=places)
    if case["method"] == "hyper-x":
        tables |= dict(task=c["tasks"], language=LANGUAGES)
        put("trunk.fc1", hidden, 3 * e)
        put("trunk.fc2", read_by_heads, hidden)
    else:
        tables |= {t: LANGUAGES for t in (["language"] if c["tied"] else ["source", "target"])}
        put("trunk.input", hidden, 3 * e)
        if c["input_norm"]:
            put_norm("trunk.input_norm", 3 * e)
        for k in range(c["blocks"]):
            put_norm(f"trunk.blocks.{k}.norm", hidden)
            put(f"trunk.blocks.{k}.fc1", hidden, hidden)
            put(f"trunk.blocks.{k}.fc2", hidden, hidden)
        if c["output_norm"]:
            put_norm("trunk.output_norm", hidden)
    out |= {f"embedding.{table}.{key}": (e,) for table, keys in tables.items() for key in keys}
    for part, shape in shapes(case, d, b).items():
        put("head." + part.replace(".", "_"), math.prod(shape), read_by_heads)
    return out


def draw(case, places, d, b):
    """Parameters away from 0 and 1; tables as wide as they start."""
    g = torch.Generator().manual_seed(SEED)
    out = {}
    for name, shape in sorted(parameter_shapes(case, places, d, b).items()):
        noise = torch.randn(shape, generator=g)
        is_scale = name.endswith("norm.weight") and not name.startswith("head.")
        out[name] = noise if name.startswith("embedding.") else 1 + 0.3 * noise if is_scale else 0.3 * noise
    return out


def unused(case, name):
    """Rows that no direction reads: their gradient is 0."""
    if case["method"] == "hyper-x":
        return name == "embedding.task.denoising"
    return name in ("embedding.source.ja", "embedding.target.en")


def measure(case, model_name, drawn, dtype):
    """Everything that is recorded, as numpy arrays by name, and the largest change of a logit, in the
    direction where it is less."""
    model = training.load(HERE.parent / "training" / model_name, dtype)
    config, b = model.config.to_dict(), MODELS[model_name]["bottleneck"]
    d, places = config["d_model"], sites(config, case["positions"])
    p = {n: t.to(dtype, copy=True).requires_grad_() for n, t in drawn.items()}
    out, total, change = {}, 0.0, math.inf
    for i, batch in enumerate(batches(config["vocab_size"], MODELS[model_name]["seed"])):
        with torch.no_grad():
            plain = training.sums(model, batch)[3]
        weights = weights_for(case, p, places, i, d, b)
        handles = attach(model, weights, case["norm"])
        loss, nll, tokens, logits = training.sums(model, batch)
        inputs, _ = training.padded(batch)
        with torch.no_grad():
            encoded = model.model.encoder(inputs["input_ids"], attention_mask=inputs["attention_mask"])
        for handle in handles:
            handle.remove()
        total = total + loss / tokens
        change = min(change, (logits - plain).abs().max().item())
        out[f"direction.{i}.encoded"] = encoded.last_hidden_state[inputs["attention_mask"] > 0].numpy()
        out[f"direction.{i}.logits"] = logits.detach().numpy()
        out[f"direction.{i}.loss"] = np.array([loss.item() / tokens])
        out[f"direction.{i}.nll"] = np.array([nll.item() / tokens])
        if i == 0 and case["method"] != "adapters":
            for site in (places[0], places[-1]):
                out |= {f"generated.{site}.{k}": t.detach().numpy() for k, t in weights[site].items()}
    total.backward()
    out["loss"] = np.array([total.item()])
    grads = {n: torch.zeros_like(t) if t.grad is None else t.grad for n, t in p.items()}
    for n, grad in grads.items():
        # A unit that is never on, or always, would leave a mistake unseen.
        assert grad.abs().max() == 0 if unused(case, n) else grad.abs().max() > 1e-3, n
    out |= {f"grad.{n}": grad.numpy() for n, grad in grads.items()}
    out["grad_norm"] = np.array([training.norm(grads)])
    base = {n: t.grad for n, t in model.named_parameters()}
    out |= {f"base_grad.{n}": base[n].numpy() for n in BASE_GRADS}
    out["base_grad_norm"] = np.array([training.norm(base)])
    return out, change


def spread(a, b):
    """Largest difference of two recordings by kind of quantity."""
    worst = {}
    for k in a:
        kind = k.split(".")[0] + ("." + k.split(".")[2] if k.startswith("direction.") else "")
        worst[kind] = max(worst.get(kind, 0.0), float(np.abs(a[k] - b[k].astype(np.float64)).max()))
    return worst


def settings(case, model_name, places):
    out = dict(base=model_name, bottleneck=MODELS[model_name]["bottleneck"], directions=DIRECTIONS,
               label_smoothing=training.SMOOTHING, sites=places)
    out |= {k: v for k, v in case.items() if k != "keys"}
    if "keys" in case:
        out["adapters"] = [dict(encoder=e, decoder=d) for e, d in zip(names(case, "encoder"), names(case, "decoder"))]
    return out


def record(model_name, case_name, out_dir):
    case, path = CASES[case_name], out_dir / model_name
    path.mkdir(parents=True, exist_ok=True)
    config = json.loads((HERE.parent / "training" / model_name / "config.json").read_text())
    places = sites(config, case["positions"])
    model = MODELS[model_name]
    drawn = draw(case, places, config["d_model"], model["bottleneck"])
    reference, change = measure(case, model_name, drawn, torch.float64)
    single, _ = measure(case, model_name, drawn, torch.float32)
    worst = spread(reference, single)
    assert max(worst.values()) < 5e-6, f"{model_name}/{case_name}: float32 is not enough: {worst}"
    tensors = {k: np.ascontiguousarray(v.astype(np.float32)) for k, v in reference.items()}
    tensors |= {n: t.numpy() for n, t in drawn.items()}
    for i, batch in enumerate(batches(config["vocab_size"], model["seed"])):
        for k, rows in (("src", [s for s, _ in batch]), ("labels", [t for _, t in batch])):
            tensors[f"direction.{i}.{k}"] = np.array(sum(rows, []), dtype=np.uint32)
            tensors[f"direction.{i}.{k}_lens"] = np.array([len(r) for r in rows], dtype=np.uint32)
    save_file(tensors, path / f"{case_name}.safetensors")
    os.chmod(path / f"{case_name}.safetensors", 0o644)
    lines = [f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in settings(case, model_name, places).items()]
    (path / f"{case_name}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
    return worst, change


def compare(name, target):
    if (HERE / f"{name}.json").read_text() != (target / f"{name}.json").read_text():
        sys.exit(f"{name}.json differs")
    file = f"{name}.safetensors"
    with safe_open(HERE / file, "np") as old, safe_open(target / file, "np") as new:
        if set(old.keys()) != set(new.keys()):
            sys.exit(f"{file}: other tensors")
        for k in old.keys():
            if not np.allclose(old.get_tensor(k), new.get_tensor(k), rtol=1e-6, atol=1e-6):
                sys.exit(f"{file}: `{k}` differs")


# How large generated weights are at the start of training.

# Hyper-adapters, section 6.3: (blocks, d_h) and the columns of its table.
SPEC = {
    (1, 64): (8.0, 0.044, 0.0055, 0.0070, 0.45), (1, 256): (14.0, 0.077, 0.0048, 0.0035, 0.89),
    (1, 612): (19.5, 0.107, 0.0043, 0.0023, 1.38), (2, 64): (9.9, 0.055, 0.0068, 0.0070, 0.45),
    (2, 102): (12.5, 0.069, 0.0068, 0.0055, 0.56), (2, 204): (16.2, 0.089, 0.0062, 0.0039, 0.80),
    (2, 612): (26.7, 0.147, 0.0059, 0.0023, 1.38),
}
SPEC_SMALL = {(2, 102): (1.17, 0.116, 0.72, 0.071), (2, 204): (1.26, 0.088, 0.86, 0.060),
              (2, 612): (1.39, 0.056, 1.12, 0.045)}


def xavier(rows, columns, g):
    bound = math.sqrt(6 / (rows + columns))
    return (2 * torch.rand(rows, columns, generator=g) - 1) * bound


def fresh_hidden(blocks, hidden, e, g):
    """h of one random (source, target, layer) under a fresh network."""
    z = torch.randn(4 * 3 * e, generator=g)
    z = z[z.abs() <= 2][: 3 * e]  # normal, cut at 2
    h = torch.relu(xavier(hidden, 3 * e, g) @ z)
    for _ in range(blocks):
        h = h + xavier(hidden, hidden, g) @ torch.relu(xavier(hidden, hidden, g) @ layer_norm(h))
    return h


def print_scales(draws=10):
    d, b, e = 512, 128, 50
    target = math.sqrt(2 / (d + b))
    print(f"hyper-adapters, d {d}, b {b}, e {e}, ReLU; means of {draws} networks, in brackets the table of section 6.3")
    print(f"a stored adapter's weights: {xavier(b, d, torch.Generator().manual_seed(0)).std():.4f} [{target:.4f}]")
    print(" B  d_h  |h|; Xavier, plain; rescaled; matched without the division, rescaled; with it, plain; rescaled")
    for (blocks, hidden), spec in SPEC.items():
        g = torch.Generator().manual_seed(1)
        root, sums = math.sqrt(hidden), np.zeros(10)
        for _ in range(draws):
            h = fresh_hidden(blocks, hidden, e, g)
            raw = (xavier(d * b, hidden, g) @ h).std().item()
            # Matching divides a head's weight by the std of its output and multiplies by the target; what
            # counts is whether that std was taken before or after the division.
            before, after = target / raw, target / (raw / root)
            down_bias, up_bias = ((xavier(n, hidden, g) @ h).pow(2).mean().sqrt().item() for n in (b, d))
            sums += [h.norm().item(), raw, raw / root, before * raw / root, after * raw, after * raw / root,
                     down_bias, down_bias / root, up_bias, up_bias / root]
        mean = sums / draws
        print(f"{blocks:2} {hidden:4} " + "   ".join(f"{m:7.4f} [{s:6.4f}]" for m, s in zip(mean, spec))
              + f"   {mean[5]:.4f}")
        if (blocks, hidden) in SPEC_SMALL:
            print("           down bias, plain and rescaled; up bias and norm likewise: " + "   ".join(
                f"{m:.3f} [{s:.3f}]" for m, s in zip(mean[6:], SPEC_SMALL[blocks, hidden])))
    d, b, e, width = 768, 256, 64, 192
    print(f"Hyper-X, h {d}, b {b}, e {e}, H {width}, all maps N(0, 0.01^2): |p| and the weights, in brackets section 5")
    for size, spec in ((32, (0.078, 7.7e-4)), (192, (0.183, 1.8e-3))):
        g = torch.Generator().manual_seed(1)
        mean = np.zeros(2)
        for _ in range(draws):
            s = torch.randn(3 * e, generator=g)
            fc1, fc2 = (0.01 * torch.randn(*shape, generator=g) for shape in ((width, 3 * e), (size, width)))
            p = fc2 @ torch.relu(fc1 @ s)
            mean += np.array([p.norm(), (0.01 * torch.randn(d * b, size, generator=g) @ p).std()]) / draws
        print(f"P {size:4} " + "   ".join(f"{m:.5f} [{x:.5f}]" for m, x in zip(mean, spec)))


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--check", action="store_true")
    ap.add_argument("--scales", action="store_true")
    a = ap.parse_args()
    torch.set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()
    print(f"torch {torch.__version__}, transformers {transformers.__version__}")
    if a.scales:
        return print_scales()
    everything, size = {}, 0
    with tempfile.TemporaryDirectory() as tmp:
        target = Path(tmp) if a.check else HERE
        for model_name in MODELS:
            for case_name in CASES:
                worst, change = record(model_name, case_name, target)
                name = f"{model_name}/{case_name}"
                own = sum((target / f"{name}.{x}").stat().st_size for x in ("json", "safetensors"))
                size += own
                if a.check:
                    compare(name, target)
                print(f"{name}: {own} bytes; the adapters change a logit by up to {change:.2f}"
                      + (", as recorded" if a.check else ""))
                everything |= {k: max(d, everything.get(k, 0.0)) for k, d in worst.items()}
    print(f"{size} bytes; float32 against float64, largest absolute difference:")
    for kind, d in sorted(everything.items()):
        print(f"  {kind:24} {d:.2e}")


if __name__ == "__main__":
    main()
