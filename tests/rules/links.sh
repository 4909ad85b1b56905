#!/usr/bin/env bash
# links.sh ROOT: fails when a document of the tree at ROOT names a file that is not there, and prints each with its line.
#   Checked are relative links, `](path)`, and names in backticks that look like a path: `folder/file`, `folder/` or `name.h`.
#   An anchor, `](path#anchor)`, is a heading of that document, as GitHub names it.
#   A path is looked for from the document's folder and from ROOT. Paths below build/ are products and are not checked.
set -euo pipefail
cd "$1"
violations=0

# exists FOLDER PATH
exists() {
  [[ -e $1/$2 || -e $2 ]] && return
  # A name without a folder may be that of any file below the document's folder.
  [[ $2 != */* && -n $(find "$1" -name "$2" -not -path '*/build*' -print -quit) ]]
}

# anchors DOCUMENT: of its headings.
anchors() { sed -nE 's/^#+ //p' "$1" | tr '[:upper:]' '[:lower:]' | sed -E 's/[^[:alnum:] _-]//g; s/ /-/g'; }

# check DOCUMENT LINE PATH
check() {
  local document=$1 line=$2 path=${3%%#*} target
  if [[ $3 == *'#'* && $3 != *:* ]]; then
    target=$document
    [[ -z $path ]] || target=$(dirname "$document")/$path
    [[ ! -f $target ]] || anchors "$target" | grep -qxF -- "${3#*#}" || {
      echo "$document:$line: no such heading: $3"
      violations=1
    }
  fi
  [[ -n $path && $path != *:* && $path != build/* && $path != *[\*\<\{\ ]* ]] || return 0
  exists "$(dirname "$document")" "$path" && return
  echo "$document:$line: no such file: $path"
  violations=1
}

documents=()
for package in core sim gpu topologies experiments tests; do
  [[ -d $package ]] || continue
  while IFS= read -r document; do documents+=("$document"); done < <(find "$package" -name '*.md' | sort)
done
for document in *.md; do [[ ! -f $document ]] || documents+=("$document"); done
((${#documents[@]} > 0)) || { echo "no documents below $1" >&2; exit 1; }

packages='core|sim|gpu|topologies|experiments|tests'
extensions='h|cpp|cu|sh|md|csv|ini|txt|json'
for document in "${documents[@]}"; do
  while IFS=: read -r line path; do check "$document" "$line" "$path"; done < <(
    grep -noE '\]\([^)]+\)' "$document" | sed -E 's/^([0-9]+):\]\(([^)]+)\)/\1:\2/')
  while IFS=: read -r line path; do check "$document" "$line" "$path"; done < <(
    grep -noE "\`(($packages)/[A-Za-z0-9_./-]*|[A-Za-z0-9_./-]+\.($extensions))\`" "$document" | tr -d '`')
done
exit $violations
