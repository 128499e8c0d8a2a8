#!/usr/bin/env python3
"""Records the golden numbers of training: logits, loss, gradients, optimizer steps.

The reference is `M2M100ForConditionalGeneration` of transformers with eager attention, run in
float64 on padded batches; what is stored is rounded to float32. Every quantity with a closed
definition (the loss, the schedule, clipping, Adam) is computed a second time here from its formula
and must agree with torch before anything is written. `check.py` repeats the model itself in numpy.

    python record.py            writes CASE/{config.json,model.safetensors,golden.safetensors}
    python record.py --check    records again and compares with what is there

README.md, beside this file, says what each tensor is.
"""
import argparse
import json
import math
import os
import shutil
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import numpy as np
import torch
import transformers
from safetensors import safe_open
from safetensors.numpy import save_file
from transformers import M2M100Config, M2M100ForConditionalGeneration

HERE = Path(__file__).resolve().parent
PAD, EOS, START, IGNORE = 1, 2, 2, -100
SMOOTHING = 0.1
# Softmax does not see a bias of the keys, so its gradient is 0 and what is computed is rounding
# noise, which Adam scales up to whole steps: no two programs agree on it, and none is wrong.
NOISE = "k_proj.bias"
STEPS = 10

# lr: peak of the schedule. Adam as fairseq sets it for translation; AdamW as in torch, that is
# decoupled and on every parameter, biases and norms included.
OPTIMIZERS = {
    "adam": dict(lr=5e-3, betas=(0.9, 0.98), eps=1e-9, weight_decay=0.0),
    "adamw": dict(lr=5e-3, betas=(0.9, 0.98), eps=1e-9, weight_decay=0.01),
}
WARMUP_STEPS = 4
MAX_GRAD_NORM = 1.0

COMMON = dict(
    vocab_size=40, d_model=16, max_position_embeddings=32, scale_embedding=True,
    activation_function="relu", dropout=0.0, attention_dropout=0.0, activation_dropout=0.0,
    encoder_layerdrop=0.0, decoder_layerdrop=0.0, init_std=0.2,
    pad_token_id=PAD, bos_token_id=0, eos_token_id=EOS, decoder_start_token_id=START,
)
# `final` names the optimizer whose parameters after the last step are stored.
CASES = {
    "even": dict(
        seed=11, final="adam", accumulated=True,
        config=dict(COMMON, encoder_layers=2, decoder_layers=2, encoder_attention_heads=2,
                    decoder_attention_heads=2, encoder_ffn_dim=24, decoder_ffn_dim=24),
    ),
    "lopsided": dict(
        seed=12, final="adamw", accumulated=False,
        config=dict(COMMON, encoder_layers=3, decoder_layers=1, encoder_attention_heads=2,
                    decoder_attention_heads=4, encoder_ffn_dim=20, decoder_ffn_dim=36),
    ),
}
# Lengths of the sentences of two batches, end mark included: ragged on both sides, the shortest
# a single token, the longest source and the longest target in different sentences.
LENGTHS = [
    [(9, 4), (1, 7), (5, 9), (3, 1), (6, 6)],
    [(2, 8), (7, 2), (4, 5)],
]


def build(config, seed):
    """A random model whose every parameter matters: norms away from 1 and 0, biases and the
    padding row away from 0."""
    torch.manual_seed(seed)
    model = M2M100ForConditionalGeneration(M2M100Config(**config, attn_implementation="eager"))
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            noise = torch.randn(p.shape, generator=g)
            if name.endswith("norm.weight"):
                p.copy_(1 + 0.3 * noise)
            else:
                p.copy_(0.2 * noise)
    return model.eval()


def batches(vocab, seed):
    """Per batch a list of (source ids, label ids); any id but the padding, the end mark last."""
    g = torch.Generator().manual_seed(seed + 1000)
    ids = [i for i in range(vocab) if i != PAD]

    def sentence(n):
        draw = torch.randint(len(ids), (n,), generator=g).tolist()
        return [ids[i] for i in draw[:-1]] + [EOS]

    return [[(sentence(s), sentence(t)) for s, t in lengths] for lengths in LENGTHS]


def padded(batch):
    """Tensors as transformers wants them: [batch, time] with padding, mask and ignored labels."""
    def fill(rows, value):
        width = max(map(len, rows))
        return torch.tensor([r + [value] * (width - len(r)) for r in rows])

    src, labels = [s for s, _ in batch], [t for _, t in batch]
    decoder_input = [[START] + t[:-1] for t in labels]
    return dict(
        input_ids=fill(src, PAD), attention_mask=fill([[1] * len(s) for s in src], 0),
        decoder_input_ids=fill(decoder_input, PAD),
        decoder_attention_mask=fill([[1] * len(t) for t in labels], 0),
    ), fill(labels, IGNORE)


def close(t):
    return 1e-12 if t.dtype == torch.float64 else 1e-5


