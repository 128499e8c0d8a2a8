#!/usr/bin/env python3
"""Trains with PyTorch on the batches isogloss trained on and compares the loss of every step.

    isogloss train -m MODEL --dropout 0 --dump-batches batches.jsonl ... -o RUN
    python train_parity.py MODEL batches.jsonl RUN/log.jsonl --lr 5e-4 --warmup-steps 400

MODEL is the directory training began from. A line of the batches is one micro-batch,
`{"step": n, "src": [[ids]], "labels": [[ids]]}`; lines of one step are accumulated, normalised by
all target tokens of the step. Optimizer and schedule must be given as isogloss was given them; they
are written out here from their formulas, not taken from the log. Dropout is off.

Ends with 0 if the smoothed loss and the nll of every step agree within --limit, else with 1.
"""
import argparse
import itertools
import json
import math
import os
import sys

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
IGNORE = -100


def records(path):
    with open(path, encoding="utf-8") as f:
        for n, line in enumerate(f, 1):
            if line.strip():
                try:
                    yield json.loads(line)
                except ValueError as e:
                    sys.exit(f"{path}:{n}: {e}")


def learning_rate(a, step):
    """The rate of a step, counted from 1: a linear warm-up, then the schedule."""
    warm = a.warmup_steps
    if step < warm:
        return a.lr * step / warm
    if a.schedule == "inverse-sqrt":
        return max(a.min_lr, a.lr * math.sqrt(max(warm, 1) / step))
    if a.schedule == "constant":
        return a.lr
    done = min(1.0, (step - warm) / max(1, a.max_steps - warm))
    left = 1 - done if a.schedule == "linear" else 0.5 * (1 + math.cos(math.pi * done))
    return a.min_lr + (a.lr - a.min_lr) * left


def fill(rows, value):
    import torch

    width = max(map(len, rows))
    return torch.tensor([row + [value] * (width - len(row)) for row in rows])


def sums(model, batch, smoothing, dtype):
    """Smoothed loss and nll of a micro-batch, summed over its target tokens."""
    import torch

    c = model.config
    labels = fill(batch["labels"], IGNORE)
    decoder_input = fill([[c.decoder_start_token_id] + row[:-1] for row in batch["labels"]], c.pad_token_id)
    logits = model(
        input_ids=fill(batch["src"], c.pad_token_id),
        attention_mask=fill([[1] * len(row) for row in batch["src"]], 0),
        decoder_input_ids=decoder_input, use_cache=False,
    ).logits
    real = labels != IGNORE
    log_p = torch.log_softmax(logits[real].to(dtype), -1)
    nll = -log_p.gather(1, labels[real][:, None]).sum()
    return (1 - smoothing) * nll - smoothing * log_p.mean(-1).sum(), nll


def train(model, a):
    """Yields step, loss, nll, gradient norm and learning rate, as the log of isogloss does."""
    import torch

    kind = torch.optim.Adam if a.optimizer == "adam" else torch.optim.AdamW
    trained = list(model.parameters())
    optimizer = kind(trained, lr=a.lr, betas=(a.beta1, a.beta2), eps=a.eps, weight_decay=a.weight_decay)
    dtype = next(model.parameters()).dtype
    for step, group in itertools.groupby(records(a.batches), key=lambda b: b["step"]):
        if a.steps and step > a.steps:
            return
        group = list(group)
        tokens = sum(len(row) for b in group for row in b["labels"])
        loss = nll = 0.0
        optimizer.zero_grad(set_to_none=True)
        for batch in group:
            batch_loss, batch_nll = sums(model, batch, a.label_smoothing, dtype)
            (batch_loss / tokens).backward()
            loss += batch_loss.item() / tokens
            nll += batch_nll.item() / tokens
        norm = torch.nn.utils.clip_grad_norm_(trained, a.clip_norm or math.inf).item()
        lr = learning_rate(a, step)
        for g in optimizer.param_groups:
            g["lr"] = lr
        optimizer.step()
        yield dict(type="train_step", step=step, loss=loss, nll=nll, tokens=tokens,
                   sentences=sum(len(b["labels"]) for b in group), lr=lr, grad_norm=norm)


