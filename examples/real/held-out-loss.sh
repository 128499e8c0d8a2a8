#!/bin/sh
# Loss of each run on the held-out text, in nats per target token: the last checkpoint's, and that of
# the average of the last ones. Each argument is what `isogloss train` printed.
printf '%-12s %8s %8s\n' run last average
for log in "$@"; do
    awk -v name="$(basename "$log" .log)" '
        $1 == "valid" && $3 == "all" { for (i = 4; i < NF; i++) if ($i == "nll") v[++n] = $(i + 1) }
        END { printf "%-12s %8s %8s\n", name, v[n - 1], v[n] }' "$log"
done
echo