def forward(model, batch):
    """Logits of the real target tokens [tokens, vocab] in order, and their labels [tokens]."""
    inputs, labels = padded(batch)
    logits = model(**inputs, use_cache=False).logits
    real = labels != IGNORE
    # The call as users make it, with labels only, must give the same numbers.
    short = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"],
                  labels=labels, use_cache=False).logits
    assert torch.allclose(short[real], logits[real], rtol=0, atol=close(logits))
    return logits[real], labels[real], logits, labels


def sums(model, batch):
    """Smoothed loss and plain nll, summed over the target tokens, and their number."""
    flat, gold, logits, labels = forward(model, batch)
    log_p = torch.log_softmax(flat, -1)
    nll = -log_p.gather(1, gold[:, None]).squeeze(1)
    loss = (1 - SMOOTHING) * nll + SMOOTHING * -log_p.mean(-1)
    # The definition above, against torch's own on the padded tensors.
    torch_loss = torch.nn.CrossEntropyLoss(label_smoothing=SMOOTHING, ignore_index=IGNORE)(
        logits.view(-1, logits.shape[-1]), labels.view(-1))
    assert abs(loss.mean().item() - torch_loss.item()) < close(flat)
    return loss.sum(), nll.sum(), gold.numel(), flat


def gradients(model, group):
    """Loss, nll and gradients of a group of batches, each normalised by all its target tokens."""
    model.zero_grad(set_to_none=True)
    total = sum(len(t) for batch in group for _, t in batch)
    loss = nll = 0.0
    for batch in group:
        batch_loss, batch_nll, _, _ = sums(model, batch)
        (batch_loss / total).backward()
        loss += batch_loss.item() / total
        nll += batch_nll.item() / total
    named = dict(model.named_parameters())
    assert all(p.grad is not None for p in named.values())
    assert not [n for n in named if "embed_tokens" in n or "lm_head" in n], "tied: one name only"
    return loss, nll, {n: p.grad for n, p in named.items()}


def norm(grads):
    return math.sqrt(sum(g.double().pow(2).sum().item() for g in grads.values()))


def learning_rate(peak, step):
    """Inverse square root with linear warm-up (fairseq: inverse_sqrt); steps count from 1."""
    return peak * min(step / WARMUP_STEPS, math.sqrt(WARMUP_STEPS / step))


class Formula:
    """Adam (Kingma and Ba 2015, algorithm 1) with decoupled decay (Loshchilov and Hutter 2019)."""

    def __init__(self, params):
        self.m = {n: torch.zeros_like(p) for n, p in params.items()}
        self.v = {n: torch.zeros_like(p) for n, p in params.items()}
        self.t = 0

    def step(self, params, grads, lr, betas, eps, weight_decay):
        self.t += 1
        out = {}
        for n, p in params.items():
            self.m[n] = betas[0] * self.m[n] + (1 - betas[0]) * grads[n]
            self.v[n] = betas[1] * self.v[n] + (1 - betas[1]) * grads[n] ** 2
            m = self.m[n] / (1 - betas[0] ** self.t)
            v = self.v[n] / (1 - betas[1] ** self.t)
            out[n] = p - lr * weight_decay * p - lr * m / (v.sqrt() + eps)
        return out


def steps(model, data, settings):
    """Ten steps, the batches in turn. Curves (before each step) and the final parameters."""
    kind = torch.optim.AdamW if settings["weight_decay"] else torch.optim.Adam
    opt = kind(model.parameters(), **settings)
    formula = Formula({n: p.detach() for n, p in model.named_parameters()})
    exact = next(model.parameters()).dtype == torch.float64
    curves = {k: [] for k in ("loss", "nll", "grad_norm", "lr")}
    for step in range(1, STEPS + 1):
        loss, nll, grads = gradients(model, [data[(step - 1) % len(data)]])
        lr = learning_rate(settings["lr"], step)
        for k, v in (("loss", loss), ("nll", nll), ("grad_norm", norm(grads)), ("lr", lr)):
            curves[k].append(v)
        for group in opt.param_groups:
            group["lr"] = lr
        clip = min(1.0, MAX_GRAD_NORM / (norm(grads) + 1e-6))
        before = {n: p.detach().clone() for n, p in model.named_parameters()}
        clipped = {n: g.clone() * clip for n, g in grads.items()}
        torch.nn.utils.clip_grad_norm_(model.parameters(), MAX_GRAD_NORM)
        opt.step()
        if exact:
            want = formula.step(before, clipped, lr, *(settings[k] for k in ("betas", "eps", "weight_decay")))
            for n, p in model.named_parameters():
                if not n.endswith(NOISE):
                    assert torch.allclose(p, want[n], rtol=1e-9, atol=1e-11), n
    return curves, {n: p.detach() for n, p in model.named_parameters() if not n.endswith(NOISE)}


