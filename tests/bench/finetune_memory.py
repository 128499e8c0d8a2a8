#!/usr/bin/env python3
"""LoRA fine-tuning at published size: isogloss against PEFT on PyTorch, peak memory and speed.

Writes a random checkpoint of the shape of NLLB-200-distilled-600M (d_model 1024, 12 layers a side, 16
heads, ffn 4096, 256,206 pieces, bf16) with a small tokenizer, and fine-tunes it on toy text with a LoRA
of --rank on all linear maps of all layers: dropout 0.1, label smoothing 0.1, Adam. Both systems take
the same batches, those that `isogloss train --dump-batches` writes. Every system runs in a process of
its own, one after another in --rounds rounds that change who goes first; the first update of a run is
not timed. Peak memory is the process's VmHWM, the libraries included; `told` is what
`isogloss train --dry-run` says before. Speed is in target tokens per second; quote the ratios, which
are taken within a round, and only from a machine that does nothing else.

    python tests/bench/finetune_memory.py                        # builds isogloss
    python tests/bench/finetune_memory.py --tokens 512 --updates 3 --rounds 3 --dir nllb
    python tests/bench/finetune_memory.py --shape small --systems f32,peft-f32

Needs torch, transformers and peft (CPU builds do), about 10 GiB of memory for PEFT in f32 and 1.5 GB of
disk. Linux only (/proc).
"""
import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import built

# d_model, layers on each side, heads, ffn_dim, vocab_size
SHAPES = {"nllb-600m": (1024, 12, 16, 4096, 256206), "small": (256, 3, 4, 1024, 8000)}
MODULES = ["q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"]
# name -> flags of isogloss, or number format and checkpointing of PEFT
ISOGLOSS = {
    "f32": [],
    "f32-ckpt": ["--gradient-checkpointing"],
    "bf16": ["--dtype", "bf16"],
    "bf16-ckpt": ["--dtype", "bf16", "--gradient-checkpointing"],
}
PEFT = {"peft-f32": ("float32", False), "peft-f32-ckpt": ("float32", True),
        "peft-bf16": ("bfloat16", False), "peft-bf16-ckpt": ("bfloat16", True)}


def write_text(path, pairs):
    words = [a + b for a in ("ka", "lo", "mi", "nu", "ro") for b in ("ba", "de", "fi", "go", "tu", "ze")]
    rng = random.Random(1)
    with open(path, "w") as f:
        for _ in range(pairs):
            src = [rng.choice(words) for _ in range(rng.randint(20, 40))]
            record = {"src_lang": "aa", "tgt_lang": "bb", "src": " ".join(src), "tgt": " ".join(src[::-1])}
            f.write(json.dumps(record) + "\n")


def write_checkpoint(isogloss, shape, folder, text):
    """The tokenizer comes from `isogloss init`; the vocabulary is padded to the published size."""
    tiny = folder / "tokenizer"
    subprocess.run([isogloss, "init", "-q", "--vocab-size", "140", "--preset", "tiny", "-o", tiny, text], check=True,
                   stderr=subprocess.DEVNULL)
    command = [sys.executable, __file__, "--make", str(folder / "model"), "--shape", shape, "--dir", str(tiny)]
    subprocess.run(command, check=True)


def make(shape, tokenizer, out):
    import shutil

    import torch
    from transformers import M2M100Config, M2M100ForConditionalGeneration
    from transformers.utils import logging

    logging.disable_progress_bar()
    d_model, layers, heads, ffn, vocab = SHAPES[shape]
    small = json.loads((tokenizer / "config.json").read_text())
    ids = {k: small[k] for k in ("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id")}
    torch.manual_seed(1)
    model = M2M100ForConditionalGeneration(M2M100Config(
        vocab_size=vocab, d_model=d_model, encoder_layers=layers, decoder_layers=layers,
        encoder_attention_heads=heads, decoder_attention_heads=heads, encoder_ffn_dim=ffn, decoder_ffn_dim=ffn,
        max_position_embeddings=1024, dropout=0.1, attention_dropout=0.1, activation_dropout=0.0,
        encoder_layerdrop=0.0, decoder_layerdrop=0.0, scale_embedding=True, **ids))
    model.to(torch.bfloat16).save_pretrained(out)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tokenizer / name, out / name)


