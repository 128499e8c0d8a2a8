# The few verbs everyone uses. `make help` lists them.

CARGO   ?= cargo
PREFIX  ?= /usr/local
DESTDIR ?=

BINARY  := target/release/isogloss
SHARE   := $(DESTDIR)$(PREFIX)/share

.DEFAULT_GOAL := help
.PHONY: help build demo test check bench docs generate install uninstall clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

build: ## the release binary
	$(CARGO) build --release --locked

demo: build ## corpus, model, training, translation and scores, in a few minutes
	$(MAKE) -C examples/demo ISOGLOSS=$(abspath $(BINARY))

test: ## format, lints and every test; the last line counts them
	@CARGO="$(CARGO)" tests/run.sh

check: ## format and lints only
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets --locked -- -D warnings

bench: ## benchmarks
	$(CARGO) bench --locked

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
