#!/usr/bin/env python3
"""Log probabilities of given translations, token by token: isogloss beside transformers.

    python log_probs.py MODEL test.jsonl --isogloss target/release/isogloss --max-lines 20 --both-directions

Scores the targets of the records with `isogloss translate --score-given --token-scores` and with the
model in transformers in f32, and prints the largest difference. Log probabilities are logits up to a
constant of each position, so that they agree exactly when all logits do. Ends with 1 above --limit.
"""
import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from load_everywhere import TOKENIZER_CONFIG, Model


def read(a):
    rows, taken = [], defaultdict(int)
    for path in a.inputs:
        with open(path, encoding="utf-8") as f:
            for r in map(json.loads, f):
                sides = [(r["src_lang"], r["tgt_lang"], r["src"], r["tgt"])]
                if a.both_directions:
                    sides.append((r["tgt_lang"], r["src_lang"], r["tgt"], r["src"]))
                for src_lang, tgt_lang, src, tgt in sides:
                    if taken[src_lang, tgt_lang] < a.max_lines:
                        taken[src_lang, tgt_lang] += 1
                        rows.append(dict(id=str(len(rows)), src_lang=src_lang, tgt_lang=tgt_lang, src=src, tgt=tgt))
    return rows, len(taken)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("model")
    ap.add_argument("inputs", nargs="+")
    ap.add_argument("--isogloss", required=True)
    ap.add_argument("--max-lines", type=int, default=20, help="of each direction")
    ap.add_argument("--both-directions", action="store_true")
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--limit", type=float, default=1e-4)
    a = ap.parse_args()
    rows, directions = read(a)
    with tempfile.TemporaryDirectory() as work:
        path = Path(work) / "in.jsonl"
        path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), encoding="utf-8")
        out = subprocess.run([a.isogloss, "translate", "-q", "-m", a.model, "--score-given", "--token-scores", str(path)],
                             stdout=subprocess.PIPE, check=True, text=True, encoding="utf-8").stdout
        directory = Path(a.model)
        if not (directory / "tokenizer_config.json").exists():
            directory = Path(work) / "model"
            shutil.copytree(a.model, directory)
            (directory / "tokenizer_config.json").write_text(json.dumps(TOKENIZER_CONFIG))
        model = Model(directory, a.threads)
    ours = [r for r in map(json.loads, out.splitlines()) if r.get("type", "translation") == "translation"]
    if [r["id"] for r in ours] != [r["id"] for r in rows]:
        sys.exit("records are missing or in another order")
    worst, tokens = (0.0, None), 0
    for row, r in zip(rows, ours):
        target = [model.vocab[model.mark(row["tgt_lang"])], *model.pieces(row["tgt"]), model.config.eos_token_id]
        if len(r["token_scores"]) != len(target):
            sys.exit(f"record {row['id']}: {len(r['token_scores'])} scores for {len(target)} tokens")
        log_p = model.log_probs(row, target)
        for i, (token, found) in enumerate(zip(target, r["token_scores"])):
            if i > 0:  # the mark is given to both
                tokens += 1
                worst = max(worst, (abs(log_p[i, token].item() - found), f"record {row['id']}, token {i}"))
    print(f"{tokens} tokens of {len(rows)} targets in {directions} directions: largest difference of a log probability"
          f" {worst[0]:.2e} ({worst[1]})")
    sys.exit(0 if worst[0] <= a.limit else 1)


if __name__ == "__main__":
    main()