def peft_worker(a):
    """Updates on the batches of a file; seconds of each and target tokens as lines."""
    import peft
    import torch
    from transformers import AutoModelForSeq2SeqLM

    torch.set_num_threads(a.threads)
    dtype, checkpointing = PEFT[a.worker]
    model = AutoModelForSeq2SeqLM.from_pretrained(a.dir / "model", dtype=getattr(torch, dtype))
    config = peft.LoraConfig(task_type=peft.TaskType.SEQ_2_SEQ_LM, r=a.rank, lora_alpha=a.rank, lora_dropout=0.0,
                             target_modules=MODULES)
    if checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        model.enable_input_require_grads()
    pad, start = model.config.pad_token_id, model.config.decoder_start_token_id
    model = peft.get_peft_model(model, config).train()
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=1e-4, betas=(0.9, 0.98))
    criterion = torch.nn.CrossEntropyLoss(label_smoothing=0.1, ignore_index=-100)

    def padded(rows, value):
        width = max(map(len, rows))
        return torch.tensor([row + [value] * (width - len(row)) for row in rows])

    for line in open(a.dir / "batches.jsonl"):
        batch = json.loads(line)
        begun = time.perf_counter()
        src, labels = padded(batch["src"], pad), padded(batch["labels"], -100)
        inputs = padded([[start] + row[:-1] for row in batch["labels"]], pad)
        logits = model(input_ids=src, attention_mask=(src != pad).long(), decoder_input_ids=inputs,
                       use_cache=False).logits
        loss = criterion(logits.view(-1, logits.shape[-1]).float(), labels.view(-1))
        del logits
        loss.backward()
        torch.nn.utils.clip_grad_norm_([p for p in model.parameters() if p.requires_grad], 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        print(json.dumps({"seconds": time.perf_counter() - begun, "loss": loss.item(),
                          "tokens": sum(map(len, batch["labels"]))}), flush=True)


def watched(command, threads):
    """Standard output of a command, and its peak memory in MiB."""
    n = str(threads)
    env = dict(os.environ, OMP_NUM_THREADS=n, MKL_NUM_THREADS=n, ISOGLOSS_THREADS=n, TRANSFORMERS_VERBOSITY="error",
               HF_HUB_OFFLINE="1", PYTHONWARNINGS="ignore")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
    peak = 0

    def watch():
        nonlocal peak
        while process.poll() is None:
            try:
                for line in open(f"/proc/{process.pid}/status"):
                    if line.startswith("VmHWM:"):
                        peak = int(line.split()[1])
            except (FileNotFoundError, ProcessLookupError):
                return
            time.sleep(0.02)

    watcher = threading.Thread(target=watch)
    watcher.start()
    out, err = process.communicate()
    watcher.join()
    if process.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{err[-2000:]}")
    return out, peak / 1024


def train_command(a, name, *more):
    return [a.isogloss, "train", "-q", "-m", a.dir / "model", "--train", a.dir / "train.jsonl", "--method", "lora",
            "--lora-rank", str(a.rank), "--batch-tokens", str(a.tokens), "--max-steps", str(a.updates),
            "--warmup-steps", "0", "--lr-schedule", "constant", "--lr", "1e-4", "--log-every", "1", "--json",
            "--save-every", "1000000", "-o", a.dir / f"run-{name}", *ISOGLOSS[name], *more]


def told(a, name):
    command = [c for c in train_command(a, name, "--dry-run") if c != "--json"]
    out, _ = watched(command, a.threads)
    line = next(line for line in out.splitlines() if line.startswith("memory: "))
    return float(line.split()[1])


def run(a, name):
    """Tokens per second after the first update, peak memory in MiB, losses."""
    if name in ISOGLOSS:
        out, peak = watched(train_command(a, name, "--overwrite", "--force", "--dump-batches",
                                          a.dir / "batches.jsonl"), a.threads)
        rows = [r for r in map(json.loads, out.splitlines()) if r["type"] == "train_step"]
        seconds = [r["tokens"] / r["tok_per_s"] for r in rows]
    else:
        out, peak = watched([sys.executable, __file__, "--worker", name, "--dir", a.dir, "--rank", str(a.rank),
                             "--threads", str(a.threads)], a.threads)
        rows = [json.loads(line) for line in out.splitlines()]
        seconds = [r["seconds"] for r in rows]
    tokens = sum(r["tokens"] for r in rows[1:])
    return tokens / sum(seconds[1:]), peak, [r["loss"] for r in rows]


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--shape", choices=SHAPES, default="nllb-600m")
    ap.add_argument("--tokens", type=int, default=1024, help="of a batch, as `train --batch-tokens`")
    ap.add_argument("--updates", type=int, default=4, help="of a run; the first is not timed")
    ap.add_argument("--rounds", type=int, default=3)
    ap.add_argument("--rank", type=int, default=8)
    ap.add_argument("--systems", default="f32,f32-ckpt,bf16,bf16-ckpt,peft-f32,peft-bf16")
    ap.add_argument("--threads", type=int, default=os.cpu_count())
    ap.add_argument("--dir", type=Path, help="keeps the checkpoint there, and takes the one that is there")
    ap.add_argument("--isogloss", type=Path, help="a built binary; without it one is built")
    ap.add_argument("--json", type=Path, help="append the rows as JSON Lines")
    ap.add_argument("--worker", help=argparse.SUPPRESS)
    ap.add_argument("--make", type=Path, help=argparse.SUPPRESS)
    a = ap.parse_args()
    if a.make:
        return make(a.shape, a.dir, a.make)
    if a.worker:
        return peft_worker(a)
    names = a.systems.split(",")
    unknown = [n for n in names if n not in ISOGLOSS and n not in PEFT]
    if unknown or names[0] not in ISOGLOSS or a.updates < 2:
        ap.error(f"systems are {', '.join([*ISOGLOSS, *PEFT])}; one of isogloss comes first; two updates at least")
    if a.isogloss is None:
        a.isogloss = built.binary()
    with tempfile.TemporaryDirectory() as temporary:
        a.dir = a.dir or Path(temporary)
        a.dir.mkdir(parents=True, exist_ok=True)
        if not (a.dir / "train.jsonl").exists():
            write_text(a.dir / "train.jsonl", 600)
        if not (a.dir / "model" / "config.json").exists():
            write_checkpoint(a.isogloss, a.shape, a.dir, a.dir / "train.jsonl")
        compare(a, names)


def compare(a, names):
    plans = {n: told(a, n) for n in names if n in ISOGLOSS}
    speeds, peaks, losses = ({n: [] for n in names} for _ in range(3))
    for r in range(a.rounds):
        # The first writes the batches.
        for n in names if r % 2 == 0 else names[:1] + names[:0:-1]:
            speed, peak, loss = run(a, n)
            speeds[n].append(speed)
            peaks[n].append(peak)
            losses[n] = loss
            print(f"round {r + 1}: {n} {speed:.1f} tok/s, {peak:.0f} MiB", file=sys.stderr, flush=True)
    peers = [n for n in names if n in PEFT]
    print(f"LoRA of rank {a.rank} on {a.shape}, batches of {a.tokens} tokens, {a.threads} threads,"
          f" {a.rounds} rounds of {a.updates} updates, load {os.getloadavg()[0]:.1f}")
    print(f"{'system':14} {'told MiB':>9} {'peak MiB':>9} {'told/peak':>9} {'tok/s':>7}  {'first loss':>10}"
          + "".join(f"  x {p}" for p in peers))
    for n in names:
        plan, peak = plans.get(n), statistics.median(peaks[n])
        row = dict(type="finetune_memory", system=n, shape=a.shape, tokens=a.tokens, rank=a.rank, threads=a.threads,
                   peak_mib=peak, tok_per_s=statistics.median(speeds[n]), first_loss=losses[n][0])
        cells = [f"{n:14}", f"{plan:9.0f}" if plan else " " * 9, f"{peak:9.0f}",
                 f"{plan / peak:9.2f}" if plan else " " * 9, f"{row['tok_per_s']:7.1f}", f" {losses[n][0]:10.4f}"]
        if plan:
            row["told_mib"] = plan
        for p in peers if n in ISOGLOSS else []:
            ratio = statistics.median(m / o for m, o in zip(speeds[n], speeds[p]))
            row[f"speed_ratio_{p}"] = ratio
            cells.append(f" {ratio:{len(p) + 3}.2f}")
        print(" ".join(cells))
        if a.json:
            with open(a.json, "a") as f:
                f.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
