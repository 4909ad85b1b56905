#!/usr/bin/env bash
# layering.sh ROOT: fails when a package of the tree at ROOT includes what it must not know, and prints each such line.
#   experiments -> sim, gpu -> core; core headers include the standard library and core alone.
set -euo pipefail
cd "$1"

violations=0

# forbid WHY REGEX GLOB PACKAGE: no file of the package that matches the glob has an include that matches the regex.
forbid() {
  local why=$1 what=$2 files=$3 package=$4
  [[ -d $package ]] || return 0
  if grep -rnE --include="$files" "^[[:space:]]*#[[:space:]]*include[[:space:]]*$what" "$package"; then
    echo "  ^ $why" >&2
    violations=1
  fi
}

# Packages are included from the root; a path that climbs with .. is caught too.
packages() { echo "[\"<](\\.\\./)*($1)/"; }
libraries='[<"](simgrid|xbt|boost|cuda|cudnn|nccl|cublas|mpi)[^>"]*[>"]'

for files in '*.h' '*.cpp' '*.cu' '*.cuh'; do
  forbid 'core knows no other package' "$(packages 'sim|gpu|experiments|tests')" "$files" core
  forbid 'core knows neither SimGrid nor Boost nor a GPU' "$libraries" "$files" core
  forbid 'sim knows core alone' "$(packages 'gpu|experiments|tests')" "$files" sim
  forbid 'gpu knows core alone' "$(packages 'sim|experiments|tests')" "$files" gpu
  forbid 'experiments do not know tests' "$(packages 'tests')" "$files" experiments
done
# Standard headers have neither a dot nor a slash in their names.
forbid 'core headers include the standard library and core alone' '<[^>]*[./]' '*.h' core

exit $violations
