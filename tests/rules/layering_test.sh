#!/usr/bin/env bash
# layering_test.sh ROOT: layering.sh passes a copy of ROOT and fails, naming the line, once a bad include is planted.
set -euo pipefail
root=$1
here=$(dirname "${BASH_SOURCE[0]}")
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT

fresh_copy() {
  rm -rf "${copy:?}"/*
  for package in core sim gpu experiments; do
    if [[ -d $root/$package ]]; then cp -r "$root/$package" "$copy"; fi
    mkdir -p "$copy/$package"
  done
  mkdir -p "$copy/experiments/examples"
}

expect_refused() {
  local file=$1 line=$2 output
  fresh_copy
  printf '// first line\n%s\n' "$line" >"$copy/$file"
  if output=$(bash "$here/layering.sh" "$copy" 2>&1); then
    echo "not refused: $file: $line"
    exit 1
  fi
  if [[ $output != *"$file:2:$line"* ]]; then
    printf 'refused without naming %s:2:%s:\n%s\n' "$file" "$line" "$output"
    exit 1
  fi
}

fresh_copy
bash "$here/layering.sh" "$copy"
expect_refused core/base/planted.h '#include <cuda_runtime.h>'
expect_refused core/base/planted.h '#include <nccl.h>'
expect_refused core/base/planted.h '#include <boost/version.hpp>'
expect_refused core/base/planted.h '#include <spdlog/fmt/fmt.h>'
expect_refused core/schedule/planted.cpp '#include <simgrid/s4u.hpp>'
expect_refused core/report/planted.cpp '  #  include "sim/simulator.h"'
expect_refused core/report/planted.cpp '#include "../experiments/cli/request.h"'
expect_refused sim/planted.cpp '#include "gpu/kernel.h"'
expect_refused sim/planted.h '#include "experiments/cli/request.h"'
expect_refused gpu/planted.cu '#include "sim/simulator.h"'
expect_refused gpu/planted.h '#include <meshattn/plan.h>'
expect_refused core/planner/planted.cpp '#include "meshattn/plan.h"'
expect_refused experiments/examples/planted.cpp '#include "core/planner/plan.h"'
expect_refused gpu/planted.cpp '#include "experiments/cli/request.h"'

# Each room of core: the room after it, by either way to name it.
rooms=(base problem cluster schedule algorithms execution planner report)
for ((i = 0; i + 1 < ${#rooms[@]}; ++i)); do
  expect_refused "core/${rooms[i]}/planted.h" "#include \"core/${rooms[i + 1]}/planted.h\""
  expect_refused "core/${rooms[i]}/planted.cpp" "#include \"../${rooms[i + 1]}/planted.h\""
done

# Each folder of gpu: the folder after it and the files above all folders.
folders=(base kernels issue fused device job)
for ((i = 0; i < ${#folders[@]}; ++i)); do
  if ((i + 1 < ${#folders[@]})); then
    expect_refused "gpu/${folders[i]}/planted.h" "#include \"gpu/${folders[i + 1]}/planted.h\""
  fi
  expect_refused "gpu/${folders[i]}/planted.cu" '#include "gpu/run.h"'
done

expect_refused_saying() {
  local what=$1 output
  if output=$(bash "$here/layering.sh" "$copy" 2>&1) || [[ $output != *"$what"* ]]; then
    printf 'not refused as "%s":\n%s\n' "$what" "$output"
    exit 1
  fi
}
fresh_copy
mkdir "$copy/core/attic"
echo >"$copy/core/attic/planted.h"
expect_refused_saying 'not a room of core: attic'
fresh_copy
mkdir "$copy/gpu/attic"
echo >"$copy/gpu/attic/planted.h"
expect_refused_saying 'not a room of gpu: attic'
fresh_copy
printf '#include "core/base/there.h"\n' >"$copy/core/base/here.h"
printf '#include "core/base/here.h"\n' >"$copy/core/base/there.h"
expect_refused_saying 'includes go in a circle'
