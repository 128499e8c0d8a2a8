#!/usr/bin/env python3
"""Loads a model directory of isogloss in transformers and in CTranslate2, unchanged, and compares
their translations with those of `isogloss translate`.

    python load_everywhere.py MODEL test.jsonl --isogloss target/release/isogloss --max-lines 100

The input holds records with `src_lang`, `tgt_lang` and `src`; --both-directions adds the reverse of
those that have a `tgt`. For each beam size every line is translated by all systems, greedily where
it is 1. A line that differs is printed with the gap between the two translations under one judge,
the model in transformers: for greedy search the difference in log probability of the two tokens
where they part, for beam search the difference of length-normalised scores. A gap near 0 is a tie
that rounding decides; a negative gap means that isogloss found the better translation.

Ends with 0 if every system loaded the directory as it is and the share of identical lines is at
least --min-share with transformers and, in greedy search, with CTranslate2; else with 1. (Beam search
of CTranslate2 ends earlier than that of transformers, so some lines differ between those two.)
"""
import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

# What a directory needs beside tokenizer.json for AutoTokenizer to find a class: without it the
# class follows from `model_type` and wants M2M-100's own SentencePiece file.
TOKENIZER_CONFIG = {
    "tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False,
    "bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>",
}


def first_line(error):
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"


def read_lines(a):
    """Records to translate, numbered; per direction at most --max-lines."""
    rows, taken = [], defaultdict(int)
    for path in a.inputs:
        with open(path, encoding="utf-8") as f:
            for line in f:
                r = json.loads(line)
                sides = [(r["src_lang"], r["tgt_lang"], r["src"])]
                if a.both_directions and r.get("tgt"):
                    sides.append((r["tgt_lang"], r["src_lang"], r["tgt"]))
                for src_lang, tgt_lang, src in sides:
                    if taken[src_lang, tgt_lang] < a.max_lines or not a.max_lines:
                        taken[src_lang, tgt_lang] += 1
                        rows.append(dict(id=str(len(rows)), src_lang=src_lang, tgt_lang=tgt_lang, src=src))
    return rows, taken