def load(path, dtype):
    return M2M100ForConditionalGeneration.from_pretrained(path, dtype=dtype, attn_implementation="eager").eval()


def measure(path, case, data, dtype):
    """Everything that is recorded, as numpy arrays by name."""
    out = {}

    def put(prefix, named):
        for n, t in named.items():
            out[f"{prefix}.{n}"] = t.detach().numpy()

    model = load(path, dtype)
    for i, batch in enumerate(data):
        with torch.no_grad():
            loss, nll, tokens, logits = sums(model, batch)
            inputs, _ = padded(batch)
            encoded = model.model.encoder(inputs["input_ids"], attention_mask=inputs["attention_mask"])
        out[f"batch.{i}.encoded"] = encoded.last_hidden_state[inputs["attention_mask"] > 0].numpy()
        out[f"batch.{i}.logits"] = logits.numpy()
        out[f"batch.{i}.loss"] = np.array([loss.item() / tokens])
        out[f"batch.{i}.nll"] = np.array([nll.item() / tokens])
    loss, nll, grads = gradients(model, data[:1])
    put("grad", grads)
    out["grad_norm"] = np.array([norm(grads)])
    loss, nll, grads = gradients(model, data)
    out["accumulated.loss"], out["accumulated.nll"] = np.array([loss]), np.array([nll])
    out["accumulated.grad_norm"] = np.array([norm(grads)])
    if case["accumulated"]:
        put("accumulated.grad", grads)
    for name, settings in OPTIMIZERS.items():
        curves, final = steps(load(path, dtype), data, settings)
        for k, v in curves.items():
            out[f"{name}.{k}"] = np.array(v)
        if case["final"] == name:
            put(f"{name}.final", final)
    return out


def spread(a, b):
    """Largest difference of two recordings by kind of quantity."""
    worst = {}
    for k in a:
        kind = k.split(".")[0] + (".final" if ".final." in k else ".grad" if ".grad." in k else "")
        if k.startswith("batch."):
            kind = "batch." + k.split(".")[2]
        elif "final" not in kind and "grad" not in kind:
            kind = k
        if k.endswith(NOISE):
            kind += f" ({NOISE})"
        d = float(np.abs(a[k].astype(np.float64) - b[k].astype(np.float64)).max())
        worst[kind] = max(worst.get(kind, 0.0), d)
    return worst


def record(name, out_dir):
    case = CASES[name]
    path = out_dir / name
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    build(case["config"], case["seed"]).save_pretrained(path)
    (path / "generation_config.json").unlink()
    os.chmod(path / "model.safetensors", 0o644)
    data = batches(case["config"]["vocab_size"], case["seed"])
    reference = measure(path, case, data, torch.float64)
    single = measure(path, case, data, torch.float32)
    tensors = {k: np.ascontiguousarray(v.astype(np.float32)) for k, v in reference.items()}
    for i, batch in enumerate(data):
        for k, rows in (("src", [s for s, _ in batch]), ("labels", [t for _, t in batch])):
            tensors[f"batch.{i}.{k}"] = np.array(sum(rows, []), dtype=np.uint32)
            tensors[f"batch.{i}.{k}_lens"] = np.array([len(r) for r in rows], dtype=np.uint32)
    settings = dict(label_smoothing=SMOOTHING, warmup_steps=WARMUP_STEPS, max_grad_norm=MAX_GRAD_NORM,
                    steps=STEPS, optimizers=OPTIMIZERS, final=case["final"])
    # One metadata key only: the library keeps them in an unordered map.
    save_file(tensors, path / "golden.safetensors", metadata={"settings": json.dumps(settings, sort_keys=True)})
    os.chmod(path / "golden.safetensors", 0o644)
    return spread(reference, single)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--check", action="store_true")
    a = ap.parse_args()
    torch.set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()
    print(f"torch {torch.__version__}, transformers {transformers.__version__}")
    with tempfile.TemporaryDirectory() as tmp:
        target = Path(tmp) if a.check else HERE
        for name in CASES:
            worst = record(name, target)
            size = sum(f.stat().st_size for f in (target / name).iterdir())
            print(f"{name}: {size} bytes; float32 against float64, largest absolute difference:")
            for kind, d in sorted(worst.items()):
                print(f"  {kind:40} {d:.2e}")
            if a.check:
                for f in ("model.safetensors", "golden.safetensors"):
                    with safe_open(HERE / name / f, "np") as old, safe_open(target / name / f, "np") as new:
                        if set(old.keys()) != set(new.keys()):
                            sys.exit(f"{name}/{f}: other tensors")
                        for k in old.keys():
                            if not np.allclose(old.get_tensor(k), new.get_tensor(k), rtol=1e-6, atol=1e-6):
                                sys.exit(f"{name}/{f}: `{k}` differs")
                print("  as recorded")


if __name__ == "__main__":
    main()
