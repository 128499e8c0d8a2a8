"""Records golden.jsonl: ids and texts as transformers computes them with the fixtures.

usage: python record.py [TOKENIZER.json ...] > golden.jsonl
"""

import json
import pathlib
import random
import sys

from transformers import PreTrainedTokenizerFast

HERE = pathlib.Path(__file__).parent

TEXTS = [
    "",
    " ",
    "The baker opens the shop.",
    "  two  spaces\tand a tab \n",
    "Der Schlüssel öffnet die Brücke.",
    "朝の図書館は静かです。",
    "Сад покрыт снегом, письма ушли",
    "ｆｕｌｌ ｗｉｄｔｈ ﬁne ½ ①",
    "e\u0301 combining and \u00a0no-break\u3000space",
    "emoji 🦀 and ∮ unknown",
    "</s> <s> __de__ <unk> <pad>",
    "a</s>b __ru__c",
    "▁literal▁mark",
    "<0x41><0xE4>",
    "\u0000\u0001 control \u200b zero \ufeff width",
    "word" * 200,
]


def main():
    paths = sys.argv[1:] or [HERE / "bpe.json", HERE / "unigram_bytes.json"]
    for path in paths:
        tokenizer = PreTrainedTokenizerFast(
            tokenizer_file=str(path), bos_token="<s>", eos_token="</s>", pad_token="<pad>",
            unk_token="<unk>", clean_up_tokenization_spaces=False,
        )
        size = len(tokenizer)
        draw = random.Random(1)
        for text in TEXTS:
            # Special tokens in text are spelt out, as a translator's input must be.
            ids = tokenizer(text, add_special_tokens=False, split_special_tokens=True).input_ids
            back = tokenizer.decode(ids, skip_special_tokens=True)
            row = {"tokenizer": pathlib.Path(path).name, "text": text, "ids": ids, "decoded": back}
            print(json.dumps(row, ensure_ascii=False))
        for _ in range(40):
            ids = [draw.randrange(size) for _ in range(draw.randrange(1, 16))]
            back = tokenizer.decode(ids, skip_special_tokens=True)
            print(json.dumps({"tokenizer": pathlib.Path(path).name, "ids": ids, "decoded": back},
                             ensure_ascii=False))


main()
