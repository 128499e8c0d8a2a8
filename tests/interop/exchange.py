#!/usr/bin/env python3
"""One table of what isogloss, transformers, PEFT and CTranslate2 make of each other's files.

    python exchange.py MODEL test.jsonl --isogloss target/release/isogloss

MODEL is a trained model directory with tokenizer.json. Each row is a file that one program wrote and
another reads, and the largest difference between the log probabilities that the two give the tokens of
the reference translations. Both compute in f32 with the weights as they are stored. `peft_lora.py` says what
else is checked of adapters. Ends with 1 when a row is missing or its difference is above --limit.
"""
import argparse
import json
import os
import shutil
import sys
import tempfile
import warnings
from pathlib import Path

from load_everywhere import TOKENIZER_CONFIG, Model
from peft_lora import Exchange, Failed, difference, need_peft


class Neighbours(Exchange):
    def compare(self, origin, reader, what, ours, theirs):
        worst, n, where = difference(ours, theirs)
        if worst > self.a.limit:
            raise Failed(f"{what}: {worst:.1e} ({where})")
        self.table.append((origin, reader, what, n, worst))
        print(f"ok    {origin} -> {reader}: {what}", flush=True)

    def loaded(self, directory):
        """The directory in transformers, after a look at what it took of the file."""
        import transformers

        if not (directory / "tokenizer_config.json").exists():
            (directory / "tokenizer_config.json").write_text(json.dumps(TOKENIZER_CONFIG))
        _, info = transformers.AutoModelForSeq2SeqLM.from_pretrained(directory, output_loading_info=True)
        for key, names in info.items():
            if names:
                raise Failed(f"transformers, {self.name(directory)}: {key}: {sorted(names)[:3]}")
        return Model(directory, self.a.threads)

    def converted(self, directory):
        """Scores of CTranslate2's conversion of the directory."""
        import ctranslate2
        from ctranslate2.converters import TransformersConverter

        judge = self.loaded(directory)
        out = self.work / f"{directory.name}-ctranslate2"
        TransformersConverter(str(directory)).convert(str(out), force=True)
        reader = ctranslate2.Translator(str(out), device="cpu", compute_type="float32", inter_threads=1,
                                        intra_threads=self.a.threads)
        words = judge.tok.convert_ids_to_tokens
        # It adds the end mark itself.
        scored = reader.score_batch([words(judge.source(r)) for r in self.rows],
                                    [words(self.target(judge, r)[:-1]) for r in self.rows], max_batch_size=16)
        return {r["id"]: s.log_probs[1:] for r, s in zip(self.rows, scored)}

    def export(self, name, *flags):
        directory = self.work / name
        self.run("export", "-m", self.model, *flags, "-o", directory)
        return directory

    def fine_tuned(self):
        """A few updates by transformers, saved as it saves them, in shards and as one file in bf16."""
        import torch

        torch.manual_seed(1)
        judge = Model(self.plain, self.a.threads)
        net = judge.model
        sources, targets = [judge.source(r) for r in self.rows], [self.target(judge, r) for r in self.rows]
        optimizer = torch.optim.AdamW(net.parameters(), lr=1e-4)
        pad = judge.config.pad_token_id
        for at in range(0, len(sources), 32):
            part = slice(at, at + 32)
            ids, wanted = judge.pad(sources[part], pad), targets[part]
            begun = [[judge.config.decoder_start_token_id, *t[:-1]] for t in wanted]
            logits = net(input_ids=ids, attention_mask=(ids != pad).long(), use_cache=False,
                         decoder_input_ids=judge.pad(begun, pad)).logits
            torch.nn.functional.cross_entropy(logits.flatten(0, 1), judge.pad(wanted, -100).flatten()).backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        for name, dtype, shard in [("theirs", torch.float32, "2MB"), ("theirs-bf16", torch.bfloat16, "5GB")]:
            directory = self.work / name
            net.to(dtype).save_pretrained(directory, max_shard_size=shard)
            for file in ("tokenizer.json", "tokenizer_config.json"):
                shutil.copy(self.plain / file, directory)
            yield directory

    # The rows.

    def models(self):
        self.compare("isogloss", "transformers", "trained model, f32", self.ours(), self.base)
        self.compare("isogloss", "CTranslate2", "trained model, f32", self.ours(), self.converted(self.plain))
        small = self.export("ours-bf16", "--dtype", "bf16")
        ours = self.ours(model=small)
        self.compare("isogloss", "transformers", "trained model, stored in bf16", ours, self.theirs(self.loaded(small)))
        # Its converter rounds the position tables to bf16, too, which nobody else does.
        judge = self.loaded(small)
        for side in (judge.model.model.encoder, judge.model.model.decoder):
            table = side.embed_positions.weights
            table.copy_(table.bfloat16().float())
        plain, converted = self.theirs(judge), self.converted(small)
        apart, _, _ = difference(ours, converted)
        self.compare("isogloss", "CTranslate2", "trained model, stored in bf16, beside transformers with position tables"
                     f" rounded as its converter does (else {apart:.1e})", plain, converted)

    def shards(self):
        for directory, what in zip(self.fine_tuned(), ("fine-tuned model, shards in f32", "fine-tuned model, bf16")):
            self.compare("transformers", "isogloss", what, self.ours(model=directory), self.theirs(self.loaded(directory)))

    def merged(self):
        run, out = self.trained("run", "shared"), self.work / "merged"
        self.run("prune-lora", "-m", self.model, run, "--direction", "-".join(self.directions[0]), "--merge", "-o", out)
        ours = self.ours("--lora", run)
        self.compare("isogloss", "transformers", "LoRA merged by prune-lora, beside the LoRA here", ours,
                     self.theirs(self.loaded(out)))
        self.compare("isogloss", "CTranslate2", "LoRA merged by prune-lora, beside the LoRA here", ours, self.converted(out))

    def neurons(self):
        """One direction's feed-forward neurons as a plain model."""
        counts, masks = self.work / "counts.safetensors", self.work / "masks.safetensors"
        direction = "-".join(self.directions[0])
        self.run("profile-neurons", "-m", self.model, "-o", counts, self.a.text)
        self.run("build-masks", "--k", "90", "-o", masks, counts)
        plain = self.export("masked", "--masks", masks, "--direction", direction)
        rows = [r for r in self.rows if (r["src_lang"], r["tgt_lang"]) == self.directions[0]]
        what = f"neuron masks of {direction} cut out by export, beside the masks here"
        self.compare("isogloss", "transformers", what, self.ours("--masks", masks, rows=rows),
                     self.theirs(self.loaded(plain), rows))


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("model")
    ap.add_argument("text", help="records to score, and to train adapters on")
    ap.add_argument("--isogloss", metavar="EXE", required=True)
    ap.add_argument("--max-lines", type=int, default=8, help="scored of each direction")
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--limit", type=float, default=1e-4)
    a = ap.parse_args()
    need_peft()
    a.isogloss, a.text = os.path.abspath(a.isogloss), os.path.abspath(a.text)
    a.budget, a.acts, a.vocab_size = "0.6%", 0.05, None
    warnings.filterwarnings("ignore", category=FutureWarning)
    failed = 0
    with tempfile.TemporaryDirectory(prefix="isogloss-exchange-") as work:
        try:
            exchange = Neighbours(a, Path(work).resolve())
        except Failed as e:
            sys.exit(f"FAILED  the model itself: {e}")
        for check in (exchange.models, exchange.shards, exchange.merged, exchange.neurons, exchange.a_run, exchange.b_peft,
                      exchange.c_pruned, exchange.d_direction):
            try:
                check()
            except Failed as e:  # the others still run
                failed += 1
                print(f"FAILED  {check.__name__}: {e}", flush=True)
    print(f"\n{'written by':13} {'read by':13} {'largest difference':>18} {'tokens':>7}  what")
    for origin, reader, what, n, worst in exchange.table:
        print(f"{origin:13} {reader:13} {worst:18.1e} {n:7}  {what}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
