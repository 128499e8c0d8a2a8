#!/bin/sh
# Losses of runs on the held-out text, in nats per target token: the last checkpoint's, and that of
# the average of the last ones. Each argument is the log.jsonl of a run; a run's name is its folder's,
# or that of the folder above when it is called `run`.
set -eu
printf '%-12s %8s %8s\n' run last average
for log in "$@"; do
    test -r "$log" || { echo "held-out-loss: cannot read $log" >&2; exit 1; }
    folder=$(dirname "$log")
    name=$(basename "$folder")
    test "$name" != run || name=$(basename "$(dirname "$folder")")
    awk -v name="$name" '
        /"type":"valid"/ && /"group":"all"/ {
            split($0, part, "\"nll\":"); split(part[2], value, ","); v[++n] = value[1]
        }
        END {
            if (n < 2) { print "held-out-loss: no two validations of " name > "/dev/stderr"; exit 1 }
            printf "%-12s %8.4f %8.4f\n", name, v[n - 1], v[n]
        }' "$log"
done
echo