def spread_lines(path, count):
    """Records with both sides, numbered: at most so many, spread over the file and so over its directions."""
    names = ("src_lang", "tgt_lang", "src", "tgt")
    with open(path, encoding="utf-8") as f:
        rows = [{k: r[k] for k in names} for r in map(json.loads, f)]
    step = max(1, len(rows) // count)
    return [dict(r, id=str(i)) for i, r in enumerate(rows[::step][:count])]


class Model:
    """The directory in transformers, in f32: the peer, and the judge of differences."""

    def __init__(self, path, threads):
        import torch
        import transformers

        torch.set_num_threads(threads)
        transformers.utils.logging.disable_progress_bar()
        self.torch = torch
        self.tok = transformers.AutoTokenizer.from_pretrained(path)
        self.model = transformers.AutoModelForSeq2SeqLM.from_pretrained(path, dtype=torch.float32).eval()
        self.config = self.model.config
        self.vocab = self.tok.get_vocab()

    def mark(self, lang):
        for token in (f"__{lang}__", lang, f"<{lang}>", f"<2{lang}>"):
            if token in self.vocab:
                return token
        sys.exit(f"the tokenizer has no mark for `{lang}`")

    def pieces(self, text):
        return self.tok(text, add_special_tokens=False)["input_ids"]

    def source(self, row):
        return [self.vocab[self.mark(row["src_lang"])], *self.pieces(row["src"]), self.config.eos_token_id]

    def text(self, ids):
        return one_line(self.tok.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def pad(self, rows, value):
        width = max(map(len, rows))
        return self.torch.tensor([r + [value] * (width - len(r)) for r in rows])

    def translate(self, rows, beam, a):
        out = {}
        for group in batches(rows, self.source, a.batch_size):
            ids = [self.source(r) for r in group]
            with self.torch.inference_mode():
                y = self.model.generate(
                    input_ids=self.pad(ids, self.config.pad_token_id),
                    attention_mask=self.pad([[1] * len(i) for i in ids], 0), num_beams=beam, do_sample=False,
                    forced_bos_token_id=self.vocab[self.mark(group[0]["tgt_lang"])],
                    max_new_tokens=a.max_new_tokens, length_penalty=a.length_penalty, early_stopping=False)
            for r, ids in zip(group, y.tolist()):
                out[r["id"]] = self.text(ids)
        return out

    def log_probs(self, row, target):
        """log p of every next token [len(target), vocab], the target given (mark first)."""
        with self.torch.inference_mode():
            logits = self.model(input_ids=self.torch.tensor([self.source(row)]), use_cache=False,
                                decoder_input_ids=self.torch.tensor([[self.config.decoder_start_token_id, *target[:-1]]]))
            return self.torch.log_softmax(logits.logits[0], -1)

    def target(self, row, text, limit):
        """Ids of a translation cut anew from its text, which need not be the ids it was made of."""
        ids = [self.vocab[self.mark(row["tgt_lang"])], *self.pieces(text), self.config.eos_token_id]
        return ids[:limit]

    def score(self, row, ids, a):
        """Sum of log probabilities without the forced mark, over the length as `generate` counts it."""
        log_p = self.log_probs(row, ids)
        return sum(log_p[i, t].item() for i, t in enumerate(ids) if i > 0) / len(ids) ** a.length_penalty

    def gap(self, row, theirs, ours, beam, a):
        x, y = (self.target(row, t, a.max_new_tokens) for t in (theirs, ours))
        at = next((i for i, (p, q) in enumerate(zip(x, y)) if p != q), None)
        if at is None:  # equal but for what lies beyond the longest output: the model cannot judge
            return float("nan")
        if beam > 1:
            return self.score(row, x, a) - self.score(row, y, a)
        log_p = self.log_probs(row, x[: at + 1])[at]
        return (log_p[x[at]] - log_p[y[at]]).item()


def one_line(text):
    return " ".join(text.splitlines()) if "\n" in text or "\r" in text else text


def batches(rows, source, size):
    """Groups of one direction and similar length."""
    by_pair = defaultdict(list)
    for r in rows:
        by_pair[r["src_lang"], r["tgt_lang"]].append(r)
    for _, group in sorted(by_pair.items()):
        group = sorted(group, key=lambda r: len(source(r)))
        for i in range(0, len(group), size):
            yield group[i:i + size]


class Converted:
    """The directory converted by CTranslate2's own converter (what `ct2-transformers-converter` runs)."""

    def __init__(self, path, work, threads):
        import ctranslate2
        from ctranslate2.converters import TransformersConverter

        out = str(Path(work) / "ctranslate2")
        TransformersConverter(str(path)).convert(out, force=True)
        self.translator = ctranslate2.Translator(out, device="cpu", compute_type="float32", inter_threads=1,
                                                 intra_threads=threads)

    def translate(self, model, rows, beam, a):
        out = {}
        for group in batches(rows, model.source, a.batch_size):
            mark = model.mark(group[0]["tgt_lang"])
            result = self.translator.translate_batch(
                [model.tok.convert_ids_to_tokens(model.source(r)) for r in group],
                target_prefix=[[mark]] * len(group), beam_size=beam, length_penalty=a.length_penalty,
                max_decoding_length=a.max_new_tokens, max_input_length=0)
            for r, h in zip(group, result):
                out[r["id"]] = model.text(model.tok.convert_tokens_to_ids(h.hypotheses[0]))
        return out


def same_pieces(path, model, rows):
    """AutoTokenizer may rebuild parts of a tokenizer; it must cut as tokenizer.json itself does."""
    from tokenizers import Tokenizer

    raw = Tokenizer.from_file(str(path))
    other = [r for r in rows if raw.encode(r["src"], add_special_tokens=False).ids != model.pieces(r["src"])]
    print(f"AutoTokenizer cuts {len(rows) - len(other)} of {len(rows)} lines as tokenizer.json does")
    for r in other[:3]:
        print(f"  not: {r['src']}")
    return not other


def run_isogloss(rows, beam, a, work):
    path = Path(work) / "input.jsonl"
    path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), encoding="utf-8")
    command = [a.isogloss, "translate", "-m", a.model, "--beam-size", str(beam), "--max-new-tokens",
               str(a.max_new_tokens), "--threads", str(a.threads), *a.isogloss_arg, str(path)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, encoding="utf-8")
    if done.returncode:
        sys.exit(f"`{' '.join(command)}` ended with {done.returncode}")
    return done.stdout.split("\n")


def hypotheses(lines, rows, origin):
    """Text by id, from records or from lines in the order of the input."""
    if lines and not lines[-1]:
        lines = lines[:-1]
    if lines and lines[0].startswith("{"):
        found = [r for r in map(json.loads, lines) if r.get("type", "translation") == "translation"]
        order = [r.get("id", str(i)) for i, r in enumerate(found)]
        texts = [r["hyp"] for r in found]
    else:
        order, texts = [r["id"] for r in rows], lines
    if len(texts) != len(rows) or order != [r["id"] for r in rows]:
        sys.exit(f"{origin}: {len(texts)} translations for {len(rows)} lines, or in another order")
    return {i: one_line(t) for i, t in zip(order, texts)}


