#!/usr/bin/env python3
"""LoRA directories exchanged with PEFT, in both directions.

    python peft_lora.py                                  # target/release/isogloss, or $ISOGLOSS
    python peft_lora.py --isogloss target/release/isogloss --text train.jsonl

Makes a tiny model with `isogloss init` in a folder of its own, reads adapters on both sides, and
compares the log probability of every token of the reference translations: `isogloss translate --lora
... --score-given --token-scores` beside PEFT around the model in transformers, both in f32. (Log
probabilities are logits up to a constant of each position, so that they agree exactly when all
logits do.)

    a  the checkpoint of a plain LoRA run is a PEFT directory: PEFT loads it
    b  an adapter that PEFT trained, one rank of which differs, in isogloss: unmerged and merged
    c  what `prune-lora --budget` leaves, with the ranks and alphas of single modules, in PEFT
    d  the one adapter that `prune-lora --direction` makes of language-specific ones, in PEFT

A check fails when a difference exceeds --limit, when the adapter changes no log probability by more
than --acts (an adapter that does nothing agrees with everything), when PEFT warns, when the tensors
PEFT made room for are not exactly those of the file, or when a key of a pattern names no module of it:
PEFT by itself passes over tensors and keys it has no place for. One line a check; ends with 1 when one failed.
"""
import argparse
import json
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
import warnings
from argparse import Namespace
from collections import Counter
from pathlib import Path

from load_everywhere import TOKENIZER_CONFIG, Model
from log_probs import read

ROOT = Path(__file__).resolve().parents[2]
STEPS = 30
LORA = ["--lora-rank", "4", "--lora-alpha", "8"]
TRAIN = ["--max-steps", str(STEPS), "--lr", "1e-2", "--warmup-steps", "5", "--batch-tokens", "512"]
# What PEFT trains: every linear layer by the end of its path, and one of them with more directions.
MODULES = ["q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"]
RANK_PATTERN = {"model.decoder.layers.1.fc1": 7}
PEFT_STEPS = 20
OUT, IN = ("isogloss", "PEFT"), ("PEFT", "isogloss")


class Failed(Exception):
    """A check that did not come out as it should; the reason."""


def need_peft():
    missing = []
    for name in ("torch", "transformers", "tokenizers", "safetensors", "peft"):
        try:
            __import__(name)
        except ImportError as e:
            missing.append(f"{name} ({e})")
    if missing:
        sys.exit("missing, and needed here: " + ", ".join(missing)
                 + "\n  pip install torch transformers tokenizers safetensors peft")


