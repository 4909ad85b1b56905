#!/usr/bin/env bash
# Runs every command that README.md shows: readme_test.sh README PROGRAM
set -euo pipefail
readme=$1 program=$2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
ln -s "$(dirname "$readme")/experiments" "$scratch/experiments"  # files that commands name
cd "$scratch"

text=$(cat "$readme")
ran=0
while read -r line; do
  arguments=${line#build/experiments/meshattn }
  echo "meshattn $arguments"
  # shellcheck disable=SC2086  # the README's commands have no quoting
  said=$("$program" $arguments)
  [[ -n $said ]] || { echo "it printed nothing" >&2; exit 1; }
  if [[ $arguments == validate* ]]; then  # what it prints stands in the README as it is, of long tables the part by block
    [[ ! $arguments =~ usp-pcie|5-heads|ring-h100|pcie-4090d ]] || said=$(sed '1,/^$/d' <<< "$said")
    [[ $text == *"$(sed 's/^./    &/' <<< "$said")"* ]] || { echo "not in the README: $said" >&2; exit 1; }
  fi
  ran=$((ran + 1))
done < <(grep -oE '^    build/experiments/meshattn .*' "$readme" | sed 's/^ *//')

# shellcheck disable=SC2046  # likewise
said=$("$program" $(sed -nE 's/^build.experiments.meshattn (compare .*)/\1/p' experiments/quickstart.sh))
[[ $text == *"$(sed 's/^./    &/' <<< "$said")"* ]] || { echo "not in the README: $said" >&2; exit 1; }

while read -r line; do
  grep -qF -- "$line" "$readme" || { echo "not in the README: $line" >&2; exit 1; }
done < <(bash experiments/measured/table.sh "$program")

((ran >= 5)) || { echo "only $ran commands found in $readme" >&2; exit 1; }
[[ -s trace.json && -s schedule.txt ]] || { echo "the trace or the schedule was not written" >&2; exit 1; }
echo "$ran commands ran"