def relative(x, y):
    return abs(x - y) / max(abs(x), abs(y), 1e-12)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("model")
    ap.add_argument("batches", help="JSON lines of `isogloss train --dump-batches`")
    ap.add_argument("log", nargs="?", help="log.jsonl of the run; without it only PyTorch's losses are written")
    ap.add_argument("--optimizer", choices=["adam", "adamw"], default="adam")
    ap.add_argument("--lr", type=float, default=5e-4, help="peak of the schedule")
    ap.add_argument("--beta1", type=float, default=0.9)
    ap.add_argument("--beta2", type=float, default=0.98)
    ap.add_argument("--eps", type=float, default=1e-9)
    ap.add_argument("--weight-decay", type=float, default=0.0,
                    help="on every parameter; adam: added to the gradient, adamw: decoupled")
    ap.add_argument("--schedule", choices=["inverse-sqrt", "linear", "cosine", "constant"], default="inverse-sqrt")
    ap.add_argument("--warmup-steps", type=int, default=4000)
    ap.add_argument("--max-steps", type=int, default=0, help="end of the linear and cosine schedules")
    ap.add_argument("--min-lr", type=float, default=0.0)
    ap.add_argument("--clip-norm", type=float, default=1.0, help="0: no clipping")
    ap.add_argument("--label-smoothing", type=float, default=0.1)
    ap.add_argument("--steps", type=int, default=300, help="compare this many steps; 0: all")
    ap.add_argument("--limit", type=float, default=1e-3, help="largest relative difference allowed")
    ap.add_argument("--dtype", choices=["f32", "f64"], default="f32", help="PyTorch's")
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("-o", "--output", help="PyTorch's losses as JSON lines")
    a = ap.parse_args()
    if a.schedule in ("linear", "cosine") and not a.max_steps:
        ap.error(f"--schedule {a.schedule} needs --max-steps")

    import torch
    import transformers

    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(a.threads)
    model = transformers.AutoModelForSeq2SeqLM.from_pretrained(
        a.model, dtype=torch.float32 if a.dtype == "f32" else torch.float64).eval()  # eval: dropout is off
    theirs = {r["step"]: r for r in records(a.log) if r.get("type") == "train_step"} if a.log else {}
    out = open(a.output, "w") if a.output else None
    fields = ("loss", "nll", "grad_norm", "lr")
    worst = {k: (0.0, 0) for k in fields}
    compared, missing, not_finite = 0, [], []
    print(f"{'step':>6} {'tokens':>6} {'torch loss':>11} {'isogloss':>11} {'relative':>9}")
    for mine in train(model, a):
        if out:
            out.write(json.dumps(mine) + "\n")
        step = mine["step"]
        other = theirs.get(step)
        if other is None:
            missing.append(step)
            continue
        compared += 1
        for k in fields:
            if other.get(k) is None:
                if k in ("loss", "nll"):
                    not_finite.append(step)
                continue
            d = relative(mine[k], other[k])
            if not d <= worst[k][0]:
                worst[k] = (d, step)
        if "tokens" in other and other["tokens"] != mine["tokens"]:
            sys.exit(f"step {step}: the batches hold {mine['tokens']} target tokens, the log says {other['tokens']}")
        if step <= 3 or step % 25 == 0:
            print(f"{step:6} {mine['tokens']:6} {mine['loss']:11.6f} {other['loss']:11.6f}"
                  f" {relative(mine['loss'], other['loss']):9.1e}", flush=True)
    if out:
        out.close()
    if not a.log:
        return
    if not compared:
        sys.exit("no step is in both the batches and the log")
    print(f"{compared} steps compared; largest relative difference of")
    for k in fields:
        print(f"  {k:10} {worst[k][0]:.2e} at step {worst[k][1]}")
    if missing:
        print(f"not in the log: {len(missing)} steps, the first {missing[0]} (log every step: `--log-every 1`)")
    if not_finite:
        print(f"without a loss or nll in the log: {len(not_finite)} steps, the first {not_finite[0]}")
    good = not missing and not not_finite and all(worst[k][0] <= a.limit for k in ("loss", "nll"))
    print("agrees" if good else "DOES NOT AGREE", f"within {a.limit:g}")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
