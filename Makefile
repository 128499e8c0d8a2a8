# The few verbs everyone uses. `make help` lists them.

CARGO   ?= cargo
PYTHON  ?= python3
PREFIX  ?= /usr/local
DESTDIR ?=

TARGET  ?= $(or $(CARGO_TARGET_DIR),target)
BINARY  := $(TARGET)/release/isogloss
SHARE   := $(DESTDIR)$(PREFIX)/share

.DEFAULT_GOAL := help
comma := ,
FUZZ_SECONDS ?= 600
.PHONY: help build demo test check fuzz bench peers cuda cudacheck cudaemulated docs generate install uninstall clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

build: ## the release binary
	$(CARGO) build --release --locked

demo: ## corpus, model, training, translation and scores, in a few minutes
	$(CARGO) build --release --locked --bin isogloss --example demo_corpus
	$(MAKE) -C examples/demo ISOGLOSS=$(abspath $(BINARY)) \
	  GENERATOR=$(abspath $(TARGET))/release/examples/demo_corpus

test: ## format, lints and every test; the last line counts them
	@CARGO="$(CARGO)" tests/run.sh

check: ## format and lints only
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets --locked -- -D warnings

fuzz: ## every reader, ten minutes each; needs a nightly toolchain
	tests/fuzz/run.sh $(FUZZ_SECONDS)

bench: build ## benchmarks
	$(CARGO) bench --locked
	$(PYTHON) tests/bench/scaling.py $(BINARY)

peers: build ## speed and memory beside other programs; needs PYTHON with torch, transformers, peft, ctranslate2, sacrebleu (ADAPTERS_PYTHON: one with adapters, MARIAN_PYTHON: one with pymarian)
	$(PYTHON) tests/bench/train_peers.py --tokens 2048,4096
	$(PYTHON) tests/bench/lora_peers.py --shapes A,B --tokens 2048
	$(if $(ADAPTERS_PYTHON),$(PYTHON) tests/bench/adapter_peers.py --python $(ADAPTERS_PYTHON) --shapes A,B)
	$(PYTHON) tests/bench/translate_peers.py $(if $(MARIAN_PYTHON),--also transformers$(comma)marian --marian-python $(MARIAN_PYTHON),--also transformers)
	$(PYTHON) tests/bench/translate_peers.py --int8
	$(PYTHON) tests/bench/translate_peers.py --shapes nllb-600m --batches 16,64 --tokens 8 --shortlist 30000
	$(PYTHON) tests/bench/translate_peers.py --batches 1,16 --cpu-time
	$(PYTHON) tests/bench/first_translation.py
	$(PYTHON) tests/bench/finetune_memory.py --tokens 512 --updates 2 --rounds 3 --systems f32,bf16-ckpt,peft-f32,peft-bf16
	$(PYTHON) tests/bench/score_peers.py $(BINARY) --sizes 1000,10000

# A folder like a CUDA toolkit: made from CUDA_HOME, or from the compiler's wheels where there is none. Each has a
# place of its own, and what is built with it too: cargo does not see when a compiler changes.
CUDA_KEY := $(if $(CUDA_HOME),$(subst /,-,$(CUDA_HOME)),wheels)
CUDA := $(abspath $(TARGET))/cuda/$(CUDA_KEY)
# Kernels run on this compute capability and newer ones up to 8.9; from 90 on, on that one alone.
CUDA_COMPUTE_CAP ?= 80
cuda_env = env "CUDA_HOME=$(1)" "CUDA_PATH=$(1)" "NVCC=$(1)/bin/nvcc" "PATH=$(1)/bin:$$PATH" CUDA_COMPUTE_CAP=$(CUDA_COMPUTE_CAP)

cuda: $(CUDA)/toolkit/made ## the release binary for NVIDIA GPUs, target/cuda/isogloss; CUDA_HOME: an installed toolkit
	$(call cuda_env,$(CUDA)/toolkit) $(CARGO) build --release --locked --features cuda --target-dir $(CUDA)/build
	install -m755 $(CUDA)/build/release/isogloss $(TARGET)/cuda/isogloss

$(CUDA)/toolkit/made: tests/cuda/toolkit.py
	@rm -rf $(CUDA)/build
	$(PYTHON) tests/cuda/toolkit.py $(CUDA)/toolkit $(if $(CUDA_HOME),--from $(CUDA_HOME))
	@touch $@

cudacheck: ## types and lints of what `make cuda` builds, without a compiler for kernels
	$(PYTHON) tests/cuda/toolkit.py $(TARGET)/cuda/none/toolkit --nvcc none
	$(call cuda_env,$(abspath $(TARGET))/cuda/none/toolkit) $(CARGO) clippy --features cuda --locked \
	  --target-dir $(TARGET)/cuda/none/build -- -D warnings

cudaemulated: cuda ## kernels and commands of `make cuda` on a machine without a GPU, by the emulated driver of tests/cuda/emulator
	$(PYTHON) -B tests/cuda/emulator/make.py $(CUDA)/emulator
	EMULATED_CACHE=$(CUDA)/emulator/kernels $(PYTHON) -B tests/cuda/emulator/check.py $(CUDA)/emulator
	for backwards in "" EMULATED_BACKWARDS=1; do \
	  $(call cuda_env,$(CUDA)/toolkit) LD_LIBRARY_PATH=$(CUDA)/emulator EMULATED_CACHE=$(CUDA)/emulator/kernels $$backwards \
	  $(CARGO) test --release --locked --features cuda --target-dir $(CUDA)/build --lib -- autograd kernels::cuda training stepping \
	  || exit; done
	LD_LIBRARY_PATH=$(CUDA)/emulator EMULATED_CACHE=$(CUDA)/emulator/kernels EMULATED_DEVICES=2 \
	  $(PYTHON) -B tests/cuda/gpu.py $(TARGET)/cuda/isogloss --quick --minutes 60 --pairs 300 --updates 12

docs: ## the library's documentation, warnings as errors
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps --locked

generate: ## completions/ and man/ from the command-line definition
	$(CARGO) run --locked -- generate all

install: build ## binary, man pages and completions below PREFIX
	install -Dm755 $(BINARY) $(DESTDIR)$(PREFIX)/bin/isogloss
	install -d $(SHARE)/man/man1
	install -m644 man/*.1 $(SHARE)/man/man1/
	install -Dm644 completions/isogloss.bash $(SHARE)/bash-completion/completions/isogloss
	install -Dm644 completions/_isogloss $(SHARE)/zsh/site-functions/_isogloss
	install -Dm644 completions/isogloss.fish $(SHARE)/fish/vendor_completions.d/isogloss.fish
	install -Dm644 completions/isogloss.elv $(SHARE)/elvish/lib/isogloss.elv
	install -Dm644 completions/_isogloss.ps1 $(SHARE)/isogloss/_isogloss.ps1

uninstall: ## what install put there
	rm -f $(DESTDIR)$(PREFIX)/bin/isogloss $(SHARE)/man/man1/isogloss.1 \
	  $(SHARE)/man/man1/isogloss-*.1 \
	  $(SHARE)/bash-completion/completions/isogloss $(SHARE)/zsh/site-functions/_isogloss \
	  $(SHARE)/fish/vendor_completions.d/isogloss.fish $(SHARE)/elvish/lib/isogloss.elv \
	  $(SHARE)/isogloss/_isogloss.ps1

clean: ## everything built
	$(CARGO) clean
