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
expect_refused core/planted.h '#include <cuda_runtime.h>'
expect_refused core/planted.h '#include <nccl.h>'
expect_refused core/planted.h '#include <boost/version.hpp>'
expect_refused core/planted.h '#include <spdlog/fmt/fmt.h>'
expect_refused core/passes/planted.cpp '#include <simgrid/s4u.hpp>'
expect_refused core/planted.cpp '  #  include "sim/simulator.h"'
expect_refused core/planted.cpp '#include "../experiments/request.h"'
expect_refused sim/planted.cpp '#include "gpu/kernel.h"'
expect_refused sim/planted.h '#include "experiments/request.h"'
expect_refused gpu/planted.cu '#include "sim/simulator.h"'
expect_refused gpu/planted.cpp '#include "experiments/request.h"'
