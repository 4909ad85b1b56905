#!/usr/bin/env bash
# gpu_box_test.sh SOURCE BUILD: experiments/gpu_box.sh on the CPU, from one command: everything that it should leave is
# there and whole. Of times nothing is asked.
set -euo pipefail
source=$1 build=$2
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

bash "$source/experiments/gpu_box.sh" --device cpu --build "$build" --out "$out"
for stage in calibrate validate; do
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

# What fails is told, and does not stop the rest.
if bash "$source/experiments/gpu_box.sh" --device tpu 2> "$out/error"; then exit 1; fi
grep -q "possible are cuda, cpu" "$out/error"
