#!/usr/bin/env python3
"""Trains small SentencePiece models on made-up text and records what the reference library does with
them: `NAME.model` and `golden.jsonl` (sentencepiece 0.2.3).

    python record.py

Each line of golden.jsonl: `model`, `text`, `pieces` (encode, as text), `decoded` (decode of the
pieces). Lines with `given` instead of `text` are decodings of odd sequences of pieces. The replacements
are a few rules of our own, because those of `nmt_nfkc` alone have 240 kB.
"""
import io
import json
import os
import random
import tempfile
from pathlib import Path

import sentencepiece as spm

HERE = Path(__file__).parent
RULES = {
    "\u00a0": " ", "\u3000": " ", "\t": " ", "\u200b": "", "\u0001": "", "\ufb01": "fi", "\u2126": "\u03a9",
    "\uff21": "A", "\uff22": "B", "e\u0301": "\u00e9", "\u00bd": "1\u20442", "\u2026": "...", "\u00b4": " \u0301",
    "\U0001d400": "A", "\u3371": "hPa", "\u1e9b\u0323": "\u1e69", "a\u0300": "\u00e0", "a\u0300\u0301": "\u00e1!",
}


def text(rng):
    onsets, vowels = "b d f g k l m n p r s t v z sh tr".split(), "a e i o u ai".split()
    words = ["".join(rng.choice(onsets) + rng.choice(vowels) for _ in range(rng.randint(1, 4))) for _ in range(150)]
    greek = ["".join(chr(0x3B1 + rng.randint(0, 11)) for _ in range(rng.randint(2, 5))) for _ in range(30)]
    kana = ["".join(chr(0x3042 + rng.randint(0, 20)) for _ in range(rng.randint(2, 4))) for _ in range(30)]
    lines = []
    for _ in range(1200):
        line = " ".join(rng.choice(rng.choices([words, greek, kana], [8, 1, 1])[0]) for _ in range(rng.randint(3, 9)))
        lines.append(line + rng.choice([".", "!", "...", " 1 2", " (12)", ""]))
    return lines


def train(name, lines, rules, **options):
    # A file that is written and paths that are given would leave their names in the model.
    written = io.BytesIO()
    spm.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=written, hard_vocab_limit=False, num_threads=1, minloglevel=2,
        **({"normalization_rule_tsv": rules} if rules else {"normalization_rule_name": "identity"}), **options)
    model = written.getvalue()
    (HERE / f"{name}.model").write_bytes(some_unused(model) if name == "unused" else model)


def some_unused(model):
    """Every third longer piece becomes one that is made but not used (`type: UNUSED`)."""
    sp = spm.SentencePieceProcessor(model_proto=model)
    longer = [i for i in range(sp.get_piece_size()) if len(sp.id_to_piece(i)) > 1 and not sp.is_control(i)]
    banned, at, out = set(longer[1::3]), 0, b""
    for i in range(sp.get_piece_size()):
        assert model[at] == 0x0A and model[at + 1] < 126  # the field `pieces`, and its length
        piece = model[at + 2:at + 2 + model[at + 1]] + (b"\x18\x05" if i in banned else b"")
        at += 2 + model[at + 1]
        out += bytes([0x0A, len(piece)]) + piece
    return out + model[at:]


def odd(rng, lines):
    """Lines of the corpus with noise, and what breaks tokenizers."""
    out = ["", " ", "  ", "\u00a0 \u3000", "\u200b", "\u2581", "\u2581\u2581a", "a\u2581b", "a  b   c", " a", "a ",
           "<s>", "</s>", "<unk>", "<0x41>", "__de__", "<sep>", "x<sep>y<sep><sep>", "<sep> <sep>", "ba<sep", "@@", "a@@b", "@@@",
           "\U0001F468\u200d\U0001F469\u200d\U0001F467", "e\u0301 a\u0300\u0301 a\u0300 \u1e9b\u0323", "\u05e9\u05dc\u05d5\u05dd", "\x00", "a\x00b",
           "\u2028", "a\u2028b", "\ufb01sh \uff21\uff22", "\u00bd\u2026\u00b4", "\u00b4", "\u00b4a", "a\u00b4\u00b4", "." * 70, "-" * 40, "a" * 90,
           "\u3042" * 33, "\U0001d400\u3371", "\ufffd", "ba\tke\nda\rgo", "\U0010ffff\u0378", "aaaaa.....!!!!!"]
    alphabet = "abdeikorstz .!1\u03b1\u03b2\u3042\u3043\u00e9\u0301\u0300\u200b\u00a0\u00b4\u2581@<>s/\U0001F600\u4e00"
    for _ in range(35):
        out.append("".join(rng.choice(alphabet) for _ in range(rng.randint(1, 24))))
    for line in rng.sample(lines, 15):
        at = rng.randrange(len(line))
        out.append(line[:at] + rng.choice(alphabet) + line[at:])
    return out


def main():
    rng = random.Random(7)
    lines = text(rng)
    with tempfile.TemporaryDirectory() as tmp:
        os.chdir(tmp)
        rules = "rules.tsv"
        hexes = lambda s: " ".join(f"{ord(c):X}" for c in s)
        Path(rules).write_text("".join(f"{hexes(k)}\t{hexes(v)}\n" for k, v in RULES.items()))
        train("bpe", lines, rules, model_type="bpe", vocab_size=400, user_defined_symbols=["<sep>", "@@"])
        train("bpe_bytes", lines, None, model_type="bpe", vocab_size=500, byte_fallback=True)
        train("unused", lines, rules, model_type="bpe", vocab_size=300, character_coverage=0.985)
        train("unigram", lines, rules, model_type="unigram", vocab_size=300, user_defined_symbols=["<sep>", "@@"])
        train("unigram_bytes", lines, rules, model_type="unigram", vocab_size=450, byte_fallback=True,
              character_coverage=0.985, remove_extra_whitespaces=False, add_dummy_prefix=False)
        train("suffix", lines, rules, model_type="unigram", vocab_size=250, treat_whitespace_as_suffix=True)
    texts = odd(rng, lines)
    given = [["\u2581", "\u2581a"], ["\u2581\u2581a"], ["<unk>", "\u2581a"], ["</s>", "\u2581a", "\u2581"], ["\u2581zz\u2581qq", "\u2581a"],
             ["<0xE3>", "<0x81>"], ["<0xE3>", "<0x81>", "<0x82>", "\u2581a", "<0xFF>", "<0xE3>", "a"], ["<0xF0>", "<0x9F>", "<0x98>", "A"],
             ["", "\u2581a"], ["<s>", "<s>"], ["\u2581", "", "\u2581a"], ["\u2581", "<unk>", "\u2581a"]]
    with open(HERE / "golden.jsonl", "w", encoding="utf-8") as out:
        for name in ["bpe", "bpe_bytes", "unused", "unigram", "unigram_bytes", "suffix"]:
            sp = spm.SentencePieceProcessor(model_file=str(HERE / f"{name}.model"))
            for t in texts:
                pieces = sp.encode(t, out_type=str)
                row = {"model": name, "text": t, "pieces": pieces, "decoded": sp.decode(pieces)}
                out.write(json.dumps(row, ensure_ascii=False) + "\n")
            for pieces in given:
                out.write(json.dumps({"model": name, "given": pieces, "decoded": sp.decode(pieces)}, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
