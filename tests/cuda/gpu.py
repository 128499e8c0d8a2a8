#!/usr/bin/env python3
"""Checks a finished binary on a machine with an NVIDIA GPU: parity, every method, speed, memory; one table.

    python3 tests/cuda/gpu.py target/cuda/isogloss [--minutes 9] [--quick]

Builds nothing. Makes its own text and models, trains each method with the same seed on the CPU and on the
GPU and compares the losses update by update (f32, no TF32; those of --dtype bf16 within 2 %), then measures
training in tokens a second on shapes A (d 256), B (d 512) and Transformer-big (d 1024). Exits with 1 when a check
fails. Whatever does not fit into --minutes is named as
left out. With --device cpu both sides run on the CPU: what the script does can then be tried without a GPU.
"""
import argparse
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time

# Updates of the comparison, and how far losses may be apart: sums are taken in another order.
UPDATES, TOLERANCE = 30, 2e-3
METHODS = {
    "full": [],
    "full, checkpoints": ["--gradient-checkpointing"],
    "full, dropout": ["--dropout", "0.1", "--attention-dropout", "0.1", "--activation-dropout", "0.1"],
    "masks": ["--masks", "masks.safetensors"],
    "lora": ["--method", "lora", "--lora-rank", "4"],
    "lora, bf16 base": ["--method", "lora", "--lora-rank", "4", "--dtype", "bf16"],
    "lora, learned": ["--method", "lora", "--lora-rank", "4", "--learn-placement", "layer"],
    "adapters": ["--method", "adapters"],
    "hyper-adapters": ["--method", "hyper-adapters"],
    "hyper-x": ["--method", "hyper-x"],
}
# d_model, layers a side, feed-forward, heads, vocabulary
SHAPES = {"A": (256, 3, 1024, 4, 8000), "B": (512, 6, 2048, 8, 32000), "big": (1024, 6, 4096, 16, 32000)}


class Failure(Exception):
    pass


def text(path, pairs, seed=1):
    """Made-up parallel text of three languages."""
    rng = random.Random(seed)
    words = ["".join(rng.choice("bdfgklmnprst") + rng.choice("aeiou") for _ in range(rng.randint(1, 3))) for _ in range(400)]
    with open(path, "w") as f:
        for i in range(pairs):
            src = [rng.choice(words) for _ in range(rng.randint(3, 18))]
            lang = ["bb", "cc"][i % 2]
            tgt = src[::-1] if lang == "bb" else [w + "s" for w in src]
            f.write(json.dumps({"src_lang": "aa", "tgt_lang": lang, "src": " ".join(src), "tgt": " ".join(tgt)}) + "\n")


