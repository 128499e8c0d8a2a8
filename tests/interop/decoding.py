#!/usr/bin/env python3
"""Do the options of `isogloss translate` find what those of `generate` and CTranslate2 find?

    python decoding.py MODEL test.jsonl --isogloss target/release/isogloss

Translates the same lines under many settings and compares token ids. A line whose two translations differ
is a tie when the model in transformers, in f32, gives them scores (sums of log probabilities over length
to the penalty) within --tie; else it is `better` or `worse` here. One line each setting. Ends with 1 when
lines without a tie differ from `generate`. CTranslate2 is there for orientation: its beam search ends by
another rule (it does not wait for hypotheses that could still win), counts lengths without the end mark,
and its options for repetition see other tokens.
"""
import argparse
import json
import sys
import tempfile
from pathlib import Path

from layouts import isogloss
from load_everywhere import Model, batches, spread_lines

# Name; flags here; arguments of `generate`; arguments of CTranslate2, where it has the setting.
SETTINGS = [
    ("greedy", "--beam-size 1", dict(num_beams=1), dict(beam_size=1)),
    ("greedy, no bigram twice", "--beam-size 1 --no-repeat-ngram-size 2", dict(num_beams=1, no_repeat_ngram_size=2),
     dict(beam_size=1, no_repeat_ngram_size=2)),
    ("greedy, suppressed tokens", "--beam-size 1 SUPPRESS", dict(num_beams=1, suppress_tokens=True), dict(beam_size=1, suppress=True)),
    ("greedy, prefix", "--beam-size 1 --prefix-field begin", dict(num_beams=1, prefix=True), dict(beam_size=1, prefix=True)),
    ("beam 4", "--beam-size 4", dict(num_beams=4), dict(beam_size=4)),
    ("beam 4, penalty 0", "--beam-size 4 --length-penalty 0", dict(num_beams=4, length_penalty=0.0),
     dict(beam_size=4, length_penalty=0)),
    ("beam 4, penalty 0.6", "--beam-size 4 --length-penalty 0.6", dict(num_beams=4, length_penalty=0.6),
     dict(beam_size=4, length_penalty=0.6)),
    ("beam 4, penalty 2", "--beam-size 4 --length-penalty 2", dict(num_beams=4, length_penalty=2.0),
     dict(beam_size=4, length_penalty=2)),
    ("beam 4, stops early", "--beam-size 4 --early-stopping true", dict(num_beams=4, early_stopping=True), None),
    ("beam 4, never stops early", "--beam-size 4 --early-stopping never", dict(num_beams=4, early_stopping="never"), None),
    ("beam 4, no trigram twice", "--beam-size 4 --no-repeat-ngram-size 3", dict(num_beams=4, no_repeat_ngram_size=3),
     dict(beam_size=4, no_repeat_ngram_size=3)),
    ("beam 4, suppressed tokens", "--beam-size 4 SUPPRESS", dict(num_beams=4, suppress_tokens=True),
     dict(beam_size=4, suppress=True)),
    ("beam 4, prefix", "--beam-size 4 --prefix-field begin", dict(num_beams=4, prefix=True), dict(beam_size=4, prefix=True)),
    ("beam 12", "--beam-size 12", dict(num_beams=12), dict(beam_size=12)),
    ("beam 5, at most 10 tokens", "--beam-size 5 --max-new-tokens 10", dict(num_beams=5, max_new_tokens=10),
     dict(beam_size=5, max_decoding_length=10)),
]


def generated(model, rows, options, suppress, a):
    options = dict(dict(length_penalty=1.0, early_stopping=False, max_new_tokens=a.max_new_tokens), **options)
    if options.pop("suppress_tokens", False):
        options["suppress_tokens"] = suppress
    forced = options.pop("prefix", False)
    out, eos = {}, model.config.eos_token_id
    # Only lines with prefixes of one length share a batch.
    size = 1 if forced else a.batch_size
    for group in batches(rows, model.source, size):
        ids = [model.source(r) for r in group]
        mark = model.vocab[model.mark(group[0]["tgt_lang"])]
        more = dict(forced_bos_token_id=mark)
        limit = options["max_new_tokens"]
        if forced:
            begin = [model.config.decoder_start_token_id, mark, *model.pieces(group[0]["begin"])]
            more = dict(decoder_input_ids=model.torch.tensor([begin]))
            # Its words are not new to `generate`, and are here.
            more["max_new_tokens"] = limit - len(begin) + 1
        with model.torch.inference_mode():
            y = model.model.generate(
                input_ids=model.pad(ids, model.config.pad_token_id),
                attention_mask=model.pad([[1] * len(x) for x in ids], 0), do_sample=False, **{**options, **more})
        for r, seq in zip(group, y.tolist()):
            seq = seq[1:]
            out[r["id"]] = seq[:seq.index(eos) + 1] if eos in seq else seq[:limit]
    return out


