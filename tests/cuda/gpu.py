#!/usr/bin/env python3
"""Checks a finished binary on a machine with an NVIDIA GPU: parity, every method, speed, memory; one table.

    python3 tests/cuda/gpu.py target/cuda/isogloss [--minutes 9] [--quick]

Builds nothing. Makes its own text and models, trains each method with the same seed on the CPU and on the
GPU and compares the losses update by update (f32, no TF32; those of --dtype bf16 within 2 %), translates with
what was trained on both (greedy, beam 5, given targets), counts neurons and tags on both, trains with two
processes where there are two GPUs, then measures training
and translation in tokens a second on shapes A (d 256), B (d 512) and Transformer-big (d 1024), beside PyTorch and
transformers in bf16 where python3 has them (eager and compiled), and what share of the chip's own matrix products
that is. Exits with 1 when a check fails. Whatever does not fit into --minutes is named as left out. With
--device cpu both sides run on the CPU: what the script does can then be tried without a GPU.

Libraries of the GPU that lie in Python packages are found there, if the loader knows none.
"""
import argparse
import glob
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time

# What a peer trains and translates, in the same sizes, run by a python3 of its own.
PEER = r"""
import json, sys, time, torch
from transformers import M2M100Config, M2M100ForConditionalGeneration
a = json.loads(sys.argv[1])
d, layers, ffn, heads, vocab = a["shape"]
device = a["device"]
torch.manual_seed(1)
config = M2M100Config(vocab_size=vocab, d_model=d, encoder_layers=layers, decoder_layers=layers, encoder_ffn_dim=ffn,
                      decoder_ffn_dim=ffn, encoder_attention_heads=heads, decoder_attention_heads=heads, dropout=0.1,
                      attention_dropout=0.0, activation_dropout=0.0, encoder_layerdrop=0.0, decoder_layerdrop=0.0,
                      max_position_embeddings=256, decoder_start_token_id=2)
model = M2M100ForConditionalGeneration(config).to(device)
sync = torch.cuda.synchronize if device.startswith("cuda") else lambda: None
def lines(n, length):
    return torch.randint(10, vocab, (n, length), device=device)
if a["what"] == "peak":
    x = torch.randn(8192, 8192, device=device, dtype=torch.bfloat16)
    for timed in (False, True):
        sync(); start = time.perf_counter()
        for _ in range(10): x @ x
        sync(); seconds = time.perf_counter() - start
    print(json.dumps({"flops": 10 * 2 * 8192**3 / seconds})); sys.exit()
if a["what"] == "train":
    model.train()
    run = torch.compile(model) if a["compiled"] else model
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=device.startswith("cuda"))
    n = a["tokens"] // a["length"]
    src, tgt = lines(n, a["length"]), lines(n, a["length"])
    def step():
        with torch.autocast(device.split(":")[0], dtype=torch.bfloat16):
            logits = run(input_ids=src, decoder_input_ids=tgt, use_cache=False).logits
        loss = torch.nn.functional.cross_entropy(logits.float().view(-1, vocab), tgt.view(-1), label_smoothing=0.1)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step(); optimizer.zero_grad(set_to_none=True)
    for _ in range(5): step()
    sync(); start = time.perf_counter()
    for _ in range(a["steps"]): step()
    sync(); seconds = time.perf_counter() - start
    most = torch.cuda.max_memory_allocated() >> 20 if device.startswith("cuda") else None
    print(json.dumps({"rate": a["steps"] * n * a["length"] / seconds, "mib": most}))
else:
    model = model.eval().to(torch.bfloat16 if a["bf16"] else torch.float32)
    src = lines(a["batch"], a["length"])
    def run():
        with torch.inference_mode():
            model.generate(src, num_beams=a["beam"], min_new_tokens=a["new"], max_new_tokens=a["new"])
    run(); sync(); start = time.perf_counter()
    run(); run(); sync()
    print(json.dumps({"rate": 2 * a["batch"] * a["new"] / (time.perf_counter() - start)}))
"""
# Updates of the comparison, and how far losses may be apart: sums are taken in another order.
TOLERANCE = 2e-3
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
# d_model, layers a side, feed-forward, heads
SHAPES = {"A": (256, 3, 1024, 4), "B": (512, 6, 2048, 8), "big": (1024, 6, 4096, 16)}
# The generated text has no more pieces; both sides of every comparison have this vocabulary.
VOCAB = 400


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
                self.train(f"{slug}-cpu", "cpu", self.a.updates, flags)
                between = time.monotonic()
                self.train(f"{slug}-gpu", self.a.device, self.a.updates, flags)
                ended = time.monotonic()
                cpu, gpu = self.losses(f"{slug}-cpu"), self.losses(f"{slug}-gpu")
                first = max(abs(g / c - 1) for g, c in zip(gpu[0], cpu[0]))
                worst = max(abs(g[0] / c[0] - 1) for g, c in zip(gpu, cpu))
                far = 2e-2 if "bf16" in flags else TOLERANCE
                ok = len(cpu) == len(gpu) == self.a.updates and worst < far and first < far
                self.row(name, f"loss and norm of update 1 off by {first:.1e}, losses of {self.a.updates} by {worst:.1e}"
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

    def ranks(self):
        """Two processes with a GPU each, beside one that runs both ranks; then one of them is killed."""
        name = "two processes"
        alone = self.isogloss("train", "-m", "model", "--train", "train.jsonl", "--max-steps", 1, "-o", "second", "--device",
                              "cuda:1", check=False)
        if alone.returncode != 0:
            print(f"{'left out':7} {name:34} one GPU", flush=True)
            return
        settings = ["train", "-m", "model", "--train", "train.jsonl", "--batch-tokens", "512", "--dropout", "0.1",
                    "--warmup-steps", "2", "--log-every", "1", "--save-every", "4", "--device", "cuda", "-o"]

        def start(run, updates):
            places = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(20000 + os.getpid() % 20000)}
            return [subprocess.Popen([str(self.a.binary), "-q", *settings, run, "--max-steps", str(updates)], cwd=self.folder,
                                     env={**os.environ, **places, "RANK": str(r), "LOCAL_RANK": str(r)},
                                     stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) for r in range(2)]
        self.isogloss(*settings, "in-turn", "--ranks", 2, "--max-steps", 8)
        ends = [p.communicate(timeout=300)[1] for p in start("together", 8)]
        a, b = self.losses("in-turn"), self.losses("together") if not any(ends) else ends
        self.row(name, "the losses of one that runs both, to the bit" if a == b else f"{a} and {b}", a == b)
        both = start("killed", 10**6)
        try:
            saved = self.folder / "killed" / "latest"
            until = time.monotonic() + 120
            while not saved.exists() and time.monotonic() < until:
                time.sleep(0.1)
            both[1].kill()
            both[1].wait()
            said = both[0].communicate(timeout=120)[1].strip().split("\n")[0]
            at = int(saved.read_text().rsplit("-", 1)[1])
        except (OSError, subprocess.TimeoutExpired) as e:
            raise Failure(f"one of two is killed: {e}")
        finally:
            for process in both:
                process.kill()
        done = self.isogloss(*settings, "killed", "--ranks", 2, "--max-steps", at + 2, check=False)
        self.row("one of two is killed", f"{said}; continued from update {at}",
                 both[0].returncode == 5 and said.startswith("error:") and done.returncode == 0)

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

    def translations(self, run, device, *flags):
        """Hypotheses with their scores."""
        done = self.isogloss("translate", "-m", "model", "--max-new-tokens", 24, "--token-scores", "--format", "jsonl",
                             "--device", device, *run, *flags, "lines.jsonl")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def translate(self):
        """What was trained translates as on the CPU."""
        with open(self.folder / "train.jsonl") as f, open(self.folder / "lines.jsonl", "w") as out:
            out.writelines(line for line, _ in zip(f, range(100)))
        cases = {"full": ["-m", "full-cpu"], "masks": ["-m", "masks-cpu"], "lora": ["--lora", "lora-cpu"],
                 "adapters": ["--adapters", "adapters-cpu"], "hyper-adapters": ["--adapters", "hyper-adapters-cpu"],
                 "hyper-x": ["-m", "hyper-x-cpu", "--adapters", "hyper-x-cpu"]}
        searches = {"greedy": ["--beam-size", 1], "beam 5": ["--beam-size", 5], "given": ["--score-given"],
                    "beam 5, bf16": ["--dtype", "bf16"]}
        for name, run in cases.items():
            if not (self.folder / run[1]).exists():
                print(f"{'left out':7} {'translate, ' + name:34} not trained", flush=True)
                continue
            for how, flags in searches.items():
                what = f"translate, {name}, {how}"
                if not self.time_left(what, 15):
                    continue
                try:
                    cpu = self.translations(run, "cpu", *flags)
                    gpu = self.translations(run, self.a.device, *flags)
                    pairs = [(c, g) for c, g in zip(cpu, gpu) if c["token_ids"] == g["token_ids"]]
                    off = max((abs(x - y) for c, g in pairs for x, y in zip(c["token_scores"], g["token_scores"])), default=0)
                    same = len(pairs) / len(cpu)
                    # Models of some updates have near ties, which the order of sums decides.
                    least, far = (0.8, 0.2) if "bf16" in how else (1.0 if how == "given" else 0.97, 2e-3)
                    self.row(what, f"{same:.0%} of {len(cpu)} the same, log probabilities off by {off:.1e}",
                             len(cpu) == len(gpu) == 100 and same >= least and off < far)
                except Failure as e:
                    self.row(what, str(e)[:200], False)

    def profile(self):
        """Neurons counted on both; a value next to the threshold may fall on either side."""
        counts = []
        for device in ("cpu", self.a.device):
            done = self.isogloss("profile-neurons", "-m", "model", "--json", "--per-neuron", "--device", device, "lines.jsonl")
            records = map(json.loads, done.stdout.splitlines())
            counts.append([r["active_count"] for r in records if "active_count" in r])
        off = sum(abs(x - y) for x, y in zip(*counts)) / max(1, sum(counts[0]))
        self.row("profile-neurons", f"{len(counts[0])} counts, off by {off:.1e} of all",
                 len(counts[0]) == len(counts[1]) > 0 and off < 1e-4)

    def tag(self):
        """Trained on the CPU, tagged on both."""
        rng = random.Random(2)
        with open(self.folder / "tags.jsonl", "w") as f:
            for i in range(400):
                tokens = [rng.choice("abcdefgh") * rng.randint(1, 4) for _ in range(rng.randint(2, 9))]
                tags = ["LONG" if len(t) > 2 else "SHORT" for t in tokens]
                f.write(json.dumps({"lang": ["aa", "bb"][i % 2], "tokens": tokens, "tags": tags}) + "\n")
        self.isogloss("train", "-m", "model", "--tag", "tags.jsonl", "--batch-tokens", 512, "--lr", 1e-3, "--max-steps",
                      30, "--save-every", 10**6, "-o", "tagger", "--device", "cpu")
        out = [self.isogloss("tag", "-m", "tagger", "--device", device, "tags.jsonl").stdout.splitlines()
               for device in ("cpu", self.a.device)]
        same = sum(x == y for x, y in zip(*out)) / max(1, len(out[0]))
        self.row("tag", f"{same:.1%} of {len(out[0])} the same", len(out[0]) == len(out[1]) == 400 and same > 0.99)

    def peer(self, what, shape, **more):
        """What PyTorch does of the same, or why it does not."""
        asked = {"what": what, "shape": shape, "device": self.a.device, **more}
        done = subprocess.run([sys.executable, "-c", PEER, json.dumps(asked)], capture_output=True, text=True)
        if done.returncode != 0:
            return None, (done.stderr.strip().splitlines() or ["no word"])[-1][:100]
        return json.loads(done.stdout.splitlines()[-1]), None

    def speed(self):
        quick = self.a.device == "cpu"
        peak, _ = self.peer("peak", (*SHAPES["A"], VOCAB)) if not quick else (None, None)
        for shape, sizes in SHAPES.items():
            d, layers, ffn, heads = sizes
            if not self.time_left(f"speed, {shape}", 120):
                continue
            try:
                self.isogloss("init", "-o", f"small-{shape}", "--d-model", d, "--encoder-layers", layers,
                              "--decoder-layers", layers, "--ffn-dim", ffn, "--heads", heads, "--vocab-size", VOCAB,
                              "--dropout", "0.1", "train.jsonl")
                updates = 10 if quick else 60
                rates = {}
                for dtype in ("f32", "bf16"):
                    run = f"speed-{shape}-{dtype}"
                    process = subprocess.Popen(
                        [str(self.a.binary), "-q", "train", "-m", f"small-{shape}", "--train", "train.jsonl",
                         "--batch-tokens", "8192", "--max-steps", str(updates), "--save-every", str(10**6), "--log-every",
                         "5", "-o", run, "--dtype", dtype, "--device", self.a.device],
                        cwd=self.folder, stdout=subprocess.DEVNULL)
                    most = self.memory(process)
                    if process.wait() != 0:
                        raise Failure("training failed")
                    with open(self.folder / run / "log.jsonl") as f:
                        rates[dtype] = max(r["tok_per_s"] for r in map(json.loads, f) if r["type"] == "train_step")
                    self.row(f"training, {shape}, {dtype}", f"{rates[dtype]:.0f} target tokens a second, "
                                                           f"{'?' if most is None else most} MiB (vocabulary of {VOCAB})")
                if peak:
                    # Two operations a weight and token, forward, and twice as many back; both sides of a pair.
                    weights = layers * (4 * d * d + 2 * d * ffn + 8 * d * d + 2 * d * ffn) + VOCAB * d
                    share = 6 * weights * rates["bf16"] / peak["flops"]
                    self.row(f"share of peak, {shape}", f"{share:.1%} of {peak['flops'] / 1e12:.0f} TFLOP/s")
                for compiled in (False, True):
                    name = f"  PyTorch, {'compiled' if compiled else 'eager'}, bf16"
                    if not self.time_left(name, 90):
                        continue
                    own, why = self.peer("train", (*sizes, VOCAB), tokens=8192, length=16, steps=updates,
                                         compiled=compiled)
                    self.row(name, why or f"{own['rate']:.0f} tokens a second, {own['mib']} MiB; "
                                          f"isogloss bf16 {rates['bf16'] / own['rate']:.2f} of it")
                self.translation_speed(shape, (*sizes, VOCAB))
            except Failure as e:
                self.row(f"speed, {shape}", str(e)[:200], False)

    def translation_speed(self, shape, sizes):
        new, counts = 24, (256, 1280)
        with open(self.folder / "train.jsonl") as f:
            text = f.readlines()
        for n in counts:
            with open(self.folder / f"many-{n}.jsonl", "w") as out:
                out.writelines(text[:n])
        for beam in (1, 5):
            name = f"translation, {shape}, beam {beam}"
            if not self.time_left(name, 60):
                continue
            for dtype in ("f32", "bf16"):
                # What more lines take more: without start, loading and warming up.
                seconds, length = [], 0
                for n in counts:
                    said = self.isogloss("translate", "-m", f"small-{shape}", "--beam-size", beam, "--min-new-tokens",
                                         new, "--max-new-tokens", new, "--batch-size", 128, "--summary", "--format",
                                         "jsonl", "--dtype", dtype, "--device", self.a.device, f"many-{n}.jsonl")
                    records = [json.loads(line) for line in said.stdout.splitlines()]
                    seconds.append(records[-1]["elapsed_s"])
                    length = sum(r["num_src_tokens"] for r in records[:-1]) / n
                rate = (counts[1] - counts[0]) * new / max(1e-9, seconds[1] - seconds[0])
                own, why = self.peer("translate", sizes, batch=128, length=round(length), new=new, beam=beam,
                                     bf16=dtype == "bf16")
                self.row(f"{name}, {dtype}", f"{rate:.0f} tokens a second, transformers "
                                             + (why or f"{own['rate']:.0f}: {rate / own['rate']:.2f} of it"))


