#!/usr/bin/env bash
# Runs every command that README.md shows: readme_test.sh README PROGRAM
set -euo pipefail
readme=$1 program=$2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
ln -s "$(dirname "$readme")/experiments" "$scratch/experiments"  # files that commands name
cd "$scratch"

ran=0
while read -r line; do
  arguments=${line#build/experiments/meshattn }
  echo "meshattn $arguments"
  # shellcheck disable=SC2086  # the README's commands have no quoting
  said=$("$program" $arguments)
  [[ -n $said ]] || { echo "it printed nothing" >&2; exit 1; }
  if [[ $arguments == validate* ]]; then  # its tables stand in the README as they are: that by block, and the rows or not
    first=$(sed -nE '2s/( [0-9.]+ (s|ms|us)) .*/\1/p' <<< "$said")  # its row, with what was published
    rows=$(grep -cF -- "$first" "$readme") || true
    while read -r said_line; do
      grep -qF -- "$said_line" "$readme" || { echo "not in the README: $said_line" >&2; exit 1; }
    done < <(if ((rows > 0)); then echo "$said"; else sed '1,/^$/d' <<< "$said"; fi)
  fi
  ran=$((ran + 1))
done < <(grep -oE '^    build/experiments/meshattn .*' "$readme" | sed 's/^ *//')

while read -r line; do
  grep -qF -- "$line" "$readme" || { echo "not in the README: $line" >&2; exit 1; }
done < <(bash experiments/measured/table.sh "$program")

((ran >= 5)) || { echo "only $ran commands found in $readme" >&2; exit 1; }
[[ -s trace.json && -s schedule.txt ]] || { echo "the trace or the schedule was not written" >&2; exit 1; }
echo "$ran commands ran"
