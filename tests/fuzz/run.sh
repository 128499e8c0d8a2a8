#!/usr/bin/env bash
# Coverage-guided fuzzing of every reader: run.sh [SECONDS] [TARGET...]
#
# Needs a nightly toolchain, nothing else: it sets the flags that cargo-fuzz would. Each target runs for
# SECONDS (600), JOBS at a time (2), from small valid files of our own. Prints a table: inputs tried,
# edges covered, crashes, peak memory. Ends with 1 if any crashed; what crashed it is kept below WORK.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
seconds=${1:-600}
shift || true
work=${WORK:-target/fuzz}
triple=$(rustc +nightly -vV | sed -n 's/^host: //p')
export RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing -Cdebug-assertions \
-Cforce-frame-pointers"
target=${CARGO_TARGET_DIR:-target}
cargo +nightly build --release --quiet --target "$triple" --target-dir "$target"
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
	for f in fuzz_targets/*.rs; do targets+=("$(basename "$f" .rs)"); done
fi
data=../data
mkdir -p "$work"
# Inputs that a reader takes as files would else wait for a disk.
if [ -z "${TMPDIR:-}" ] && [ -w /dev/shm ]; then export TMPDIR=/dev/shm; fi
# Small valid files to begin from; a target without any begins from nothing.
seeds() {
	local to=$work/corpus/$1
	mkdir -p "$to"
	case $1 in
	safetensors) find "$data" -name '*.safetensors' -size -64k -exec cp --backup=numbered {} "$to" \; ;;
	config) find "$data" -name config.json -exec cp --backup=numbered {} "$to" \; ;;
	tokenizer) find "$data" -name tokenizer.json -size -200k -exec cp --backup=numbered {} "$to" \; ;;
	records)
		printf '{"src":"a","tgt":"b","src_lang":"en","tgt_lang":"de"}\n{"translation":{"en":"a","de":"b"}}\n' > "$to/a"
		printf 'src\ttgt\tsrc_lang\ttgt_lang\na\tb\ten\tde\n' > "$to/b"
		;;
	adapters)
		printf '{"format":"isogloss-adapters","schema":1,"layout":"bank","d_model":4,"norm":"before","affine":true,"placement":{}}\n' > "$to/a"
		printf '{"config":{"mh_adapter":false,"output_adapter":true,"reduction_factor":2,"non_linearity":"relu"},"version":"adapters.1.2.0"}\n' > "$to/b"
		;;
	placement) printf '{"format":"isogloss-placement","schema":1,"encoder":[{"index":"shared","modules":["fc1"]}],"decoder":[{"fc1":"target"}],"adapters":["default"]}' > "$to/a" ;;
	esac
}
one() {
	local name=$1 dir=$work/$1
	mkdir -p "$dir"
	seeds "$name"
	# A reader may use 512 MiB beyond the program itself, and 10 s for one input.
	"$target/$triple/release/$name" "$work/corpus/$name" -max_total_time="$seconds" -rss_limit_mb=1024 \
		-malloc_limit_mb=512 -timeout=10 -max_len=65536 -print_final_stats=1 \
		-artifact_prefix="$dir/" > "$dir/log" 2>&1 || true
	local runs cov rss crashes
	runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$dir/log")
	rss=$(sed -n 's/^stat::peak_rss_mb: *//p' "$dir/log")
	cov=$(grep -o 'cov: [0-9]*' "$dir/log" | tail -n 1 | cut -d ' ' -f 2)
	crashes=$(find "$dir" -name 'crash-*' -o -name 'oom-*' -o -name 'timeout-*' | wc -l)
	printf '%-14s %12s inputs %8s edges %3s crashes %6s MiB at most\n' "$name" "${runs:-?}" "${cov:-?}" "$crashes" "${rss:-?}"
}
export -f one seeds
export work target triple seconds data
printf '%s\n' "${targets[@]}" | xargs -P "${JOBS:-2}" -I {} bash -c 'one "$1"' _ {} | tee "$work/table.txt"
! grep -qv ' 0 crashes' "$work/table.txt"