def find_libraries():
    """Folders of the GPU's libraries in Python packages."""
    found = [d for path in sys.path for d in glob.glob(os.path.join(path, "nvidia", "*", "lib"))]
    known = os.environ.get("LD_LIBRARY_PATH", "")
    os.environ["LD_LIBRARY_PATH"] = ":".join(filter(None, [known, *found]))


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("binary", type=lambda p: pathlib.Path(p).resolve())
    ap.add_argument("--device", default="cuda:0")
    ap.add_argument("--minutes", type=float, default=9)
    ap.add_argument("--pairs", type=int, default=3000, help="of text (3000)")
    ap.add_argument("--updates", type=int, default=30, help="for each method (30)")
    ap.add_argument("--quick", action="store_true", help="parity alone")
    a = ap.parse_args()
    find_libraries()
    with tempfile.TemporaryDirectory(prefix="gpu-") as folder:
        bench = Bench(a, pathlib.Path(folder))
        text(bench.folder / "train.jsonl", a.pairs)
        bench.isogloss("init", "-o", "model", "--preset", "tiny", "--vocab-size", 300, "train.jsonl")
        bench.isogloss("profile-neurons", "-m", "model", "-o", "stats.safetensors", "train.jsonl")
        bench.isogloss("build-masks", "--k", 90, "-o", "masks.safetensors", "stats.safetensors")
        bench.device()
        bench.parity()
        bench.translate()
        for name, check in {"continued": bench.resume, "two processes": bench.ranks, "profile-neurons": bench.profile, "tag": bench.tag}.items():
            try:
                check()
            except Failure as e:
                bench.row(name, str(e)[:200], False)
        if not a.quick:
            bench.speed()
    print(f"{bench.failed} failed")
    sys.exit(bench.failed > 0)


if __name__ == "__main__":
    main()