class Exchange:
    """The model both programs start from, the records they score, and what was made on the way."""

    def __init__(self, a, work):
        self.a, self.work = a, work
        # One row of each comparison: who made it, who read it, what, how many numbers, how far apart.
        self.table = []
        self.model = work / "model"
        if a.model:
            shutil.copytree(a.model, self.model)
        else:
            self.run("init", "-o", self.model, "--preset", "tiny", "--vocab-size", a.vocab_size, a.text)
        self.plain = self.model
        if not (self.model / "tokenizer_config.json").exists():
            self.plain = work / "with-tokenizer"
            shutil.copytree(self.model, self.plain)
            (self.plain / "tokenizer_config.json").write_text(json.dumps(TOKENIZER_CONFIG))
        self.rows, _ = read(Namespace(inputs=[a.text], max_lines=a.max_lines, both_directions=True))
        self.directions = sorted({(r["src_lang"], r["tgt_lang"]) for r in self.rows})
        self.base = self.theirs()
        worst, n, where = difference(self.ours(), self.base)
        if worst > a.limit:
            sys.exit(f"the model without adapter already differs by {worst:.2e} ({where})")
        print(f"no adapter: {n} log probabilities of {len(self.rows)} references in {len(self.directions)}"
              f" directions within {worst:.1e}", flush=True)

    def run(self, *command):
        done = subprocess.run([self.a.isogloss, *map(str, command), "-q", "--threads", str(self.a.threads),
                               "--device", "cpu"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              encoding="utf-8")
        if done.returncode:
            raise Failed(f"`isogloss {' '.join(map(str, command))}` ended with {done.returncode}\n"
                         + "\n".join("    " + line for line in done.stderr.splitlines()[-12:]))
        return done.stdout

    def ours(self, *flags, rows=None, model=None):
        """Scores of `isogloss translate`: by record a list, the forced mark left out."""
        rows = self.rows if rows is None else rows
        path = self.work / "in.jsonl"
        path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), encoding="utf-8")
        out = self.run("translate", "-m", model or self.model, *flags, "--score-given", "--token-scores", path)
        found = [r for r in map(json.loads, out.splitlines()) if r.get("type", "translation") == "translation"]
        if [r["id"] for r in found] != [r["id"] for r in rows]:
            raise Failed("isogloss translate: records are missing or in another order")
        return {r["id"]: r["token_scores"][1:] for r in found}

    def peft(self, directory):
        """PEFT's model, after a look at what it took of the file."""
        import peft
        from safetensors import safe_open

        for name in ("adapter_config.json", "adapter_model.safetensors"):
            if not (directory / name).is_file():
                raise Failed(f"no {name} in {self.name(directory)}: not a PEFT directory")
        model = Model(self.plain, self.a.threads)
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            model.model = peft.PeftModel.from_pretrained(model.model, directory).eval()
        said = [str(w.message) for w in seen if issubclass(w.category, UserWarning)]
        if said:
            raise Failed(f"PEFT warns about {self.name(directory)}: {said[0]}")
        room = {n: list(t.shape) for n, t in
                peft.get_peft_model_state_dict(model.model, save_embedding_layers=False).items()}
        with safe_open(directory / "adapter_model.safetensors", "pt") as f:
            file = {n: f.get_slice(n).get_shape() for n in f.keys()}
        if room != file:
            other = sorted(n for n in room.keys() | file.keys() if room.get(n) != file.get(n))
            raise Failed(f"{len(other)} tensors of {self.name(directory)} are not those of PEFT, first {other[0]}:"
                         f" {file.get(other[0])} in the file, {room.get(other[0])} in PEFT")
        # PEFT says nothing of a key that hits no module. Here they are full paths.
        paths = {n.removeprefix("base_model.model.").rpartition(".lora_")[0] for n in file}
        config = json.loads((directory / "adapter_config.json").read_text())
        for pattern in ("rank_pattern", "alpha_pattern"):
            strays = sorted(config.get(pattern, {}).keys() - paths)
            if strays:
                raise Failed(f"{pattern} of {self.name(directory)}: `{strays[0]}` is no module of the file")
        return model

    def theirs(self, model=None, rows=None):
        """The same from transformers, with PEFT around it or not."""
        model = model or Model(self.plain, self.a.threads)
        out = {}
        for row in self.rows if rows is None else rows:
            target = self.target(model, row)
            log_p = model.log_probs(row, target)
            out[row["id"]] = [log_p[i, t].item() for i, t in enumerate(target) if i > 0]
        return out

    @staticmethod
    def target(model, row):
        return [model.vocab[model.mark(row["tgt_lang"])], *model.pieces(row["tgt"]), model.config.eos_token_id]

    def name(self, path):
        return os.path.relpath(path, self.work)

    def agree(self, what, ours, theirs, pair):
        """One line; the adapter must act and both programs must agree about it. `pair` is who made it
        and who read it, for the table."""
        worst, n, where = difference(ours, theirs)
        effect, _, _ = difference(theirs, {i: self.base[i] for i in theirs})
        line = (f"{what}: {n} log probabilities within {worst:.1e}{f' ({where})' if worst > self.a.limit else ''};"
                f" the adapter changes them by up to {effect:.2g}")
        if not worst <= self.a.limit:
            raise Failed(line)
        if not effect > self.a.acts:
            raise Failed(line + ": it does not act")
        self.table.append((*pair, re.sub("^[a-d]  ", "", what), n, worst))
        print("ok    " + line, flush=True)

    def trained(self, name, index):
        """A finished LoRA run."""
        run = self.work / name
        if not run.exists():
            self.run("train", "-m", self.model, "--method", "lora", "--lora-index", index, *LORA,
                     "--train", self.a.text, *TRAIN, "-o", run)
        return run

    # The checks.

    def a_run(self):
        run = self.trained("run", "shared")
        directory = run / "checkpoints" / f"step-{STEPS:08}"
        theirs = self.theirs(self.peft(directory))
        for path in (run, directory):
            self.agree(f"a  {self.name(directory)} in PEFT, --lora {self.name(path)} here",
                       self.ours("--lora", path), theirs, OUT)

    def b_peft(self):
        directory = self.work / "peft"
        self.train_peft(directory)
        theirs = self.theirs(self.peft(directory))
        for flags in ([], ["--merge-lora"]):
            self.agree(" ".join([f"b  trained by PEFT, --lora {self.name(directory)}", *flags, "here"]),
                       self.ours("--lora", directory, *flags), theirs, IN)

    def c_pruned(self):
        run, small = self.trained("run", "shared"), self.work / "small"
        self.run("prune-lora", "-m", self.model, run, "--budget", self.a.budget, "-o", small)
        theirs = self.theirs(self.peft(small))
        config = json.loads((small / "adapter_config.json").read_text())
        ranks = ranks_of(small)
        if not (config.get("rank_pattern") and config.get("alpha_pattern")):
            raise Failed("c  small/adapter_config.json: rank_pattern or alpha_pattern is empty or missing; ranks in"
                         f" the file: {ranks}; perhaps another --budget")
        self.agree(f"c  pruned to {self.a.budget} ({ranks}; rank_pattern of {len(config['rank_pattern'])},"
                   f" alpha_pattern of {len(config['alpha_pattern'])}) in PEFT, --lora small here",
                   self.ours("--lora", small), theirs, OUT)

    def d_direction(self):
        run, one = self.trained("specific", "source/target"), self.work / "one"
        first = (self.rows[0]["src_lang"], self.rows[0]["tgt_lang"])
        direction = "-".join(first)
        self.run("prune-lora", "-m", self.model, run, "--direction", direction, "-o", one)
        mine, others = [], []
        for r in self.rows:
            (mine if (r["src_lang"], r["tgt_lang"]) == first else others).append(r)
        model = self.peft(one)
        theirs = self.theirs(model, mine)
        for path in (run, one):
            self.agree(f"d  composed for {direction}, in PEFT, --lora {self.name(path)} here",
                       self.ours("--lora", path, rows=mine), theirs, OUT)
        # One adapter for all directions would have passed until here.
        apart, n, _ = difference(self.ours("--lora", run, rows=others), self.theirs(model, others))
        line = f"d  the other directions have other parts: {n} log probabilities differ by up to {apart:.2g}"
        if not apart > self.a.acts:
            raise Failed(line)
        print("ok    " + line, flush=True)

    def train_peft(self, directory):
        """A few steps as PEFT's users make them: AdamW, one batch of all directions."""
        import peft
        import torch

        torch.manual_seed(1)
        model = Model(self.plain, self.a.threads)
        config = peft.LoraConfig(task_type=peft.TaskType.SEQ_2_SEQ_LM, r=4, lora_alpha=8, lora_dropout=0.0,
                                 target_modules=MODULES, rank_pattern=RANK_PATTERN)
        lora = peft.get_peft_model(model.model, config).eval()
        sources = [model.source(r) for r in self.rows]
        targets = [self.target(model, r) for r in self.rows]
        batch = dict(
            input_ids=model.pad(sources, model.config.pad_token_id),
            attention_mask=model.pad([[1] * len(s) for s in sources], 0),
            decoder_input_ids=model.pad([[model.config.decoder_start_token_id, *t[:-1]] for t in targets],
                                        model.config.pad_token_id))
        labels = model.pad(targets, -100)
        optimizer = torch.optim.AdamW([p for p in lora.parameters() if p.requires_grad], lr=1e-2)
        for _ in range(PEFT_STEPS):
            logits = lora(**batch, use_cache=False).logits
            torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten()).backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        lora.save_pretrained(directory)


