#!/usr/bin/env bash
# gpu_box.sh [--device cuda|cpu] [--build DIR] [--out DIR]: builds, calibrates, predicts, measures and compares on a box with
# GPUs, then runs the tests that need a device and the sanitizer. Results go to a new folder. Planned for less than eight
# minutes on one H200 (not measured yet). Each stage has a time limit, and the others run if one fails.
# --device cpu does the same on threads of this machine, with small problems: a test of the method, not of speed.
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
[[ -z $(ls -A "$out" 2> /dev/null) ]] || { echo "--out $out: not empty; results of two runs would mix" >&2; exit 2; }
mkdir -p "$build" "$out/validate" || exit 2
build=$(cd "$build" && pwd) && out=$(cd "$out" && pwd)
meshattn=$build/experiments/meshattn
cd "$out" || exit 2 # paths of results are relative: the folder can be moved, and its table predicted again
trap 'kill -TERM -- "-$pid" 2> /dev/null; exit 130' INT TERM
readonly whole=480 # seconds for all stages with --device cuda

failed=0
printf '| stage | result | seconds |\n|---|---|---|\n' > stages.md

# stage NAME SECONDS COMMAND...: runs a command with its output in NAME.txt; in the background, so that interrupts work.
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
  ((status != 124 && status != 137)) || result="FAILED (more than $limit s)"
  ((status == 0)) || { failed=1 && tail -n 3 "$name.txt" >&2; }
  echo "| $name | $result | $((SECONDS - begin)) |" | tee -a stages.md >&2
  return "$status"
}

skip() { echo "| $1 | skipped: $2 | |" | tee -a stages.md >&2; }

# The schedules to measure and predict, a line each: BLOCK|NAME|OPTIONS.
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
  local chunk # K tokens of a rank: 16 ranks of 4K need 29 GB
  chunk=$(awk '$1 == "memory_GB" { print $3 > 40 ? 4 : $3 > 20 ? 2 : 1 }' topologies/gpus/box-gpu.ini)
  for n in 4 8 16; do
    for pass in forward backward; do
      echo "$n ranks, $pass|ring|--gpus $n --seq $((chunk * n))K $shape --pass $pass --algorithm ring"
      case $n in 4) set -- 2x2 4x1 ;; 8) set -- 2x4 4x2 8x1 ;; 16) set -- 2x8 4x4 8x2 ;; esac
      for tile in "$@"; do
        echo "$n ranks, $pass|mesh $tile|--gpus $n --seq $((chunk * n))K $shape --pass $pass --algorithm mesh --tile $tile"
      done
    done
  done
}

# Runs and simulates each schedule; all measurements become one table.
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

