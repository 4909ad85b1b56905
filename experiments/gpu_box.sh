#!/usr/bin/env bash
# gpu_box.sh [--device cuda|cpu] [--build DIR] [--out DIR]: what a box with GPUs does, in a folder of results: builds, runs
# the tests that need a device and the sanitizer, calibrates, predicts, measures and compares. Made to take less than eight
# minutes on one H200 (not measured yet). Every stage has its own time limit, and the rest goes on if one fails.
# --device cpu does the same on threads of this machine, small: a test of the method, not of speed.
set -uo pipefail
source=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd) || exit 2

usage() { sed -n '2s/^# //p' "${BASH_SOURCE[0]}" | cut -d: -f1; }
device=cuda build=$source/build out=""
while (($# > 0)); do
  case $1 in
    --device | --build | --out) (($# > 1)) || { echo "$1 needs a value" >&2; exit 2; } ;;&
    --device) device=$2 && shift 2 ;;
    --build) build=$2 && shift 2 ;;
    --out) out=$2 && shift 2 ;;
    --help | -h) usage && exit 0 ;;
    *) echo "unknown option $1; usage: $(usage)" >&2 && exit 2 ;;
  esac
done
[[ $device == cuda || $device == cpu ]] || { echo "--device $device: possible are cuda, cpu" >&2; exit 2; }
[[ -n $out ]] || out=box-$device-$(date +%Y%m%d-%H%M%S)
mkdir -p "$build" "$out/validate" || exit 2
build=$(cd "$build" && pwd) && out=$(cd "$out" && pwd)
meshattn=$build/experiments/meshattn
cd "$out" || exit 2 # paths of results are relative: the folder can be moved, and its table predicted again
trap 'exit 130' INT TERM

failed=0
printf '| stage | result | seconds |\n|---|---|---|\n' > stages.md

# stage NAME SECONDS COMMAND...: what it prints goes to NAME.txt.
stage() {
  local name=$1 limit=$2 begin=$SECONDS status=0 result=ok
  shift 2
  echo "$name …" >&2
  timeout --kill-after=5 "$limit" "$@" > "$name.txt" 2>&1 || status=$?
  ((status == 0)) || result="FAILED (status $status)"
  ((status != 124 && status != 137)) || result="FAILED (more than $limit s)"
  ((status == 0)) || { failed=1 && tail -n 3 "$name.txt" >&2; }
  echo "| $name | $result | $((SECONDS - begin)) |" | tee -a stages.md >&2
  return "$status"
}

skip() { echo "| $1 | skipped: $2 | |" | tee -a stages.md >&2; }

# The schedules that are measured and predicted: BLOCK OPTIONS, a line each.
cases() {
  local n tile pass shape
  if [[ $device == cpu ]]; then
    shape="--heads 4 --kv-heads 2 --head-dim 64 --mask causal"
    for pass in forward backward; do
      echo "4 ranks, $pass|ring|--gpus 4 --seq 1K $shape --pass $pass --algorithm ring"
      for tile in 2x2 4x1; do
        echo "4 ranks, $pass|mesh $tile|--gpus 4 --seq 1K $shape --pass $pass --algorithm mesh --tile $tile"
      done
    done
    return
  fi
  shape="--heads 64 --kv-heads 8 --head-dim 128 --mask causal"
  for pass in forward backward; do
    for n in 4 8 16; do
      echo "$n ranks, $pass|ring|--gpus $n --seq $((4 * n))K $shape --pass $pass --algorithm ring"
      case $n in 4) set -- 2x2 4x1 ;; 8) set -- 2x4 4x2 8x1 ;; 16) set -- 2x8 4x4 8x2 ;; esac
      for tile in "$@"; do
        echo "$n ranks, $pass|mesh $tile|--gpus $n --seq $((4 * n))K $shape --pass $pass --algorithm mesh --tile $tile"
      done
    done
  done
}

