#!/usr/bin/env bash
# example_test.sh PROGRAM TOPOLOGIES GOLDEN: an example prints what the golden file says.
set -euo pipefail
program=$1 topologies=$2 golden=$3

"$program" "$topologies" >"$(basename "$golden")"
if [[ -n ${MESHATTN_UPDATE_GOLDEN:-} ]]; then cp "$(basename "$golden")" "$golden"; fi
diff "$golden" "$(basename "$golden")"
