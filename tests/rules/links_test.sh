#!/usr/bin/env bash
# links_test.sh: links.sh passes a small tree and fails, naming the line, once a dead link is planted.
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT

# plant LINE: a tree with one header, whose README has this line after its first.
plant() {
  mkdir -p "$tree/core/base"
  touch "$tree/core/base/error.h"
  printf '# Title\n%s\n' "$1" >"$tree/core/README.md"
}

expect_passed() {
  plant "$1"
  bash "$here/links.sh" "$tree" || { echo "refused: $1"; exit 1; }
}

expect_refused() {
  local output
  plant "$1"
  if output=$(bash "$here/links.sh" "$tree"); then echo "not refused: $1" && exit 1; fi
  [[ $output == "core/README.md:2: no such $2" ]] || { printf 'refused otherwise: %s\n%s\n' "$1" "$output" && exit 1; }
}

expect_passed '[errors](base/error.h), [title](#title), [again](../core/README.md#title), [paper](https://arxiv.org/abs/2512.20968)'
expect_passed '`core/base/error.h`, `base/error.h`, `error.h`, `core/base/`, `build/core/meshattn.txt`, `nic.bandwidth_GBps`'
expect_refused '[errors](base/gone.h)' 'file: base/gone.h'
expect_refused '[errors](gone/)' 'file: gone/'
expect_refused 'see `core/base/gone.h`' 'file: core/base/gone.h'
expect_refused 'see `core/gone/`' 'file: core/gone/'
expect_refused 'see `gone.h`' 'file: gone.h'
expect_refused '[kinds](#kinds)' 'heading: #kinds'
expect_refused '[kinds](README.md#kinds)' 'heading: README.md#kinds'
rm "$tree/core/README.md"
if bash "$here/links.sh" "$tree" 2>/dev/null; then echo "a tree without documents passed" && exit 1; fi
