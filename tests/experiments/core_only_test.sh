#!/usr/bin/env bash
# A program that was built without the simulator: what it does, and that it refuses the rest: core_only_test.sh PROGRAM
set -euo pipefail
program=$1
problem="--cluster dgx-h100 --gpus 16 --model llama-3.1-8b --seq 64K"

# shellcheck disable=SC2086  # options have no quoting
[[ $("$program" plan $problem --tile 4x4 --placement search --pass both) == *$'\nproved: '*$'\nproved: '* ]]
[[ $("$program" topology --cluster dgx-h100 --gpus 16) == *node* ]]
[[ $("$program" run --device cpu --cluster ideal-8x50 --gpus 4 --heads 4 --head-dim 16 --seq 256 --mask causal --tile 2x2) \
   == *"deviation from dense attention: O "* ]]

for verb in "simulate $problem --tile 4x4" "compare $problem" "validate --table $0"; do
  status=0
  # shellcheck disable=SC2086  # likewise
  said=$("$program" $verb 2>&1) || status=$?
  [[ $status == 2 && $said == "meshattn: this meshattn was built without the simulator"* && $said != *$'\n'* ]] || {
    echo "meshattn $verb: status $status: $said" >&2
    exit 1
  }
done