# Figures of calibrate beside their targets on an H200, by rates of cuDNN 9.19 there (topologies/gpus/h200.ini).
figures() {
  awk '
    function row(what, figure, wanted) { printf "%-46s %10s   %s\n", what, figure, wanted }
    $3 ~ /^[0-9]+$/ && ($1 == "forward" || $1 == "backward") && $2 == "full" { rate[$1, $3] = $4 }
    match($0, /merging: .*\([0-9]+ %/) { merging = $0; sub(/.*\(/, "", merging) }
    match($0, /end of an op to the start of the next: /) { gap = substr($0, RSTART + RLENGTH); sub(/;.*/, "", gap) }
    match($0, /timing an op: .*\(/) { timing = substr($0, RSTART + RLENGTH) + 0 }
    $1 == "copies" && NF > 5 { overlap = $(NF - 1) }
    BEGIN {
      split("4096 8192 16384", tokens)
      split("forward backward", passes)
      split("671 691 702", published); for (i in published) full["forward", i] = published[i]
      split("560 594 612", published); for (i in published) full["backward", i] = published[i]
      wanted["forward"] = ">= 0.93"; wanted["backward"] = ">= 0.90"
    }
    function of(pass, keys, whole) { return rate[pass, keys] && whole ? sprintf("%.2f", rate[pass, keys] / whole) : "-" }
    END {
      row("figure", "here", "wanted on an H200")
      for (p = 1; p <= 2; p++)
        for (i = 1; i <= 3; i++)
          row(passes[p] ", full, " tokens[i] ", of " full[passes[p], i] " TFLOP/s", of(passes[p], tokens[i], full[passes[p], i]),
              wanted[passes[p]])
      for (p = 1; p <= 2; p++)
        row("kernels of 4096 against 16384, " passes[p], of(passes[p], 16384, rate[passes[p], 4096]), "<= 1.10")
      row("merging, of what a copy reads and writes", merging == "" ? "-" : sprintf("%d %%", merging), ">= 80 %")
      row("from the end of an op to the next", gap == "" ? "-" : gap, "<= 5 us")
      row("timing an op by events", timing == "" ? "-" : sprintf("%.1f %%", timing), "<= 1 %")
      row("overlap of copies and attention", overlap == "" ? "-" : sprintf("%.1f %%", overlap), ">= 90 %")
    }' calibrate.txt
}

# Several GPUs with one rank each, over NCCL: calibrates links and attention, and validates a ring.
several() {
  local n=$1
  "$meshattn" calibrate --name nccl --out topologies --ranks-per-gpu 1 --transport nccl --ctas 16 --lengths 2K,4K \
    --message-tokens 64,1K,4K,16K --log-level info &&
    "$meshattn" validate --cluster nccl --topologies topologies --transport nccl --gpus "$n" --seq "$((4 * n))K" \
      --heads 64 --kv-heads 8 --head-dim 128 --mask causal --check no --algorithm ring --pass both --json nccl.json
}

export -f cases validate_all build_all sanitize figures several
export device source build meshattn
in_shell=(bash -o pipefail -c '"$@"' bash) # timeout runs programs only: a shell that has these functions

# calibrated SECONDS OPTIONS...: makes the cluster `box`, and compares its predictions with measurements.
calibrated() {
  local limit=$1
  shift
  if stage calibrate "$limit" "$meshattn" calibrate --device "$device" --name box --out topologies --log-level info "$@"; then
    stage figures 10 "${in_shell[@]}" figures
    stage validate 200 "${in_shell[@]}" validate_all
    stage errors 60 "$meshattn" validate --table measured.csv --json errors.json
  else
    skip validate "not calibrated"
  fi
}

# GPUs that a process can see.
number_of_gpus() {
  if [[ -n ${CUDA_VISIBLE_DEVICES-} ]]; then
    tr ',' '\n' <<< "$CUDA_VISIBLE_DEVICES" | wc -l
  else
    nvidia-smi --query-gpu=index --format=csv,noheader 2> /dev/null | wc -l
  fi
}

if [[ $device == cpu ]]; then
  [[ -x $meshattn ]] || stage build 600 "${in_shell[@]}" build_all
  calibrated 60 --ranks-per-gpu 4 --lengths 64,128,256
elif stage build 240 "${in_shell[@]}" build_all; then
  calibrated 120 --ranks-per-gpu 16
  stage tests 150 env MESHATTN_REQUIRE_GPU=1 ctest --test-dir "$build" -j "$(($(nproc) < 8 ? $(nproc) : 8))" \
    --output-on-failure --no-tests=error -R '^(cuda|gpu|graphs|mpi)\.'
  if command -v compute-sanitizer > /dev/null; then
    stage sanitizer 90 "${in_shell[@]}" sanitize
  else
    skip sanitizer "no compute-sanitizer"
  fi
  gpus=$(number_of_gpus)
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
  for part in calibrate figures errors nccl; do
    [[ -s $part.txt ]] && printf '\n## %s\n\n```\n%s\n```\n' "$part" "$(cat "$part.txt")"
  done
} > summary.md
echo "results: $out/summary.md" >&2
exit "$failed"
