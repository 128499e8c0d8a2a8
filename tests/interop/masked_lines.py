#!/usr/bin/env python3
"""Masked translation beside its definition: the plain model with rows of `fc1.weight` set to zero.

    python masked_lines.py MODEL test.jsonl --isogloss target/release/isogloss --direction en-de --max-lines 1000

MODEL was trained with masks and carries them (or `--masks FILE`). Writes, with numpy, a copy of the
model whose rows outside the direction's mask are zero, and translates the lines three ways: masked
(`translate`, compacted layers), with the copy (dense), and with the model that `export` writes. Prints
how many translations are identical and the largest difference of the log probability of a given token
(`--score-given` on the references). Ends with 1 when a translation differs or a difference exceeds
--limit. With --transformers N the first N lines are also translated by transformers with the copy.
"""
import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file


def best_checkpoint(path):
    pointer = path / "best"
    return path / "checkpoints" / pointer.read_text().split()[0] if pointer.exists() else path


def zeroed_copy(model, masks, direction, to):
    shutil.copytree(model, to, ignore=shutil.ignore_patterns("*.safetensors", "state.json"))
    with safe_open(masks, "np") as f:
        rows = {n[len(direction) + 1:-len(".mask")]: f.get_tensor(n).astype(bool)
                for n in f.keys() if n.startswith(direction + ".")}
    if not rows:
        sys.exit(f"no mask for {direction} in {masks}")
    with safe_open(model / "model.safetensors", "np") as f:
        metadata = {"format": "pt"}
        tensors = {n: f.get_tensor(n) for n in f.keys()}
    for module, keep in rows.items():
        tensors[f"model.{module}.weight"] = tensors[f"model.{module}.weight"] * keep[:, None].astype(np.float32)
    save_file(tensors, to / "model.safetensors", metadata)
    return sum(k.sum() for k in rows.values()) / sum(k.size for k in rows.values())


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("model", type=Path)
    ap.add_argument("inputs", nargs="+")
    ap.add_argument("--isogloss", required=True)
    ap.add_argument("--masks", type=Path)
    ap.add_argument("--direction", required=True, action="append")
    ap.add_argument("--max-lines", type=int, default=1000)
    ap.add_argument("--beam-size", default="5")
    ap.add_argument("--limit", type=float, default=1e-5, help="relative to the larger of 1 and the value")
    ap.add_argument("--transformers", type=int, default=0, metavar="N")
    a = ap.parse_args()
    model = best_checkpoint(a.model)
    masks = a.masks or model / "neuron_masks.safetensors"
    failed = False
    for direction in a.direction:
        src_lang, tgt_lang = direction.split("-")
        rows = []
        for path in a.inputs:
            with open(path, encoding="utf-8") as f:
                for r in map(json.loads, f):
                    sides = {r["src_lang"]: r["src"], r["tgt_lang"]: r["tgt"]}
                    if set(sides) == {src_lang, tgt_lang} and len(rows) < a.max_lines:
                        rows.append(dict(id=str(len(rows)), src_lang=src_lang, tgt_lang=tgt_lang,
                                         src=sides[src_lang], tgt=sides[tgt_lang]))
        with tempfile.TemporaryDirectory() as work:
            work = Path(work)
            source = work / "in.jsonl"
            source.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), encoding="utf-8")
            density = zeroed_copy(model, masks, direction, work / "zeroed")
            subprocess.run([a.isogloss, "export", "-q", "-m", model, "--masks", masks, "--direction", direction,
                            "-o", work / "export"], check=True, stdout=subprocess.DEVNULL)
            ways = {"masked": (model, ["--masks", masks]), "dense": (work / "zeroed", []),
                    "export": (work / "export", [])}

            def run(way, *flags):
                directory, more = ways[way]
                out = subprocess.run([a.isogloss, "translate", "-q", "-m", directory, *more, *flags, source],
                                     stdout=subprocess.PIPE, check=True, text=True, encoding="utf-8").stdout
                return [json.loads(line) for line in out.splitlines()]

            search = {w: [r["hyp"] for r in run(w, "--beam-size", a.beam_size, "--max-new-tokens", "100")] for w in ways}
            given = {w: [r["token_scores"] for r in run(w, "--score-given", "--token-scores")] for w in ways}
            print(f"{direction}: {len(rows)} lines, density {density:.3f}")
            for way in ("masked", "export"):
                same = sum(x == y for x, y in zip(search[way], search["dense"]))
                worst = max(abs(x - y) / max(1.0, abs(y)) for xs, ys in zip(given[way], given["dense"])
                            for x, y in zip(xs, ys))
                tokens = sum(map(len, given[way]))
                failed |= same < len(rows) or worst > a.limit
                print(f"  {way:7} beside dense: {same} of {len(rows)} translations identical, "
                      f"log probabilities of {tokens} tokens within {worst:.1e}")
            if a.transformers:
                from load_everywhere import Model
                reference = Model(work / "zeroed", 2)
                options = argparse.Namespace(batch_size=16, max_new_tokens=100, length_penalty=1.0)
                theirs = reference.translate(rows[:a.transformers], int(a.beam_size), options)
                same = sum(theirs[r["id"]] == " ".join(hyp.split("\n")) for r, hyp in zip(rows, search["masked"])
                           if r["id"] in theirs)
                print(f"  masked beside transformers: {same} of {min(a.transformers, len(rows))} translations identical")
    sys.exit(failed)


if __name__ == "__main__":
    main()
