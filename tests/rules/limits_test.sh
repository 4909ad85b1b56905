#!/usr/bin/env bash
# limits_test.sh: limits.sh passes files of 300 lines and folders of 20, and names a longer file and a fuller folder.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT

expect_refused() {
  local said
  if said=$(bash "$here/limits.sh" "$tree" 2>&1) || [[ $said != "$1" ]]; then
    printf 'not refused as "%s":\n%s\n' "$1" "$said"
    exit 1
  fi
}

mkdir -p "$tree"/{core/base,sim,gpu,experiments,tests}
for i in {1..20}; do seq 300 >"$tree/core/base/$i.cpp"; done
bash "$here/limits.sh" "$tree"

echo more >>"$tree/core/base/7.cpp"
expect_refused 'core/base/7.cpp: 301 lines: at most 300'
seq 300 >"$tree/core/base/7.cpp"
echo >"$tree/core/base/21.h"
expect_refused 'core/base: 21 source files: at most 20'
rm "$tree/core/base/21.h"
seq 301 >"$tree/core/README.md"
expect_refused 'core/README.md: 301 lines: at most 300'
