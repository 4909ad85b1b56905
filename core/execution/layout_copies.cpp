#include "core/execution/layout_copies.h"

#include <algorithm>

#include "core/execution/kernel_work.h"

namespace meshattn {

namespace {

/// The attention ops of one rank together.
struct Attention {
  HeadRange heads{0, 0};  ///< of queries
  OpId first = kNone;
};

std::vector<Attention> attention_of_ranks(const Schedule& s) {
  std::vector<Attention> all(static_cast<std::size_t>(s.problem.ranks));
  for (Rank rank = 0; rank < s.problem.ranks; ++rank)
    for (OpId op = s.ops_begin(rank); op < s.ops_end(rank); ++op) {
      Attention& attention = all[static_cast<std::size_t>(rank)];
      const auto add = [&](const auto& attend) {
        for (const auto& row : s.rows_of(attend)) {
          const HeadRange heads = s.region(accumulator_of(row)).heads;
          if (attention.first == kNone) attention = {heads, op};
          attention.heads = {std::min(attention.heads.begin, heads.begin), std::max(attention.heads.end, heads.end)};
        }
      };
      if (const auto* a = std::get_if<Attend>(&s.ops[op])) add(*a);
      if (const auto* b = std::get_if<AttendBackward>(&s.ops[op])) add(*b);
    }
  return all;
}

}  // namespace

std::vector<LayoutCopies> layout_copies(const Schedule& s) {
  const AttentionShape& shape = s.problem.shape;
  const std::vector<Attention> attention = attention_of_ranks(s);
  std::vector<LayoutCopies> copies(attention.size());
  for (std::size_t rank = 0; rank < copies.size(); ++rank) copies[rank].first_attention = attention[rank].first;

  // Heads that a rank attends, on the side (query or key/value) of a value.
  const auto attended_heads = [&](ValueId v, std::size_t rank) {
    const HeadRange heads = attention[rank].heads;
    return on_kv_side(s.values[v].tensor) ? kv_heads_of(heads, shape.group()) : heads;
  };
  std::vector<bool> is_input(s.values.size()), is_counted(s.values.size());
  for (ValueId v : s.inputs) is_input[v] = true;
  for (const Transfer& t : s.transfers) {
    const auto to = static_cast<std::size_t>(s.values[t.made].rank);
    if (attention[to].heads == HeadRange{0, shape.heads}) continue;  // heads one after another: no exchange by heads
    const HeadRange whole = s.region(t.source).heads;
    const bool by_heads = is_input[t.source] && common(attended_heads(t.source, to), whole) != whole;
    if (by_heads || std::ranges::binary_search(s.outputs, t.made))
      copies[to].bytes += static_cast<double>(s.bytes(t.made));
    if (!by_heads || is_counted[t.source]) continue;
    is_counted[t.source] = true;
    const auto from = static_cast<std::size_t>(s.values[t.source].rank);
    const HeadRange kept = common(attended_heads(t.source, from), whole);
    copies[from].bytes +=
        static_cast<double>(s.bytes(t.source)) * (1 + 1.0 * (kept.end - kept.begin) / (whole.end - whole.begin));
  }
  return copies;
}

}  // namespace meshattn