def converted(reader, model, rows, options, suppress, a):
    words = model.tok.convert_ids_to_tokens
    options = dict(dict(length_penalty=1, max_decoding_length=a.max_new_tokens), **options)
    if options.pop("suppress", False):
        options["suppress_sequences"] = [words([t]) for t in suppress]
    forced = options.pop("prefix", False)
    out = {}
    for group in batches(rows, model.source, a.batch_size):
        begin = [[model.mark(r["tgt_lang"]), *(words(model.pieces(r["begin"])) if forced else [])] for r in group]
        found = reader.translate_batch([words(model.source(r)) for r in group], target_prefix=begin, max_input_length=0,
                                       return_end_token=True, **options)
        for r, h in zip(group, found):
            out[r["id"]] = model.tok.convert_tokens_to_ids(h.hypotheses[0])
    return out


def compare(rows, theirs, ours, model, penalty, tie):
    """Lines that are the same, ties, better and worse here."""
    count = [0, 0, 0, 0]
    for row in rows:
        x, y = theirs[row["id"]], ours[row["id"]]
        if x == y:
            count[0] += 1
            continue
        score = lambda ids: (sum(model.log_probs(row, ids)[i, t].item() for i, t in enumerate(ids) if i)
                             / len(ids) ** penalty)
        gap = score(x) - score(y)
        count[1 if abs(gap) <= tie else 2 if gap < 0 else 3] += 1
    return count


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("model", help="a model directory with tokenizer.json and tokenizer_config.json")
    ap.add_argument("input", help="records, JSON lines")
    ap.add_argument("--isogloss", required=True, metavar="EXE")
    ap.add_argument("--lines", type=int, default=200)
    ap.add_argument("--max-new-tokens", type=int, default=48)
    ap.add_argument("--batch-size", type=int, default=25)
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--settings", default="", help="only those whose name holds this")
    ap.add_argument("--tie", type=float, default=1e-4)
    a = ap.parse_args()
    rows = [dict(r, begin=" ".join(r["tgt"].split()[:2])) for r in spread_lines(a.input, a.lines)]
    model = Model(Path(a.model), a.threads)
    # Frequent tokens, so that leaving them out changes most translations.
    seen = {}
    for r in rows:
        for t in model.pieces(r["tgt"]):
            seen[t] = seen.get(t, 0) + 1
    suppress = sorted(seen, key=lambda t: (-seen[t], t))[:5]
    failed = 0
    with tempfile.TemporaryDirectory() as work:
        import ctranslate2
        from ctranslate2.converters import TransformersConverter

        out = str(Path(work) / "ctranslate2")
        TransformersConverter(a.model).convert(out)
        reader = ctranslate2.Translator(out, device="cpu", compute_type="float32", inter_threads=1, intra_threads=a.threads)
        path = Path(work) / "in.jsonl"
        path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), encoding="utf-8")
        print(f"{len(rows)} lines: same, ties, better, worse than    {'generate':>18}   {'CTranslate2':>18}")
        for name, flags, theirs, other in SETTINGS:
            if a.settings not in name:
                continue
            given = flags.replace("SUPPRESS", " ".join(f"--suppress-token {t}" for t in suppress)).split()
            for flag, value in [("--max-new-tokens", str(a.max_new_tokens)), ("--early-stopping", "false"), ("--length-penalty", "1")]:
                if flag not in given:
                    given += [flag, value]
            found, error = isogloss(a, a.model, path, *given)
            if error:
                sys.exit(error)
            ours = {r["id"]: r["token_ids"] for r in found}
            penalty = theirs.get("length_penalty", 1.0)
            first = compare(rows, generated(model, rows, theirs, suppress, a), ours, model, penalty, a.tie)
            second = compare(rows, converted(reader, model, rows, other, suppress, a), ours, model, penalty, a.tie) if other else []
            show = lambda c: " ".join(f"{n:4}" for n in c) if c else "not there"
            bad = first[0] + first[1] < len(rows)
            failed += bad
            print(f"{name:44} {show(first):>18}   {show(second):>18}{'   DIFFERENT' if bad else ''}", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
