#!/usr/bin/env bash
# gpu_box.sh [--device cuda|cpu] [--build DIR] [--out DIR]: what a box with GPUs does, in a folder of results: builds, runs
# the tests that need a device and the sanitizer, calibrates, predicts, measures and compares. Made to take less than eight
# minutes on one H200 (not measured yet). Every stage has its own time limit, and the rest goes on if one fails.
# --device cpu does the same on threads of this machine, small: a test of the method, not of speed.
set -uo pipefail
source=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd) || exit 2

usage() { sed -n '2s/^# //p' "${BASH_SOURCE[0]}" | cut -d: -f1; }
device=cuda build=$source/build out="" pid="" begun=$SECONDS
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
trap 'kill -TERM -- "-$pid" 2> /dev/null; exit 130' INT TERM
readonly whole=480 # seconds, of all stages; a test of the method has no such end

failed=0
printf '| stage | result | seconds |\n|---|---|---|\n' > stages.md

# stage NAME SECONDS COMMAND...: what it prints goes to NAME.txt. Runs in the background, so that an interrupt is heard.
stage() {
  local name=$1 limit=$2 begin=$SECONDS status=0 result=ok
  shift 2
  [[ $device == cpu ]] || limit=$((whole - (SECONDS - begun) < limit ? whole - (SECONDS - begun) : limit))
  ((limit > 5)) || { skip "$name" "no time left" && failed=1 && return 1; }
  echo "$name …" >&2
  setsid timeout --kill-after=5 "$limit" "$@" > "$name.txt" 2>&1 &
  pid=$!
  wait "$pid" || status=$?
  ((status == 0)) || result="FAILED (status $status)"
  ((status != 124)) || result="FAILED (more than $limit s)"
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
  for n in 4 8 16; do
    for pass in forward backward; do
      echo "$n ranks, $pass|ring|--gpus $n --seq $((4 * n))K $shape --pass $pass --algorithm ring"
      case $n in 4) set -- 2x2 4x1 ;; 8) set -- 2x4 4x2 8x1 ;; 16) set -- 2x8 4x4 8x2 ;; esac
      for tile in "$@"; do
        echo "$n ranks, $pass|mesh $tile|--gpus $n --seq $((4 * n))K $shape --pass $pass --algorithm mesh --tile $tile"
      done
    done
  done
}

# Runs and simulates each, op by op; all of them become a table of measurements.
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

# Attention of one rank at the lengths whose rates are published.
bench() {
  local length status=0
  for length in 4K 8K 16K; do
    echo "== $length tokens, full mask"
    "$meshattn" run --cluster dgx-h200 --gpus 1 --heads 64 --kv-heads 8 --head-dim 128 --seq "$length" --mask full \
      --algorithm ring --pass both --check no --json "dense-$length.json" && "$meshattn" run --cluster dgx-h200 --gpus 4 \
      --ranks-per-gpu 4 --heads 64 --kv-heads 8 --head-dim 128 --seq "$length" --mask full --algorithm ring --pass both \
      --check no --json "ring-of-4-$length.json" || status=1
  done
  return "$status"
}

# A box of several GPUs, one rank each, over NCCL, beside the ranks that share one.
several() {
  local n=$1
  "$meshattn" calibrate --name nccl --out topologies --ranks-per-gpu 1 --transport nccl --ctas 1,16 &&
    "$meshattn" validate --cluster nccl --topologies topologies --transport nccl --gpus "$n" --seq "$((4 * n))K" \
      --heads 64 --kv-heads 8 --head-dim 128 --mask causal --check no --algorithm ring --pass both --json nccl.json
}

export -f cases validate_all build_all sanitize bench several
export device source build meshattn
in_shell=(bash -o pipefail -c '"$@"' bash) # timeout runs programs only: a shell that has these functions

errors() { stage errors 60 "$meshattn" validate --table measured.csv --json errors.json; }
if [[ $device == cpu ]]; then
  [[ -x $meshattn ]] || stage build 600 "${in_shell[@]}" build_all
  if stage calibrate 60 "$meshattn" calibrate --device cpu --ranks-per-gpu 4 --name box --out topologies --lengths 64,128,256; then
    stage validate 120 "${in_shell[@]}" validate_all
    errors
  else
    skip validate "not calibrated"
  fi
elif stage build 240 "${in_shell[@]}" build_all; then
  stage tests 150 env MESHATTN_REQUIRE_GPU=1 ctest --test-dir "$build" --output-on-failure --no-tests=error \
    -R '^(cuda|gpu|graphs|mpi)\.'
  if stage calibrate 120 "$meshattn" calibrate --name box --out topologies --ranks-per-gpu 16; then
    stage validate 180 "${in_shell[@]}" validate_all
    errors
  else
    skip validate "not calibrated"
  fi
  stage bench 60 "${in_shell[@]}" bench
  if command -v compute-sanitizer > /dev/null; then
    stage sanitizer 90 "${in_shell[@]}" sanitize
  else
    skip sanitizer "no compute-sanitizer"
  fi
  gpus=$(nvidia-smi --list-gpus 2> /dev/null | wc -l)
  if ((gpus > 1)); then stage nccl 120 "${in_shell[@]}" several "$gpus"; else skip nccl "one GPU"; fi
else
  skip "everything else" "not built"
fi

{
  echo "# What $([[ $device == cuda ]] && echo this box || echo 'the CPU executor') did, $(date +%F)"
  [[ $device == cuda ]] || printf '\nThreads of a CPU: a test of the method, not of speed.\n'
  printf '\n%s\n\nBy `experiments/gpu_box.sh --device %s`, %s.\n\n' "$(grep -m 1 '^measured:' calibrate.txt 2> /dev/null)" "$device" \
    "$("$meshattn" --version 2> /dev/null | tr '\n' ' ' | tr -s ' ')"
  cat stages.md
  for part in calibrate errors bench nccl; do
    [[ -s $part.txt ]] && printf '\n## %s\n\n```\n%s\n```\n' "$part" "$(cat "$part.txt")"
  done
} > summary.md
echo "results: $out/summary.md" >&2
exit "$failed"
