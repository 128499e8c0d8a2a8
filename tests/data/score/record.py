#!/usr/bin/env python3
"""Records what Python sacrebleu says of texts made here: the reference of tests/numeric/score.rs.

    python3 tests/data/score/record.py            # needs sacrebleu 2.6.0, numpy 2, sentencepiece

writes, beside itself:

    corpora.json    the texts: hypotheses of two systems and references, by name
    golden.json     scores, signatures, intervals and p-values, by name and setting
    *.model         two small SentencePiece models, trained on the same texts

Every text is put together by this script from syllables, characters and signs; none comes from
anywhere else. Trailing white space is stripped before scoring, as sacrebleu's program does.
"""
import json
import os
import random
import shutil
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
WORK = tempfile.mkdtemp()
# sacrebleu looks for SentencePiece models here and downloads what is missing; nothing is.
os.environ["SACREBLEU"] = WORK
os.environ.pop("SACREBLEU_SEED", None)

import numpy
import sacrebleu
import sentencepiece
from sacrebleu.metrics import BLEU, CHRF, TER
from sacrebleu.significance import PairedTest

assert sacrebleu.__version__ == "2.6.0" and numpy.__version__.startswith("2."), "see the header"

RNG = random.Random(20)

SYLLABLES = {
    "de": "ba en er ü ßt gr äu lich ung ö schw ein der fa Ä".split(),
    "tr": "lar İ ı ğ şe çi ö ü ye k ben I i dır".split(),
    "vi": "ng ườ ă đ ế ọ nh ữ ẫ tr â ỗ y".split(),
    "ru": "при ве т но ж ща ы ё ъ об ня Ю Й".split(),
    "el": "κα λη ΣΑΣ ς σο ά ΰ ϊ μέ Ω τος".split(),
    "ar": "ال كت اب مُ حَمّ د ي ة لا ؤ ن".split(),
    "he": "של ום ב כָּ ל ים ה".split(),
    "hi": "क् षि का र्य ा में ड़ है ज्ञ".split(),
    "ko": "안 녕 하 세 요 입 니 다 각 밬".split(),
    "en": "the ing st ou t an 's I'm re er O".split(),
}
RANGES = {
    "zh": [(0x4E00, 0x4E60), (0x3400, 0x3405), (0x9FA5, 0x9FBE)],
    "ja": [(0x3042, 0x3060), (0x30A2, 0x30B5), (0x4E00, 0x4E20)],
    "th": [(0x0E01, 0x0E2E), (0x0E30, 0x0E3A), (0x0E40, 0x0E4D)],
}
SIGNS = list(",.;:!?-'\"()[]{}/%&$#@*+=<>|~^`_\\") + ["...", "--", "«", "»", "„", "“", "–", "—", "…", "€",
        "£", "°", "§", "。", "，", "、", "！", "（", "）", "「", "」", "・", "؟", "،", "।", "¿", "·", "→", "≤"]
NUMBERS = ["3.14", "1,000", "1.000,5", "12-13", "7.", "5%", "٣٫١٤", "१२", "½", "²", "Ⅳ", "1999.", "-3", "0"]
ENTITIES = ["&quot;", "&amp;", "&lt;", "&gt;", "&amp;lt;", "&nbsp;", "<skipped>", "&", ";"]
EMOJI = ["😀", "👩‍💻", "🇩🇪", "👍🏽", "❤️", "🏳️‍🌈", "1️⃣"]
MARKS = ["e\u0301", "a\u0308", "o\u0323\u0302", "n\u0303", "\u0301", "ﬁ", "Ａｂ", "ǅ", "ẞ"]
SPACES = ["\x1c", "\x1d", "\x1e", "\x1f", "\x0b", "\x0c", "\x85", "\xa0", "\u2028", "\u3000", "\u2003", "\t"]
INVISIBLE = ["\u200b", "\ufeff", "\u200d", "\u00ad", "\x00", "\x07", "\x7f", "\u2060"]


def word(kind):
    if kind in RANGES:
        out = ""
        for _ in range(RNG.randint(1, 4)):
            low, high = RNG.choice(RANGES[kind])
            out += chr(RNG.randrange(low, high))
        return out
    out = "".join(RNG.choice(SYLLABLES[kind]) for _ in range(RNG.randint(1, 3)))
    return out.capitalize() if RNG.random() < 0.2 else out


