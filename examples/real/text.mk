# Translation of text whose lengths vary, beside CTranslate2; included by the Makefile.
#
#   make -C examples/real text-peers PYTHON=python   # a model of one direction in some minutes, then the comparison
#
# The model learns English to German from captions (`multi30k/`): sentences of 4 to 40 words that it ends
# by itself. PYTHON needs ctranslate2, torch, transformers and tokenizers.

TEXT := $(ISOGLOSS_WORK)/text
PYTHON ?= python3
TEXT_MINUTES ?= 12
TEXT_FLAGS ?= --rounds 5

HAS_CAPTIONS := $(if $(wildcard $(DATA)/multi30k/train.jsonl),yes)
.PHONY: text-peers
ifeq ($(HAS_CAPTIONS),yes)
text-peers: $(TEXT)/train.log $(TEXT)/test.en | $(ISOGLOSS)
	$(PYTHON) $(ROOT)/tests/bench/text_peers.py $(ISOGLOSS) $(TEXT)/run --src-lang en --tgt-lang de \
		--input $(TEXT)/test.en $(TEXT_FLAGS)
else
text-peers:
	$(call skipped,multi30k)
endif

$(TEXT)/train.jsonl: $(DATA)/multi30k/train.jsonl
	@mkdir -p $(TEXT)
	grep '"tgt_lang":"de"' $< > $@

# One line a sentence, each once.
$(TEXT)/test.en: $(wildcard $(DATA)/multi30k/test*.jsonl)
	@mkdir -p $(TEXT)
	cat $^ | sed -n 's/.*"src":"\(\([^"\\]\|\\.\)*\)".*/\1/p' | sed 's/\\\(.\)/\1/g' | awk '!seen[$$0]++' > $@

$(TEXT)/model/config.json: $(TEXT)/train.jsonl | $(ISOGLOSS)
	@$(STEP) $(TEXT)/times.tsv init $(ISOGLOSS) init --vocab-size 8000 --preset small --dropout 0.1 \
		--init-method normal --seed $(SEED) --force -o $(@D) $<

$(TEXT)/train.log: $(TEXT)/model/config.json $(TEXT)/train.jsonl
	@$(STEP) $(TEXT)/times.tsv train $(ISOGLOSS) train -m $(TEXT)/model -o $(TEXT)/run --train $(TEXT)/train.jsonl \
		--batch-tokens 1024 --lr 1e-3 --warmup-steps 200 --save-every 200 --log-every 25 --seed $(SEED) \
		--max-minutes $(TEXT_MINUTES) > $@.part
	@mv $@.part $@
