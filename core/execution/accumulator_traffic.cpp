#include "core/execution/accumulator_traffic.h"

#include <algorithm>

namespace meshattn {

double AccumulatorTraffic::output_bytes(ValueId made) const {
  if (framework_.output_bytes == 0 || !std::ranges::binary_search(s_.outputs, made)) return 0;
  return framework_.output_bytes * static_cast<double>(s_.bytes(made)) / size_of(s_.values[made].dtype);
}

double AccumulatorTraffic::bytes_of(OpId op, std::vector<Contribution> contributions) {
  std::erase_if(contributions, [](const Contribution& c) { return c.accumulator == kNone; });
  std::ranges::sort(contributions, {}, &Contribution::accumulator);
  double bytes = 0;
  for (auto next = contributions.begin(); next != contributions.end();) {
    const ValueId accumulator = next->accumulator;
    double tokens = 0;
    for (; next != contributions.end() && next->accumulator == accumulator; ++next) tokens += next->tokens;
    bytes += bytes_of(op, accumulator, tokens);
  }
  return bytes;
}

double AccumulatorTraffic::bytes_of(OpId op, ValueId accumulator, double tokens) {
  if (first_op_[accumulator] == kNone) {
    first_op_[accumulator] = op;
    return output_bytes(accumulator);
  }
  if (first_op_[accumulator] == op) return 0;
  const Tensor tensor = s_.values[accumulator].tensor;
  const double all_tokens =
      tokens_of(s_.region(accumulator).cells, on_kv_side(tensor) ? blocks_.kv_runs() : blocks_.q_runs());
  const auto elements = static_cast<double>(s_.bytes(accumulator)) / size_of(Dtype::kFp32);  // accumulators are fp32
  if (tensor != Tensor::kO) return framework_.gradient_bytes * elements * tokens / all_tokens;
  return (framework_.merge_bytes + (tokens < all_tokens ? framework_.part_bytes : 0)) * elements * tokens / all_tokens;
}

}  // namespace meshattn