def vocabulary(kind, n=60):
    return [word(kind) for _ in range(n)]


def sentence(words, extra=(), share=0.15, low=3, high=22, glue=" "):
    parts = []
    for _ in range(RNG.randint(low, high)):
        # Few different words, so that n-grams are found again.
        w = words[min(int(RNG.expovariate(0.12)), len(words) - 1)]
        r = RNG.random()
        if extra and r < share:
            e = RNG.choice(extra)
            w = RNG.choice([w + e, e + w, w + glue + e, e])
        parts.append(w)
    return glue.join(parts)


def noise(text, words, share=0.25, glue=" "):
    parts = text.split(glue) if glue else list(text)
    out = []
    for p in parts:
        r = RNG.random()
        if r < share * 0.4:
            out.append(RNG.choice(words))
        elif r < share * 0.55:
            continue
        elif r < share * 0.7:
            out += [p, p]
        elif r < share * 0.9:
            out.insert(max(0, len(out) - RNG.randint(1, 6)), p)
        elif r < share:
            out.append(p.upper() if RNG.random() < 0.5 else p.lower())
        else:
            out.append(p)
    return glue.join(out)


def corpus(kind, n, num_refs=1, extra=(), share=0.15, glue=" ", low=3, high=22):
    words = vocabulary(kind)
    a, b, refs = [], [], [[] for _ in range(num_refs)]
    for _ in range(n):
        truth = sentence(words, extra, share, low, high, glue)
        for r in refs:
            r.append(noise(truth, words, 0.15, glue) if num_refs > 1 else truth)
        a.append(noise(truth, words, 0.25, glue))
        b.append(noise(truth, words, 0.32, glue))
    return {"a": a, "b": b, "refs": refs}


def corpora():
    out = {}
    for kind in ("de", "tr", "vi", "ru", "el", "ar", "he", "hi", "ko"):
        out[kind] = corpus(kind, 40, extra=SIGNS[:12] + NUMBERS[:4])
    for kind in ("zh", "ja", "th"):
        out[kind] = corpus(kind, 40, extra=SIGNS[-22:] + ["NMT", "3.5"], glue="")
    out["signs"] = corpus("en", 40, extra=SIGNS, share=0.6)
    out["numbers"] = corpus("en", 40, extra=NUMBERS + ["-", ".", ","], share=0.6)
    out["entities"] = corpus("en", 30, extra=ENTITIES, share=0.5)
    out["emoji"] = corpus("en", 30, extra=EMOJI, share=0.4)
    out["marks"] = corpus("de", 30, extra=MARKS, share=0.4)
    out["spaces"] = corpus("en", 30, extra=SPACES, share=0.4)
    out["invisible"] = corpus("en", 30, extra=INVISIBLE, share=0.4)
    out["two_refs"] = corpus("de", 40, num_refs=2, extra=SIGNS[:6])
    out["three_refs"] = corpus("ru", 30, num_refs=3, extra=NUMBERS)
    out["twelve_refs"] = corpus("en", 10, num_refs=12, extra=SIGNS[:12])
    varied = corpus("de", 30, num_refs=3)
    for i in range(30):
        for r in range(1 + i % 3, 3):
            varied["refs"][r][i] = None
    out["varied_refs"] = varied
    long = corpus("de", 2, low=150, high=200)
    long["a"].append(" ".join(long["refs"][0][0].split(" ")[::-1]))
    long["b"].append(long["refs"][0][0][: 500])
    long["refs"][0].append(long["refs"][0][0])
    out["long"] = long
    lengths = corpus("en", 12)
    for i in range(0, 12, 2):
        # Reference and hypothesis of very different length: TER's beam is widened.
        lengths["a"][i] = " ".join(lengths["a"][i].split(" ")[:1])
        lengths["refs"][0][i] = " ".join([lengths["refs"][0][i]] * 9)
        lengths["a"][i + 1] = " ".join([lengths["a"][i + 1]] * 9)
    out["lengths"] = lengths
    out["empty"] = {
        "a": ["", "", "  ", "a b", "\t", "a", ".", "x y z w v", "\u3000", "same line here now"],
        "b": ["", "a", "", "a b", "b", "\u2003", "", "x y", "", "same line here now"],
        "refs": [["", "a b", "c", "", "\xa0", "a", ".", "v w x y z", "", "same line here now"]],
    }
    out["breaks"] = {
        "a": ["hy-\nphen\nated", "a\nb.", "\n-a", "one"],
        "b": ["hyphenated", "a b .", "a", "one"],
        "refs": [["hyphen ated", "a b.", "a", "o-\nne"]],
    }
    out["one"] = {"a": ["a single line of text."], "b": ["single line text."], "refs": [["a single line of text!"]]}
    out["nothing_in_common"] = {"a": ["a b c", "d e"], "b": ["x y z", "u v"], "refs": [["x y z", "u v"]]}
    out["short"] = {"a": ["a", "b c"], "b": ["a", "b"], "refs": [["a", "b c"]]}
    runs = [",".join("1" * k) + "." * k + "-" * k + "5" for k in range(1, 9)]
    out["runs"] = {"a": runs, "b": [r[::-1] for r in runs], "refs": [[r.replace("5", "a") for r in runs]]}
    repeats = [" ".join(["na"] * k) for k in range(1, 16)]
    out["repeats"] = {"a": repeats, "b": repeats[::-1], "refs": [repeats[3:] + repeats[:3]]}
    # Enough segments and n-grams for sums of 32-bit floats to round.
    big = corpus("en", 400, low=15, high=25)
    out["big"] = big
    return out