class Bench:
    def __init__(self, a, folder):
        self.a, self.folder, self.rows, self.failed = a, folder, [], 0
        self.ends = time.monotonic() + 60 * a.minutes

    def isogloss(self, *args, check=True):
        done = subprocess.run([self.a.binary, "-q", *map(str, args)], cwd=self.folder, capture_output=True, text=True)
        if check and done.returncode != 0:
            raise Failure(f"{' '.join(map(str, args))}: {done.stderr.strip()}")
        return done

    def row(self, what, result, ok=True):
        self.failed += not ok
        print(f"{'ok' if ok else 'FAILED':7} {what:34} {result}", flush=True)

    def time_left(self, what, seconds):
        if time.monotonic() + seconds < self.ends:
            return True
        print(f"{'left out':7} {what:34} no time", flush=True)
        return False

    def losses(self, run):
        with open(self.folder / run / "log.jsonl") as f:
            records = [json.loads(line) for line in f]
        return [(r["loss"], r["grad_norm"]) for r in records if r["type"] == "train_step"]

    def train(self, run, device, updates, flags):
        self.isogloss("train", "-m", "model", "--train", "train.jsonl", "--batch-tokens", 512, "--warmup-steps", 5,
                      "--lr", 1e-3, "--max-steps", updates, "--save-every", 10**6, "--log-every", 1, "-o", run,
                      "--device", device, *flags)

    def device(self):
        done = self.isogloss("--version", "--verbose")
        self.row("version", done.stdout.split("\n")[0])
        # A device that no machine has: an error that says so, and no panic.
        done = self.isogloss("train", "-m", "model", "--train", "train.jsonl", "--max-steps", 1, "-o", "none",
                             "--device", "cuda:99", check=False)
        self.row("a device that is not there", done.stderr.strip().split("\n")[0],
                 done.returncode == 5 and "cuda:99" in done.stderr)

    def parity(self):
        for name, flags in METHODS.items():
            if not self.time_left(name, 30):
                continue
            slug = "".join(c if c.isalnum() else "-" for c in name)
            try:
                started = time.monotonic()
                self.train(f"{slug}-cpu", "cpu", UPDATES, flags)
                between = time.monotonic()
                self.train(f"{slug}-gpu", self.a.device, UPDATES, flags)
                ended = time.monotonic()
                cpu, gpu = self.losses(f"{slug}-cpu"), self.losses(f"{slug}-gpu")
                first = max(abs(g / c - 1) for g, c in zip(gpu[0], cpu[0]))
                worst = max(abs(g[0] / c[0] - 1) for g, c in zip(gpu, cpu))
                far = 2e-2 if "bf16" in flags else TOLERANCE
                ok = len(cpu) == len(gpu) == UPDATES and worst < far and first < far
                self.row(name, f"loss and norm of update 1 off by {first:.1e}, losses of {UPDATES} by {worst:.1e}"
                               f"  (cpu {between - started:.1f} s, {self.a.device} {ended - between:.1f} s)", ok)
            except Failure as e:
                self.row(name, str(e)[:200], False)

    def resume(self):
        """Stopped half-way and continued, on the same device and on the other one."""
        self.train("whole", self.a.device, 10, [])
        self.train("half", self.a.device, 5, [])
        self.train("half", self.a.device, 10, [])
        # Dropout and data go on where they were; sums on the device may be ordered anew.
        a, b = self.losses("whole"), self.losses("half")
        worst = max(abs(x[0] / y[0] - 1) for x, y in zip(a, b))
        self.row("continued", f"losses off by {worst:.1e}", len(a) == len(b) == 10 and worst < TOLERANCE)
        self.train("over", "cpu", 5, [])
        self.train("over", self.a.device, 10, [])
        self.row("begun on the CPU", f"{len(self.losses('over'))} updates", len(self.losses("over")) == 10)

    def memory(self, process):
        """Highest memory of the GPU that one process takes, in MiB; none without nvidia-smi."""
        most = None
        while process.poll() is None:
            try:
                said = subprocess.run(["nvidia-smi", "--query-compute-apps=pid,used_memory", "--format=csv,noheader,nounits"],
                                      capture_output=True, text=True).stdout
            except OSError:
                process.wait()
                return None
            own = [int(m) for p, m in (line.split(",") for line in said.splitlines() if "," in line)
                   if p.strip() == str(process.pid) and m.strip().isdigit()]
            if own:
                most = max(most or 0, *own)
            time.sleep(0.2)
        return most

    def speed(self):
        for shape, (d, layers, ffn, heads, vocab) in SHAPES.items():
            if not self.time_left(f"speed, {shape}", 120):
                continue
            try:
                self.isogloss("init", "-o", f"model-{shape}", "--d-model", d, "--encoder-layers", layers,
                              "--decoder-layers", layers, "--ffn-dim", ffn, "--heads", heads, "--vocab-size", 400, "--dropout", "0.1", "train.jsonl")
                run = f"speed-{shape}"
                updates = 20 if self.a.device == "cpu" else 60
                process = subprocess.Popen(
                    [str(self.a.binary), "-q", "train", "-m", f"model-{shape}", "--train", "train.jsonl", "--batch-tokens", "8192",
                     "--max-steps", str(updates), "--save-every", str(10**6), "--log-every", "10", "-o", run,
                     "--device", self.a.device], cwd=self.folder, stdout=subprocess.DEVNULL)
                most = self.memory(process)
                if process.wait() != 0:
                    raise Failure("training failed")
                with open(self.folder / run / "log.jsonl") as f:
                    rates = [r["tok_per_s"] for r in map(json.loads, f) if r["type"] == "train_step"]
                self.row(f"speed, {shape}", f"{max(rates):.0f} target tokens a second, "
                                            f"{'?' if most is None else most} MiB (vocabulary of 400)")
            except Failure as e:
                self.row(f"speed, {shape}", str(e)[:200], False)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("binary", type=lambda p: pathlib.Path(p).resolve())
    ap.add_argument("--device", default="cuda:0")
    ap.add_argument("--minutes", type=float, default=9)
    ap.add_argument("--quick", action="store_true", help="parity alone")
    a = ap.parse_args()
    with tempfile.TemporaryDirectory(prefix="gpu-") as folder:
        bench = Bench(a, pathlib.Path(folder))
        text(bench.folder / "train.jsonl", 3000)
        bench.isogloss("init", "-o", "model", "--preset", "tiny", "--vocab-size", 300, "train.jsonl")
        bench.isogloss("profile-neurons", "-m", "model", "-o", "stats.safetensors", "train.jsonl")
        bench.isogloss("build-masks", "--k", 90, "-o", "masks.safetensors", "stats.safetensors")
        bench.device()
        bench.parity()
        try:
            bench.resume()
        except Failure as e:
            bench.row("continued", str(e)[:200], False)
        if not a.quick:
            bench.speed()
    print(f"{bench.failed} failed")
    sys.exit(bench.failed > 0)


if __name__ == "__main__":
    main()
