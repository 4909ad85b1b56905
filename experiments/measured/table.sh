#!/usr/bin/env bash
# table.sh PROGRAM [DIR]: how far predictions of what was measured on each device are off, a row for each folder in DIR (this
# one) that gpu_box.sh left; predicted anew. The README has this table.
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
  # Blocks end with their order, the last line before the remark is that of all.
  (cd "${table%/*}" && "$program" validate --table measured.csv) | awk -v device="$device" '
    /^block .* order$/ { blocks = 1; next }
    blocks && /^all / { printf "| %s | %s | %s %% | %s %% | %s |\n", device, $2, $3, $5, least == "" ? "-" : least }
    blocks && !/^all / && $NF ~ /^-?[0-9.]+$/ && (least == "" || $NF < least) { least = $NF }'
  rows=$((rows + 1))
done
((rows > 0)) || echo '| none | | not measured | | |'
