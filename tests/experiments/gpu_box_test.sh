#!/usr/bin/env bash
# gpu_box_test.sh SOURCE BUILD: experiments/gpu_box.sh on the CPU leaves all results, complete. Times are not checked.
set -euo pipefail
source=$1 build=$2
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

bash "$source/experiments/gpu_box.sh" --device cpu --build "$build" --out "$out"
for stage in calibrate validate errors; do
  grep -qE "^\\| $stage \\| ok \\|" "$out/summary.md" || { echo "stage $stage is not ok" >&2; exit 1; }
done
grep -q "a test of the method, not of speed" "$out/summary.md"
grep -qE "^all +6 " "$out/errors.txt" || { echo "not six rows" >&2; exit 1; }
[[ $(wc -l < "$out/measured.csv") == 7 ]]
for kind in json trace.json; do
  files=("$out"/validate/*ward."$kind")
  [[ ${#files[@]} == 6 ]] || { echo "${#files[@]} files of $kind, not 6" >&2; exit 1; }
  for file in "${files[@]}"; do
    tail -c 2 "$file" | grep -q "}" || { echo "$file is not whole" >&2; exit 1; }
  done
done

# The measurements make a row of the table.
mkdir -p "$out/devices/here" && cp -r "$out/measured.csv" "$out/topologies" "$out/devices/here"
row=$(bash "$source/experiments/measured/table.sh" "$build/experiments/meshattn" "$out/devices" | tail -n 1)
grep -qE '^\| [0-9]+ CPU threads .* \| 6 \| [0-9.]+ % \| [0-9.]+ % \| (-?[01]\.[0-9]+|-) \|$' <<< "$row" || { echo "no row: $row" >&2; exit 1; }

# A failed stage is in the summary and in the status.
mkdir "$out/broken" "$out/broken/experiments"
printf '#!/bin/sh\necho broken >&2\nexit 3\n' > "$out/broken/experiments/meshattn"
chmod +x "$out/broken/experiments/meshattn"
if bash "$source/experiments/gpu_box.sh" --device cpu --build "$out/broken" --out "$out/a b" 2> "$out/error"; then exit 1; fi
grep -q "calibrate | FAILED (status 3)" "$out/a b/summary.md"
grep -q "validate | skipped: not calibrated" "$out/a b/summary.md"
if bash "$source/experiments/gpu_box.sh" --device tpu 2> "$out/error"; then exit 1; fi
grep -q "possible are cuda, cpu" "$out/error"