def compare(name, beam, rows, theirs, ours, model, a):
    """Prints the share of identical lines and each difference; returns the summary as a record."""
    differ = [r for r in rows if theirs[r["id"]] != ours[r["id"]]]
    share = 1 - len(differ) / len(rows)
    gaps = {r["id"]: model.gap(r, theirs[r["id"]], ours[r["id"]], beam, a) for r in differ}
    ties = sum(abs(g) <= a.tie for g in gaps.values())
    largest_first = sorted(differ, key=lambda r: -abs(gaps[r["id"]]) if gaps[r["id"]] == gaps[r["id"]] else -1e9)
    print(f"beam {beam}: {name} and isogloss agree on {len(rows) - len(differ)} of {len(rows)} lines ({share:.2%});"
          f" {ties} of the {len(differ)} others are ties within {a.tie:g}")
    for r in largest_first[: a.show]:
        gap = gaps[r["id"]]
        print(f"  {r['src_lang']}-{r['tgt_lang']} line {r['id']}, gap {f'{gap:+.6f}' if gap == gap else 'unknown'}"
              f"\n    {'src':12} {r['src']}\n    {name:12} {theirs[r['id']]}\n    {'isogloss':12} {ours[r['id']]}")
    if len(differ) > a.show:
        print(f"  and {len(differ) - a.show} more (--show)")
    return dict(type="interop", system=name, beam_size=beam, lines=len(rows), identical=len(rows) - len(differ),
                identical_frac=share, ties=ties, better_elsewhere=sum(g > a.tie for g in gaps.values()),
                better_here=sum(g < -a.tie for g in gaps.values()))


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("model", help="model directory")
    ap.add_argument("inputs", nargs="+", help="records, JSON lines")
    ap.add_argument("--isogloss", metavar="EXE", help="the binary")
    ap.add_argument("--isogloss-arg", action="append", default=[], help="passed to `isogloss translate`; repeatable")
    ap.add_argument("--hyp", action="append", default=[], metavar="BEAM=FILE",
                    help="compare with this output instead of running isogloss; repeatable")
    ap.add_argument("--beams", default="1,5")
    ap.add_argument("--max-new-tokens", type=int, default=60)
    ap.add_argument("--length-penalty", type=float, default=1.0)
    ap.add_argument("--max-lines", type=int, default=100, help="of each direction; 0: all")
    ap.add_argument("--both-directions", action="store_true")
    ap.add_argument("--batch-size", type=int, default=32)
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--systems", default="transformers,ctranslate2")
    ap.add_argument("--min-share", type=float, default=0.995, help="of identical lines")
    ap.add_argument("--tie", type=float, default=1e-4, help="gaps up to here are ties")
    ap.add_argument("--show", type=int, default=20, help="differences printed per system and beam")
    ap.add_argument("--json", metavar="FILE", help="append the summaries as JSON lines")
    a = ap.parse_args()
    given = dict(h.split("=", 1) for h in a.hyp)
    if not a.isogloss and not given:
        ap.error("give --isogloss EXE or --hyp BEAM=FILE")

    for path in [os.path.join(a.model, "config.json"), *a.inputs, *given.values()]:
        if not os.path.isfile(path):
            ap.error(f"no such file: {path}")

    work = tempfile.mkdtemp(prefix="isogloss-interop-")
    good = True
    try:
        path = Path(a.model)
        try:
            model = Model(path, a.threads)
            print("transformers loads the directory as it is:",
                  type(model.model).__name__, "and", type(model.tok).__name__)
        except Exception as e:  # the tool's purpose is to say what is missing, whatever it is
            good = False
            print("transformers does NOT load the directory as it is:", first_line(e))
            copy = Path(work) / "model"
            shutil.copytree(path, copy)
            (copy / "tokenizer_config.json").write_text(json.dumps(TOKENIZER_CONFIG))
            path, model = copy, Model(copy, a.threads)
            print("  it does with this tokenizer_config.json:", json.dumps(TOKENIZER_CONFIG))
        systems = {"transformers": lambda rows, beam: model.translate(rows, beam, a)}
        if "ctranslate2" in a.systems.split(","):
            try:
                converted = Converted(path, work, a.threads)
                print("CTranslate2's converter takes it")
                systems["ctranslate2"] = lambda rows, beam: converted.translate(model, rows, beam, a)
            except Exception as e:
                good = False
                print("CTranslate2's converter does NOT take it:", first_line(e))
        rows, taken = read_lines(a)
        good &= same_pieces(Path(a.model) / "tokenizer.json", model, rows)
        longest = model.config.max_position_embeddings
        left = [r for r in rows if r["src"].strip() and len(model.source(r)) <= longest]
        print(f"{len(rows)} lines in {len(taken)} directions; not compared: {len(rows) - len(left)} empty or"
              f" above {longest} tokens")
        for beam in map(int, a.beams.split(",")):
            if str(beam) in given:
                lines = Path(given[str(beam)]).read_text(encoding="utf-8").split("\n")
                ours = hypotheses(lines, rows, given[str(beam)])
            elif a.isogloss:
                ours = hypotheses(run_isogloss(rows, beam, a, work), rows, "isogloss translate")
            else:
                ap.error(f"no --hyp for beam {beam}, and no --isogloss")
            for name, translate in systems.items():
                if name not in a.systems.split(","):
                    continue
                summary = compare(name, beam, left, translate(left, beam), ours, model, a)
                if name == "transformers" or beam == 1:
                    good &= summary["identical_frac"] >= a.min_share
                if a.json:
                    with open(a.json, "a") as f:
                        f.write(json.dumps(summary) + "\n")
    finally:
        shutil.rmtree(work, ignore_errors=True)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
