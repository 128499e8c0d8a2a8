#!/usr/bin/env python3
"""Training step: isogloss against PyTorch, time and peak memory, side by side.

A step is forward, backward and Adam in f32 on sentences of 32 source and 32 target tokens, label
smoothing 0.1, dropout 0.1. Both systems run in processes of their own that answer one protocol
(isogloss: tests/bench/train_step.rs), so that each has its own peak memory:

    stdin  `A 2048 3`     shape, target tokens a step, steps
    stdout `seconds 0.81 0.80 0.82`
    stdin  `rss`
    stdout `peak_rss_mib 640.5`    (a second number, if any: the share of libraries alone)

One pair of processes serves one shape and batch. Rounds are interleaved and change who goes first;
a round counts with the median of its steps. Quote ratios, never seconds, and only from a machine
that does nothing else.

    python tests/bench/train_peers.py                    # builds the bench, all four cases
    python tests/bench/train_peers.py --shapes A --tokens 2048 --rounds 9 --json train.jsonl
"""
import argparse
import json
import os
import platform
import resource
import signal
import statistics
import subprocess
import sys
import time

import built
from serving import BOUND

LEN = 32
# name -> d_model, layers on each side, heads, ffn_dim, vocab_size
SHAPES = {"A": (256, 3, 4, 1024, 8000), "B": (512, 6, 8, 2048, 32000)}


def rss_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def torch_model(shape, attention):
    """A random model with dropout, ready to train."""
    import torch
    from transformers import M2M100Config, M2M100ForConditionalGeneration

    d_model, layers, heads, ffn, vocab = SHAPES[shape]
    torch.manual_seed(1)
    return M2M100ForConditionalGeneration(M2M100Config(
        vocab_size=vocab, d_model=d_model, encoder_layers=layers, decoder_layers=layers,
        encoder_attention_heads=heads, decoder_attention_heads=heads, encoder_ffn_dim=ffn,
        decoder_ffn_dim=ffn, max_position_embeddings=256, dropout=0.1, attention_dropout=0.1,
        activation_dropout=0.0, encoder_layerdrop=0.0, decoder_layerdrop=0.0, scale_embedding=True,
        activation_function="relu", attn_implementation=attention,
    )).train()


def compiled(model, wanted):
    import torch

    return torch.compile(model) if wanted else model


def torch_step(model, shape, tokens):
    """A closure that makes one optimizer step of what is trainable, on a fixed batch."""
    import torch

    vocab = SHAPES[shape][-1]
    # The single-pass Adam: the fastest PyTorch has on the CPU.
    trainable = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(trainable, lr=1e-4, betas=(0.9, 0.98), eps=1e-9, fused=True)
    criterion = torch.nn.CrossEntropyLoss(label_smoothing=0.1)
    src, decoder_input, labels = (torch.randint(4, vocab, (tokens // LEN, LEN)) for _ in range(3))
    mask = torch.ones_like(src)

    def step():
        logits = model(input_ids=src, attention_mask=mask, decoder_input_ids=decoder_input, use_cache=False).logits
        criterion(logits.view(-1, vocab), labels.view(-1)).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def torch_worker(threads, make_model):
    """PyTorch's side of the protocol; `make_model` takes the shape and what follows the steps."""
    import torch
    import transformers.models.m2m_100.modeling_m2m_100  # noqa: F401

    torch.set_num_threads(threads)
    idle = rss_mib()
    current, step = None, None
    for line in sys.stdin:
        words = line.split()
        if words == ["rss"]:
            print(f"peak_rss_mib {rss_mib():.1f} {idle:.1f}", flush=True)
            continue
        shape, tokens, steps, method = words[0], int(words[1]), int(words[2]), words[3:]
        if current != (shape, tokens, method):
            step = None
            current, step = (shape, tokens, method), torch_step(make_model(shape, *method), shape, tokens)
        seconds = []
        for _ in range(steps):
            start = time.perf_counter()
            step()
            seconds.append(time.perf_counter() - start)
        print("seconds", *(f"{s:.6f}" for s in seconds), flush=True)


class Worker:
    """A process that answers the protocol; `method` is what it is asked beside shape, tokens and steps."""

    def __init__(self, name, command, threads, method=""):
        n = str(threads)
        env = dict(os.environ, OMP_NUM_THREADS=n, MKL_NUM_THREADS=n, RAYON_NUM_THREADS=n,
                   ISOGLOSS_THREADS=n, TRANSFORMERS_VERBOSITY="error", **BOUND)
        self.name, self.method = name, method
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env=env, cwd=built.ROOT)

    def ask(self, line, key):
        # Threads that wait actively take nothing from the others: out of its turn a process is stopped.
        self.process.send_signal(signal.SIGCONT)
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        answer = self.process.stdout.readline().split()
        self.process.send_signal(signal.SIGSTOP)
        if not answer or answer[0] != key:
            sys.exit(f"{self.name}: expected `{key} ...` for `{line}`, got `{' '.join(answer)}`"
                     f" (exit status {self.process.poll()})")
        return [float(x) for x in answer[1:]]

    def steps(self, shape, tokens, n):
        seconds = self.ask(f"{shape} {tokens} {n} {self.method}".rstrip(), "seconds")
        if len(seconds) != n:
            sys.exit(f"{self.name}: {n} steps asked for, {len(seconds)} answered")
        return seconds

    def close(self):
        self.process.send_signal(signal.SIGCONT)
        self.process.stdin.close()
        self.process.wait()


def measure(kind, workers, shape, tokens, a):
    """A record for each worker, which ends then."""
    for w in workers:
        w.steps(shape, tokens, a.warmup)
    rounds = {w.name: [] for w in workers}
    for r in range(a.rounds):
        for w in workers if r % 2 == 0 else workers[::-1]:
            # A thread pool that still spins after its last step must not take from the next system.
            time.sleep(a.pause)
            rounds[w.name].append(statistics.median(w.steps(shape, tokens, a.steps)))
    rows = []
    for w in workers:
        seconds = statistics.median(rounds[w.name])
        peak, *idle = w.ask("rss", "peak_rss_mib")
        row = dict(type=kind, system=w.name, shape=shape, tokens=tokens, threads=a.threads, dtype="f32",
                   step_s=seconds, tok_per_s=tokens / seconds, peak_rss_mib=peak, rounds_s=rounds[w.name],
                   steps_per_round=a.steps)
        if idle:
            row["idle_rss_mib"] = idle[0]
        w.close()
        rows.append(row)
    return rows


def ratios(rows, mine, peer):
    """How much faster one system was than another, and its share of the other's memory."""
    by_name = {r["system"]: r for r in rows}
    if not {mine, peer} <= set(by_name):
        return {}
    mine, peer = by_name[mine], by_name[peer]
    # Ratios of the same round: what disturbed both cancels out.
    speed = [p / m for p, m in zip(peer["rounds_s"], mine["rounds_s"])]
    return dict(speed_ratio=statistics.median(speed), speed_ratio_min=min(speed), speed_ratio_max=max(speed),
                memory_ratio=mine["peak_rss_mib"] / peer["peak_rss_mib"])


def compare(shape, tokens, commands, a):
    workers = [Worker(name, command, a.threads) for name, command in commands.items()]
    rows = measure("train_bench", workers, shape, tokens, a)
    for row in rows:
        if row["system"] == "isogloss":
            row.update(ratios(rows, "isogloss", "torch"))
            row.update({f"compiled_{k}": v for k, v in ratios(rows, "isogloss", "compiled").items()})
    return rows


def machine():
    model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")),
                 platform.processor()) if os.path.exists("/proc/cpuinfo") else platform.processor()
    load = os.getloadavg()[0]
    return f"{model}, {os.cpu_count()} cores, load {load:.2f}", load


def quiet():
    """Says what runs here, and whether figures of it are worth anything."""
    text, load = machine()
    print(text)
    if load > 0.5:
        print("warning: something else runs on this machine; the ratios below are not to be quoted")


def common_options(ap, shapes, tokens, rounds):
    ap.add_argument("--shapes", default=shapes)
    ap.add_argument("--tokens", default=tokens, help="target tokens a step")
    ap.add_argument("--rounds", type=int, default=rounds)
    ap.add_argument("--steps", type=int, default=3, help="steps a round")
    ap.add_argument("--warmup", type=int, default=2, help="steps before the first round")
    ap.add_argument("--pause", type=float, default=0.3, help="seconds between two systems")
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--attention", default="sdpa", choices=["sdpa", "eager"], help="PyTorch's attention")
    ap.add_argument("--isogloss", metavar="EXE", help="built bench `train_step`; default: build it with cargo")
    ap.add_argument("--json", metavar="FILE", help="append the results as JSON lines")
    ap.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)


