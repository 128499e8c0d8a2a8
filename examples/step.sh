#!/bin/sh
# Runs one step of a pipeline and notes its wall time.
#
#   step.sh TIMES NAME COMMAND [ARGUMENT...]
#
# TIMES is a file of lines "NAME<tab>SECONDS"; a step run again replaces its line. Standard output
# belongs to the command, the talk goes to standard error, and the command's exit code is passed
# on.
set -u
times=$1
name=$2
shift 2

printf '== %s: %s\n' "$name" "$*" >&2
start=$(date +%s)
"$@"
code=$?
elapsed=$(($(date +%s) - start))
if [ "$code" -ne 0 ]; then
    printf '== %s: failed with exit code %s after %s s\n' "$name" "$code" "$elapsed" >&2
    exit "$code"
fi
printf '== %s: %s s\n' "$name" "$elapsed" >&2

touch "$times"
{
    awk -F '\t' -v name="$name" '$1 != name' "$times"
    printf '%s\t%s\n' "$name" "$elapsed"
} > "$times.$$"
mv "$times.$$" "$times"
