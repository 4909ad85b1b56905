#!/usr/bin/env bash
# limits.sh ROOT: fails when a source, script or document of the tree at ROOT has more than 300 lines, or a folder more
# than 20 source files, and prints each.
set -euo pipefail
cd "$1"

mapfile -t sources < <(find core sim gpu experiments tests -name '*.h' -o -name '*.cpp' -o -name '*.cu' -o -name '*.cuh')
mapfile -t texts < <(find . \( -name .git -o -name 'build*' \) -prune -o \
  \( -name '*.sh' -o -name '*.md' -o -name CMakeLists.txt \) -print | sed 's#^\./##')
bad=$(wc -l "${sources[@]}" "${texts[@]}" | awk '$2 != "total" && $1 > 300 { print $2 ": " $1 " lines: at most 300" }'
  printf '%s\n' "${sources[@]%/*}" | sort | uniq -c | awk '$1 > 20 { print $2 ": " $1 " source files: at most 20" }')
[[ -z $bad ]] || { echo "$bad" >&2; exit 1; }
