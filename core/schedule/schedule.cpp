#include "core/schedule/schedule.h"

#include <algorithm>

#include "core/base/enum_names.h"

namespace meshattn {

namespace {

constexpr EnumNames<Tensor, 7> kTensors{{{Tensor::kQ, "Q"},
                                         {Tensor::kKV, "KV"},
                                         {Tensor::kO, "O"},
                                         {Tensor::kDO, "dO"},
                                         {Tensor::kDelta, "delta"},
                                         {Tensor::kDQ, "dQ"},
                                         {Tensor::kDKV, "dKV"}}};

}  // namespace

std::string_view name_of(Tensor tensor) { return kTensors.name_of(tensor); }
std::string_view name_of(const Op& op) {
  if (std::holds_alternative<Attend>(op)) return "attend";
  if (std::holds_alternative<AttendBackward>(op)) return "attend backward";
  if (std::holds_alternative<Delta>(op)) return "delta";
  if (std::holds_alternative<Combine>(op)) return "combine";
  return "exchange";
}

Tensor parse_tensor(std::string_view name) { return kTensors.parse("tensor", name); }

Rank Schedule::rank_of(OpId op) const {
  return static_cast<Rank>(std::upper_bound(first_op.begin(), first_op.end(), op) - first_op.begin()) - 1;
}

Lane Schedule::lane(const Op& op) const {
  const auto* x = std::get_if<Exchange>(&op);
  return x == nullptr || x->count == 0 ? kComputeLane : transfers[exchange_transfers[x->first]].lane;
}

int Schedule::lanes() const {
  int highest = kComputeLane;
  for (const Transfer& t : transfers) highest = std::max<int>(highest, t.lane);
  return highest + 1;
}

std::span<const ReuseWait> Schedule::waits_of(OpId op) const {
  const auto by_op = [](const ReuseWait& a, const ReuseWait& b) { return a.op < b.op; };
  const auto [begin, end] = std::equal_range(waits.begin(), waits.end(), ReuseWait{op, 0}, by_op);
  return {begin, end};
}

std::uint64_t Schedule::rows_in(ValueId v, const Region& part) const {
  const Region r = region(v);
  const HeadRange heads = common(r.heads, part.heads);
  if (heads.begin >= heads.end) return 0;
  const bool kv = on_kv_side(values[v].tensor);
  std::uint64_t tokens = 0;
  for_each_common_cell(r.cells, part.cells, [&](Cell c) {
    tokens += static_cast<std::uint64_t>((kv ? problem.kv_run(c) : problem.q_run(c)).count);
  });
  return tokens * static_cast<std::uint64_t>(heads.end - heads.begin) * static_cast<std::uint64_t>(problem.shape.batch);
}

std::uint64_t Schedule::payload_bytes(ValueId v) const {
  const Value& value = values[v];
  if (value.tensor == Tensor::kDelta) return 0;
  const int matrices = on_kv_side(value.tensor) ? 2 : 1;
  return rows_in(v) * static_cast<std::uint64_t>(matrices * problem.shape.head_dim * size_of(value.dtype));
}

std::uint64_t Schedule::bytes(ValueId v) const {
  const Tensor tensor = values[v].tensor;
  const std::uint64_t statistics = tensor == Tensor::kO ? 4 : tensor == Tensor::kDelta ? 8 : 0;  // fp32, per row
  return payload_bytes(v) + (statistics == 0 ? 0 : statistics * rows_in(v));
}

std::uint64_t Schedule::bytes(ValueId v, const Region& part) const {
  const std::uint64_t all = rows_in(v);
  return all == 0 ? 0 : bytes(v) / all * rows_in(v, part);
}

}  // namespace meshattn
