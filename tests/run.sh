#!/usr/bin/env bash
# Format, lints and every test. The last line counts them, `N passed, N failed`, and the exit
# status is 0 only when nothing failed. A check whose tool is not installed is named and left out.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 2
cargo=${CARGO:-cargo}
passed=0
failed=0

# step NAME COMMAND...: one check that has no count of its own.
step() {
  local name=$1
  shift
  echo "== $name"
  if ! "$@"; then
    echo "== $name: FAILED"
    failed=$((failed + 1))
  fi
}

has() {
  "$cargo" "$1" --version >/dev/null 2>&1
}

if has fmt; then
  step "format" "$cargo" fmt --check
else
  echo "== format: left out, rustfmt is not installed"
fi
if has clippy; then
  step "lints" "$cargo" clippy --quiet --all-targets --locked -- -D warnings
else
  echo "== lints: left out, clippy is not installed"
fi

# What is behind features that this machine need not be able to build.
if has clippy && command -v python3 >/dev/null && command -v gcc >/dev/null && [ "$(uname -m)" = x86_64 ]; then
  step "types and lints with \`cuda\`" make --no-print-directory -s cudacheck CARGO="$cargo --quiet"
else
  echo "== types and lints with \`cuda\`: left out, needs clippy, python3 and gcc on x86_64"
fi
has_libclang() {
  [ -n "${LIBCLANG_PATH:-}" ] || command -v llvm-config >/dev/null || ls /usr/lib/llvm-*/lib/libclang* >/dev/null 2>&1
}
# Set to nothing it would be searched in vain.
[ -n "${LIBCLANG_PATH:-}" ] || unset LIBCLANG_PATH
if command -v mpirun >/dev/null && command -v mpicc >/dev/null && has_libclang; then
  step "tests with \`mpi\`" "$cargo" test --quiet --locked --features mpi --test cli -- ranks::
else
  echo "== tests with \`mpi\`: left out, needs an MPI library and libclang"
fi

echo "== tests"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
"$cargo" test --locked --no-fail-fast 2>&1 | tee "$log"
status=${PIPESTATUS[0]}
counts=$(awk '/^test result:/ { p += $4; f += $6 } END { print p + 0, f + 0 }' "$log")
passed=${counts% *}
failed_tests=${counts#* }
# A build that fails, or a test binary that dies, has no line of its own.
if [ "$status" -ne 0 ] && [ "$failed_tests" -eq 0 ]; then
  failed_tests=1
fi
failed=$((failed + failed_tests))

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