def ranks_of(directory):
    """`2 of rank 1, 3 of rank 4` of a PEFT directory."""
    from safetensors import safe_open

    with safe_open(directory / "adapter_model.safetensors", "pt") as f:
        count = Counter(f.get_slice(n).get_shape()[0] for n in f.keys() if n.endswith(".lora_A.weight"))
    return ", ".join(f"{n} of rank {r}" for r, n in sorted(count.items()))


def difference(a, b):
    """The largest difference of two sets of scores, their number, and where it is."""
    worst, n, where = 0.0, 0, "nowhere"
    for i in b:
        if len(a[i]) != len(b[i]):
            raise Failed(f"record {i}: {len(a[i])} scores beside {len(b[i])}")
        for k, (x, y) in enumerate(zip(a[i], b[i]), 1):
            n += 1
            if not math.isfinite(x - y):
                raise Failed(f"record {i}, token {k}: {x} beside {y}")
            if abs(x - y) > worst:
                worst, where = abs(x - y), f"record {i}, token {k}"
    return worst, n, where


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--isogloss", metavar="EXE", default=os.environ.get("ISOGLOSS", ROOT / "target/release/isogloss"))
    ap.add_argument("--text", metavar="FILE", default=ROOT / "tests/data/tokenizer/corpus.jsonl",
                    help="records to train on and to score; default: a few sentences of the tests")
    ap.add_argument("--model", metavar="DIR", help="begin from this model; default: one made by `init`")
    ap.add_argument("--vocab-size", default="300")
    ap.add_argument("--max-lines", type=int, default=20, help="scored of each direction")
    ap.add_argument("--budget", default="2%", help="of `prune-lora`")
    ap.add_argument("--checks", default="abcd")
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--limit", type=float, default=1e-4)
    ap.add_argument("--acts", type=float, default=0.05)
    ap.add_argument("--keep", metavar="DIR", help="work in this new folder and leave it there")
    a = ap.parse_args()
    need_peft()
    for path in (a.isogloss, a.text):
        if not Path(path).is_file():
            ap.error(f"no such file: {path}")
    if not re.fullmatch("[abcd]+", a.checks):
        ap.error("--checks: some of the letters a, b, c, d")
    a.isogloss, a.text = os.path.abspath(a.isogloss), os.path.abspath(a.text)
    if a.keep:
        os.mkdir(a.keep)
    work = a.keep or tempfile.mkdtemp(prefix="isogloss-peft-")
    failed = False
    warnings.filterwarnings("ignore", category=FutureWarning)
    try:
        try:
            exchange = Exchange(a, Path(work).resolve())
        except Failed as e:
            sys.exit(f"FAILED  the model without adapter: {e}")
        checks = dict(a=exchange.a_run, b=exchange.b_peft, c=exchange.c_pruned, d=exchange.d_direction)
        for letter in sorted(set(a.checks)):
            try:
                checks[letter]()
            except Exception as e:  # one that fails for whatever reason says so, and the others still run
                failed = True
                reason = str(e) if isinstance(e, Failed) else f"{type(e).__name__}: {e}"
                print("FAILED  " + (reason if reason.startswith(f"{letter}  ") else f"{letter}  {reason}"), flush=True)
    finally:
        if not a.keep:
            shutil.rmtree(work, ignore_errors=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