def bleu_settings():
    for tok in ("13a", "intl", "zh", "char", "none"):
        for lowercase in (False, True):
            yield {"tokenize": tok, "lowercase": lowercase}
    for method, value in (("floor", None), ("floor", 0.3), ("add-k", None), ("add-k", 2), ("add-k", 0.5), ("none", None)):
        yield {"tokenize": "13a", "smooth_method": method, "smooth_value": value}
    yield {"tokenize": "13a", "effective_order": True}
    yield {"tokenize": "intl", "effective_order": True, "smooth_method": "floor"}


def chrf_settings():
    yield {}
    yield {"word_order": 2}
    yield {"word_order": 1}
    yield {"lowercase": True, "word_order": 2}
    yield {"whitespace": True}
    yield {"whitespace": True, "word_order": 2}
    yield {"eps_smoothing": True}
    yield {"eps_smoothing": True, "word_order": 2}
    yield {"beta": 1}
    yield {"beta": 3, "char_order": 4}
    yield {"char_order": 10}
    yield {"char_order": 0, "word_order": 3}


def ter_settings():
    for i in range(16):
        yield {"normalized": bool(i & 1), "no_punct": bool(i & 2), "asian_support": bool(i & 4),
               "case_sensitive": bool(i & 8)}


MAKE = {"bleu": BLEU, "chrf": CHRF, "ter": TER}


def strip(texts):
    return [None if t is None else t.rstrip() for t in texts]


def scores(data):
    hyps, refs = strip(data["a"]), [strip(r) for r in data["refs"]]
    out = []
    for name, settings in (("bleu", bleu_settings), ("chrf", chrf_settings), ("ter", ter_settings)):
        for args in settings():
            metric = MAKE[name](**args)
            score = metric.corpus_score(hyps, refs)
            out.append([name, args, score.score, score._verbose, str(metric.get_signature())])
    return out


def spm_scores(data, models):
    """sacrebleu's own class, with our model in the place of the one it would download."""
    hyps, refs = strip(data["a"]), [strip(r) for r in data["refs"]]
    out = []
    for model in models:
        shutil.copy(HERE / model, Path(WORK) / "models" / "sacrebleu_tokenizer_spm.model")
        for tok in ("flores101", "spm"):
            metric = BLEU(tokenize=tok)
            out.append([model, tok, metric.corpus_score(hyps, refs).score, str(metric.get_signature())])
    return out


