#!/usr/bin/env bash
# readme_test.sh ROOT DOCUMENT PROGRAM: runs every command that a document shows and compares what the document shows of the output.
#   A command is an indented line `build/experiments/NAME ...`, or one of measured/table.sh or quickstart.sh.
#   `validate`: the output stands below, indented. Of a table with more than 12 rows, the part by block.
#   `topology`: lines that the document shows. `order_gap` and `table.sh`: the output is a table of the document.
#   Every option is one of a verb. No indented line has a time or a percentage that no command printed.
set -euo pipefail
root=$(cd "$1" && pwd) document=$2 program=$(realpath "$3")
text=$(cat "$root/$document")$'\n'
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
ln -s "$root/experiments" "$scratch/experiments"  # files that commands name
cd "$scratch"

fail() {
  printf '%s: %s\n' "$document" "$*" >&2
  exit 1
}

indented() { sed 's/^./    &/'; }

# The output of order_gap as a table: a row for each kind of hops and order, a column for each number of ranks.
order_table() {
  awk '
    NR > 2 {
      hops = substr($0, 1, 32); sub(/ partials *$/, "", hops)
      n = substr($0, 33, 5) + 0; order = substr($0, 39, 8); sub(/ *$/, "", order)
      row = hops ", " order
      if (!(row in cells)) rows[++count] = row
      if (!(n in seen)) { seen[n] = 1; head = head (head == "" ? " n = " : " ") n " |"; rule = rule "---|" }
      cells[row] = cells[row] sprintf(" %.2f (%.1f) |", substr($0, 47, 8), substr($0, 56, 8))
    }
    END {
      print "| hops, order |" head
      print "|---|" rule
      for (i = 1; i <= count; ++i) print "| " rows[i] " |" cells[rows[i]]
    }'
}

# commands REGEX: the indented lines of the document that match, without their indentation.
commands() { grep -oE "^    $1" <<< "$text" | sed 's/^ *//' || true; }

ran=0
: > said
while read -r line; do
  [[ -n $line ]] || continue
  echo "$line"
  arguments=${line#build/experiments/meshattn }
  # shellcheck disable=SC2086  # the commands of documents have no quoting
  said=$("$program" $arguments)
  [[ -n $said ]] || fail "it printed nothing: $line"
  echo "$said" >> said
  if [[ $arguments == validate* ]]; then
    rows=$(sed '/^$/q' <<< "$said" | wc -l)  # with the head and the empty line
    ((rows <= 14)) || said=$(sed '1,/^$/d' <<< "$said")
    [[ $text == *"    $line"$'\n\n'"$(indented <<< "$said")"* ]] || fail "this does not stand below $line:"$'\n'"$said"
  fi
  ran=$((ran + 1))
done < <(commands 'build/experiments/meshattn .*')

while read -r line; do
  [[ -n $line ]] || continue
  echo "$line"
  case $line in
    build/experiments/order_gap) said=$("$(dirname "$program")/order_gap" | order_table) ;;
    experiments/measured/table.sh*) said=$(bash experiments/measured/table.sh "$program") ;;
  esac
  [[ $text == *$'\n\n'"$said"$'\n'* ]] || fail "not its table:"$'\n'"$said"
  ran=$((ran + 1))
done < <(commands '(build/experiments/order_gap$|experiments/measured/table[.]sh .*)')

# What each document has to show, at least.
least=0
case $document in
  README.md)
    least=6
    # shellcheck disable=SC2046  # no quoting either
    said=$("$program" $(sed -nE 's/^build.experiments.meshattn (compare .*)/\1/p' experiments/quickstart.sh))
    [[ $text == *"$(indented <<< "$said")"* ]] || fail "not the answer of quickstart.sh:"$'\n'"$said"
    echo "$said" >> said
    ;;
  experiments/validation/README.md) least=12 ;;
  core/report/README.md) least=3 ;;
  experiments/README.md) least=8 ;;
  experiments/measured/README.md) least=1 ;;
  core/algorithms/order/README.md | sim/README.md) least=1 ;;
esac
((ran >= least)) || fail "$ran commands where at least $least are expected"

# Every option that it names is one of a verb, but for the options of other programs.
"$program" --help > options
for verb in $(sed -nE '/^  meshattn/d; s/^  ([a-z]+) .*/\1/p' options); do "$program" "$verb" --help >> options; done
while read -r option; do
  [[ -z $option ]] || grep -qE -- "(^|[^a-z-])$option([^a-z-]|\$)" options || fail "no verb has an option $option"
done < <(grep -vE '(cmake|ctest|gpu_box[.]sh|mpirun|srun) ' <<< "$text" | grep -oE '(^|[^A-Za-z0-9-])--[a-z][a-z-]*' | grep -oE -- '--[a-z-]+' | sort -u)

# figures LINES: those that have a time or a percentage.
figures() { grep -E '[0-9] (ms|s|us|%)( |$)' || true; }
while IFS= read -r line; do
  [[ -z $line ]] || grep -qxF -- "$line" said || fail "no command printed this: $line"
done < <(grep -E '^    ' <<< "$text" | sed 's/^    //' | figures)

# The table of errors in the first README: a row for each table of published rows, as the README beside them has it.
if [[ $document == README.md ]]; then
  for table in experiments/validation/*.csv; do
    shown=$(sed -n "\|^    build/experiments/meshattn validate --table $table\$|,\|^    all |p" experiments/validation/README.md | tail -n 1)
    read -r all rows median _ worst _ within _ of _ <<< "$shown"
    [[ $all == all ]] || fail "experiments/validation/README.md does not show $table"
    row="]($table) | $rows | $median % | $worst % | $within of $of |"
    [[ $text == *"$row"* ]] || fail "its table of errors has no row that ends so: $row"
  done
fi

# The table of kernel times: a row for each profile that has points to leave out, as `topology` prints it.
if [[ $document == experiments/validation/README.md ]]; then
  for profile in "$root"/topologies/gpus/*.ini; do
    profile=$(basename "$profile" .ini)
    row=$("$program" topology --cluster dgx-h100 --set "cluster.gpu=$profile" |
      sed -nE 's/^([0-9]+) points of .* left out in turn: (.*) off in the median, (.*) at worst$/| \1 | \2 | \3 |/p')
    [[ -n $row ]] || continue
    grep -F "| $profile |" <<< "$text" | grep -qF -- "$row" || fail "its table of kernel times has no row of $profile that ends so: $row"
  done
fi

for file in trace.json schedule.txt; do
  [[ ! $text =~ build/experiments/meshattn\ [^$'\n']*$file || -s $file ]] || fail "$file was not written"
done
echo "$ran commands ran"
