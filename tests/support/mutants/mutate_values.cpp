#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "tests/support/mutants/mutator.h"

/// Mutations of values, transfers, outputs, reuse waits and memory.
namespace meshattn::testing {

std::string Mutator::shrink(ValueId v) {
  const Region r = s_.region(v);
  std::vector<Cell> cells(r.cells.begin(), r.cells.end());
  HeadRange heads = r.heads;
  if (cells.size() > 1 && (heads.end - heads.begin == 1 || below(2) == 0))
    cells.erase(cells.begin() + static_cast<std::ptrdiff_t>(below(cells.size())));
  else if (heads.end - heads.begin > 1)
    below(2) == 0 ? --heads.end : ++heads.begin;
  else
    return {};
  s_.values[v].region = s_.regions.intern(cells, heads);
  return fmt::format("shrink value {}", v);
}

std::string Mutator::edit_outputs() {
  if (s_.outputs.empty() || below(4) == 0) {
    s_.outputs.push_back(id_below(s_.values.size()));
    std::ranges::sort(s_.outputs);
    return "add an output";
  }
  const auto at = s_.outputs.begin() + static_cast<std::ptrdiff_t>(below(s_.outputs.size()));
  if (below(2) == 0) {
    s_.outputs.erase(at);
    return "drop an output";
  }
  *at = other(*at);
  std::ranges::sort(s_.outputs);
  return "output another value";
}

std::string Mutator::retarget_transfer() {
  if (s_.transfers.empty()) return {};
  Transfer& t = any(s_.transfers);
  ValueId& v = below(2) == 0 ? t.source : t.made;
  const ValueId was = v;
  v = other(v);
  return fmt::format("transfer {} instead of {}", v, was);
}

std::string Mutator::retarget_wait() {
  if (s_.waits.empty()) return {};
  ReuseWait& w = any(s_.waits);
  const Rank rank = s_.rank_of(w.op);
  const OpId was = w.after;
  w.after = s_.ops_begin(rank) +
            id_below(below(3) == 0 ? s_.ops_end(rank) - s_.ops_begin(rank) : w.op - s_.ops_begin(rank) + 1);
  return fmt::format("op {} waits for {} instead of {}", w.op, w.after, was);
}

std::string Mutator::drop_wait() {
  if (s_.waits.empty()) return {};
  const auto at = s_.waits.begin() + static_cast<std::ptrdiff_t>(below(s_.waits.size()));
  const ReuseWait was = *at;
  s_.waits.erase(at);
  return fmt::format("op {} does not wait for {}", was.op, was.after);
}

std::string Mutator::move_value() {
  if (s_.offset.empty()) return {};
  const ValueId v = id_below(s_.values.size());
  const ValueId to = other(v);
  const std::uint64_t was = s_.offset[v];
  if (below(2) == 0)
    s_.offset[v] = s_.offset[to];
  else
    s_.offset[v] = below(2) == 0 ? was + 2 : was - std::min<std::uint64_t>(was, 256);
  return fmt::format("put value {} at {} instead of {}", v, s_.offset[v], was);
}

/// Changes the lane of one transfer, or of it and all transfers that share exchanges with it, directly or not.
std::string Mutator::change_lane() {
  if (s_.transfers.empty()) return {};
  std::vector<bool> chosen(s_.transfers.size());
  chosen[below(chosen.size())] = true;
  const bool one = below(3) == 0;
  for (bool grew = !one; grew;) {
    grew = false;
    for (const Op& op : s_.ops) {
      const auto* x = std::get_if<Exchange>(&op);
      if (x == nullptr) continue;
      const auto list = s_.transfers_of(*x);
      if (std::ranges::none_of(list, [&](TransferId t) { return chosen[t]; })) continue;
      for (TransferId t : list) {
        grew |= !chosen[t];
        chosen[t] = true;
      }
    }
  }
  const auto lane = static_cast<Lane>(below(10) == 0 ? 0 : 2);
  for (TransferId t = 0; t < chosen.size(); ++t)
    if (chosen[t]) s_.transfers[t].lane = lane;
  return fmt::format("move {} to lane {}", one ? "a transfer" : "all transfers tied to one", lane);
}

std::string Mutator::change_value() {
  const ValueId v = id_below(s_.values.size());
  Value& value = s_.values[v];
  switch (below(3)) {
    case 0:
      value.dtype = value.dtype == Dtype::kFp32 ? Dtype::kBf16 : Dtype::kFp32;
      return fmt::format("change the dtype of value {}", v);
    case 1:
      value.rank = static_cast<Rank>(below(static_cast<std::size_t>(s_.problem.ranks)));
      return fmt::format("put value {} on rank {}", v, value.rank);
    default:
      value.region = s_.values[other(v)].region;
      return fmt::format("give value {} another region", v);
  }
}

std::string Mutator::change_heads() {
  const ValueId v = id_below(s_.values.size());
  const Region r = s_.region(v);
  const std::int32_t most = on_kv_side(s_.values[v].tensor) ? s_.problem.shape.kv_heads : s_.problem.shape.heads;
  const auto begin = static_cast<std::int32_t>(below(static_cast<std::size_t>(most)));
  const HeadRange heads{begin, begin + 1 + static_cast<std::int32_t>(below(static_cast<std::size_t>(most - begin)))};
  if (heads == r.heads) return {};
  s_.values[v].region = s_.regions.intern(std::vector(r.cells.begin(), r.cells.end()), heads);
  return fmt::format("give value {} heads {} to {}", v, heads.begin, heads.end);
}

/// Changes the region of a value that is made from a part of another: to another part, or to all of it.
std::string Mutator::change_part() {
  std::vector<std::pair<ValueId, ValueId>> parts;  // source, made
  const auto add = [&](ValueId source, ValueId made) {
    if (s_.values[source].region != s_.values[made].region) parts.push_back({source, made});
  };
  for (const Transfer& t : s_.transfers) add(t.source, t.made);
  for (const Op& op : s_.ops)
    if (const auto* c = std::get_if<Combine>(&op))
      for (ValueId source : s_.sources_of(*c)) add(source, c->made);
  if (parts.empty()) return {};
  const auto [source, made] = any(parts);
  const Region from = s_.region(source), to = s_.region(made);
  std::vector<Cell> cells(to.cells.begin(), to.cells.end());
  HeadRange heads = to.heads;
  switch (below(4)) {
    case 0:  // the adjacent part
      heads = {heads.end, 2 * heads.end - heads.begin};
      if (heads.end > from.heads.end) heads = {from.heads.begin, from.heads.begin + heads.end - heads.begin};
      if (heads.end > from.heads.end) return {};
      break;
    case 1:
      heads = from.heads;
      break;
    case 2:
      cells.assign(from.cells.begin(), from.cells.end());
      break;
    default:
      any(cells) = from.cells[below(from.cells.size())];
      std::ranges::sort(cells);
      if (std::ranges::adjacent_find(cells) != cells.end()) return {};
  }
  const RegionId was = s_.values[made].region;
  s_.values[made].region = s_.regions.intern(cells, heads);
  return s_.values[made].region == was ? "" : fmt::format("make value {} of another part of value {}", made, source);
}

}  // namespace meshattn::testing