def intervals(data, n):
    hyps, refs = strip(data["a"]), [strip(r) for r in data["refs"]]
    out = []
    for name, args in (("bleu", {}), ("bleu", {"smooth_method": "add-k", "smooth_value": 0.5}), ("chrf", {}),
                       ("chrf", {"word_order": 2}), ("chrf", {"eps_smoothing": True}), ("ter", {})):
        metric = MAKE[name](**args)
        try:
            score = metric.corpus_score(hyps, refs, n_bootstrap=n)
        except TypeError:  # samples of mixed types: sacrebleu itself gives up
            continue
        out.append([name, args, n, float(score._mean), float(score._ci), str(metric.get_signature())])
    return out


def paired(data, test, n, confidence):
    a, b, refs = strip(data["a"]), strip(data["b"]), [strip(r) for r in data["refs"]]
    metrics = {"BLEU": BLEU(references=refs), "CHRF": CHRF(word_order=2, references=refs), "TER": TER(references=refs)}
    signatures, results = PairedTest([("a", a), ("b", b)], metrics, None, test_type=test, n_samples=n,
                                     n_ar_confidence=confidence)()
    out = {}
    for name, result in results.items():
        if name == "System":
            continue
        number = lambda x: None if x is None else float(x)
        out[name] = {"baseline": [number(result[0].score), number(result[0].mean), number(result[0].ci)],
                     "system": [number(result[1].score), number(result[1].mean), number(result[1].ci)],
                     "p_value": number(result[1].p_value), "signature": str(signatures[name])}
    return {"test": test, "n": n, "confidence": confidence, "metrics": out}


def train_models(texts):
    os.makedirs(Path(WORK) / "models", exist_ok=True)
    path = Path(WORK) / "train.txt"
    path.write_text("\n".join(" ".join(t.split()) for t in texts if t), encoding="utf-8")
    names = []
    for kind in ("unigram", "bpe"):
        # Identity normalization keeps the files small; character classes are covered elsewhere.
        sentencepiece.SentencePieceTrainer.train(
            input=str(path), model_prefix=str(Path(WORK) / kind), vocab_size=500, model_type=kind,
            character_coverage=0.98, normalization_rule_name="identity", minloglevel=2, num_threads=1)
        shutil.copy(Path(WORK) / f"{kind}.model", HERE / f"{kind}.model")
        names.append(f"{kind}.model")
    return names


def main():
    data = corpora()
    # Small odd sets for resampling too: one segment, empty lines, several references.
    golden = {"sacrebleu": sacrebleu.__version__, "scores": {}, "spm": {}, "intervals": {}, "paired": {}}
    models = train_models([t for name in ("de", "ru", "zh", "ja", "ar", "en", "signs") if name in data
                           for t in data[name]["refs"][0]])
    for name, d in data.items():
        golden["scores"][name] = scores(d)
        print(name, [round(s[2], 2) for s in golden["scores"][name][:2]], file=sys.stderr)
    for name in ("de", "ru", "zh", "ja", "ko", "signs", "emoji", "empty", "spaces", "two_refs"):
        golden["spm"][name] = spm_scores(data[name], models)
    for name in ("de", "zh", "ar", "big", "two_refs", "three_refs", "varied_refs", "one", "empty", "short"):
        golden["intervals"][name] = intervals(data[name], 1000 if name in ("de", "one") else 200)
    for name in ("de", "zh", "big", "three_refs", "varied_refs", "emoji", "empty", "one"):
        golden["paired"][name] = [paired(data[name], "bs", 300, -1), paired(data[name], "ar", 500, -1),
                                  paired(data[name], "ar", 400, 150)]
    same = {"a": data["de"]["a"], "b": data["de"]["a"], "refs": data["de"]["refs"]}
    golden["paired_same"] = [paired(same, "bs", 100, -1), paired(same, "ar", 100, -1)]
    dump = lambda x: json.dumps(x, ensure_ascii=True, separators=(",", ":"))
    (HERE / "corpora.json").write_text("{\n" + ",\n".join(f"{dump(k)}:{dump(v)}" for k, v in data.items()) + "\n}\n")
    lines = []
    for key, value in golden.items():
        if isinstance(value, dict):
            inner = ",\n".join(f"{dump(k)}:{dump(v)}" for k, v in value.items())
            lines.append(f"{dump(key)}:{{\n{inner}\n}}")
        else:
            lines.append(f"{dump(key)}:{dump(value)}")
    (HERE / "golden.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
    shutil.rmtree(WORK)


if __name__ == "__main__":
    main()