# Runs and simulates each, op by op; then all of them as a table of measurements.
validate_all() {
  local block name options file ranks status=0
  echo "block,name,value,unit,options,source" > measured.csv
  while IFS='|' read -r block name options; do
    file="validate/${name// /-}-${block//[ ,]/-}"
    ranks=${block%% *}
    echo "== $block: $name"
    # shellcheck disable=SC2086  # options have no quoting
    if ! "$meshattn" validate --device "$device" --ranks-per-gpu "$ranks" --check no --repeats 5 --topologies topologies --cluster box $options \
      --json "$file.json" --trace "$file.trace.json"; then
      status=1
      continue
    fi
    awk -F'[:,]' -v OFS=, -v block="\"$block\"" -v name="$name" -v options="--topologies topologies --cluster box $options" -v source="$device $(date +%F)" \
      '/"measured_s"/ && !done { print block, name, $2 * 1e3, "ms", options, source; done = 1 }' "$file.json" >> measured.csv
  done < <(cases)
  echo "== all"
  "$meshattn" validate --table measured.csv --json errors.json | tee errors.txt || status=1
  return "$status"
}

build_all() {
  cmake -S "$source" -B "$build" -DCMAKE_BUILD_TYPE=Release -DMESHATTN_GPU="$([[ $device == cuda ]] && echo ON || echo AUTO)" &&
    cmake --build "$build" -j "$(nproc)"
}

sanitize() {
  local small="--cluster ideal-8x50 --gpus 4 --ranks-per-gpu 4 --heads 4 --kv-heads 2 --head-dim 64 --seq 1K --mask causal
    --repeats 1 --warm-ups 0 --algorithm mesh --tile 2x2 --pass both" tool status=0
  for tool in memcheck racecheck synccheck; do
    # shellcheck disable=SC2086
    compute-sanitizer --tool "$tool" --error-exitcode 1 "$meshattn" run --kernels reference $small || status=1
  done
  # shellcheck disable=SC2086
  compute-sanitizer --tool memcheck --error-exitcode 1 "$meshattn" run $small || status=1
  return "$status"
}

# A box of several GPUs, one rank each, over NCCL, beside the ranks that share one.
several() {
  local n=$1
  "$meshattn" calibrate --name nccl --out topologies --ranks-per-gpu 1 --transport nccl &&
    "$meshattn" validate --cluster nccl --topologies topologies --transport nccl --gpus "$n" --seq "$((4 * n))K" \
      --heads 64 --kv-heads 8 --head-dim 128 --mask causal --check no --algorithm ring --pass both --json nccl.json
}

export -f cases validate_all build_all sanitize several
export device source build meshattn
in_shell=(bash -c '"$@"' bash) # timeout runs programs only: a shell that has these functions

if [[ $device == cuda ]]; then
  stage build 240 "${in_shell[@]}" build_all
  stage tests 150 env MESHATTN_REQUIRE_GPU=1 ctest --test-dir "$build" --output-on-failure -R '^(cuda|gpu|graphs|mpi)\.'
  if command -v compute-sanitizer > /dev/null; then stage sanitizer 90 "${in_shell[@]}" sanitize; else skip sanitizer "no compute-sanitizer"; fi
  stage calibrate 120 "$meshattn" calibrate --name box --out topologies --ranks-per-gpu 16 --log-level info &&
    stage validate 180 "${in_shell[@]}" validate_all
  gpus=$(nvidia-smi --list-gpus 2> /dev/null | wc -l)
  if ((gpus > 1)); then stage nccl 120 "${in_shell[@]}" several "$gpus"; else skip nccl "one GPU"; fi
  stage bench 60 "$meshattn" run --cluster dgx-h200 --gpus 1 --heads 64 --kv-heads 8 --head-dim 128 --seq 16K --mask full \
    --algorithm ring --pass both --check no --json dense.json
else
  [[ -x $meshattn ]] || stage build 600 "${in_shell[@]}" build_all
  stage calibrate 60 "$meshattn" calibrate --device cpu --name box --out topologies --lengths 64,128,256 &&
    stage validate 120 "${in_shell[@]}" validate_all
fi

{
  echo "# What $([[ $device == cuda ]] && echo this box || echo 'the CPU executor') did, $(date +%F)"
  [[ $device == cuda ]] || printf '\nThreads of a CPU: a test of the method, not of speed.\n'
  printf '\n%s\n\nBy `experiments/gpu_box.sh --device %s`, %s.\n\n' "$(head -n 1 calibrate.txt 2> /dev/null)" "$device" \
    "$("$meshattn" --version 2> /dev/null | tr '\n' ' ' | tr -s ' ')"
  cat stages.md
  for part in calibrate errors bench; do
    [[ -s $part.txt ]] && printf '\n## %s\n\n```\n%s\n```\n' "$part" "$(cat "$part.txt")"
  done
} > summary.md
echo "results: $out/summary.md" >&2
exit "$failed"
