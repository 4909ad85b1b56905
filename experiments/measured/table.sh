#!/usr/bin/env bash
# table.sh PROGRAM [DIR]: errors of predictions by device, a row for each folder in DIR (default: this one) with results of
# gpu_box.sh. Predicts again. The documentation has this table.
set -euo pipefail
(($# == 1 || $# == 2)) || { echo "usage: table.sh PROGRAM [DIR]" >&2; exit 2; }
[[ -x $1 ]] || { echo "no program $1" >&2; exit 2; }
program=$(realpath "$1")
cd "${2:-$(dirname "${BASH_SOURCE[0]}")}"

printf '| device | schedules | median error | worst | order |\n|---|---|---|---|---|\n'
rows=0
for table in */measured.csv; do
  [[ -f $table ]] || continue
  device=$(sed -n 's/^# measured: \([^,]*\).*/\1/p' "${table%/*}/topologies/clusters/box.ini" | head -n 1)
  # Lines of blocks end with their rank correlation; the line of all rows follows them.
  (cd "${table%/*}" && "$program" validate --table measured.csv) | awk -v device="$device" '
    /^block .* order$/ { blocks = 1; next }
    blocks && /^all / { printf "| %s | %s | %s %% | %s %% | %s |\n", device, $2, $3, $5, least == "" ? "-" : least }
    blocks && !/^all / && $NF ~ /^-?[0-9.]+$/ && (least == "" || $NF < least) { least = $NF }'
  rows=$((rows + 1))
done
((rows > 0)) || echo '| none | | not measured | | |'