def torch_command(script, a):
    return [sys.executable, os.path.abspath(script), "--worker", "--threads", str(a.threads),
            "--attention", a.attention]


def isogloss_command(a):
    return [os.path.abspath(a.isogloss) if a.isogloss else built.bench("train_step")]


def append(path, row):
    if path:
        with open(path, "a") as f:
            f.write(json.dumps(row) + "\n")


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    common_options(ap, shapes="A,B", tokens="2048,4096", rounds=5)
    ap.add_argument("--systems", default="torch,isogloss", help="and `compiled`: PyTorch with torch.compile")
    ap.add_argument("--compiled", action="store_true", help=argparse.SUPPRESS)
    a = ap.parse_args()
    if a.worker:
        return torch_worker(a.threads, lambda shape: compiled(torch_model(shape, a.attention), a.compiled))
    commands = {}
    for system in a.systems.split(","):
        if system == "torch":
            commands[system] = torch_command(__file__, a)
        elif system == "compiled":
            commands[system] = [*torch_command(__file__, a), "--compiled"]
        elif system == "isogloss":
            commands[system] = isogloss_command(a)
        else:
            ap.error(f"unknown system `{system}`: torch, compiled or isogloss")
    quiet()
    print(f"{'shape':5} {'tokens':>6} {'system':9} {'step, s':>8} {'tok/s':>8} {'peak MiB':>9}   torch / isogloss: time (range), memory")
    for shape in a.shapes.split(","):
        for tokens in map(int, a.tokens.split(",")):
            for row in compare(shape, tokens, commands, a):
                tail = ""
                if "speed_ratio" in row:
                    tail = (f"   {row['speed_ratio']:.2f} ({row['speed_ratio_min']:.2f} to {row['speed_ratio_max']:.2f}),"
                            f" {1 / row['memory_ratio']:.2f}")
                if "compiled_speed_ratio" in row:
                    tail += (f"   compiled {row['compiled_speed_ratio']:.2f} ({row['compiled_speed_ratio_min']:.2f}"
                             f" to {row['compiled_speed_ratio_max']:.2f})")
                print(f"{shape:5} {tokens:6} {row['system']:9} {row['step_s']:8.3f} {row['tok_per_s']:8.0f}"
                      f" {row['peak_rss_mib']:9.0f}{tail}", flush=True)
                if "idle_rss_mib" in row:
                    print(f"{'':32} of these {row['idle_rss_mib']:.0f} MiB before the model is made")
                append(a.json, row)


if __name__ == "__main__":
    main()
