#include "core/attention.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "core/error.h"
#include "core/names.h"

namespace meshattn {

namespace {

constexpr NameTable<Dtype, 3> kDtypes{{{Dtype::kBf16, "bf16"}, {Dtype::kFp16, "fp16"}, {Dtype::kFp32, "fp32"}}};
constexpr NameTable<Pass, 2> kPasses{{{Pass::kForward, "forward"}, {Pass::kBackward, "backward"}}};
constexpr NameTable<Mask, 2> kMasks{{{Mask::kFull, "full"}, {Mask::kCausal, "causal"}}};

/// Σ of max(0, min(limit, first + i)) for i = 0 … count − 1: keys seen by `count` neighbouring queries.
std::int64_t clamped_sum(std::int64_t first, std::int64_t count, std::int64_t limit) {
  const std::int64_t rise_begin = std::clamp<std::int64_t>(1 - first, 0, count);             // first i that sees a key
  const std::int64_t rise_end = std::clamp<std::int64_t>(limit - first, rise_begin, count);  // first i that sees all
  const std::int64_t rising = rise_end - rise_begin;
  const std::int64_t sum_rising = rising * (first + rise_begin) + rising * (rising - 1) / 2;
  return sum_rising + (count - rise_end) * limit;
}

// Together they keep (query, key) pairs and the bytes of a tensor within 64 bits.
constexpr std::int64_t kMaxTokens = 1 << 30;
constexpr std::int64_t kMaxBatch = 1 << 10;
constexpr std::int64_t kMaxHeads = 1 << 10;
constexpr std::int64_t kMaxHeadDim = 1 << 10;

std::int64_t floor_div(std::int64_t a, std::int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }

}  // namespace

int size_of(Dtype dtype) { return dtype == Dtype::kFp32 ? 4 : 2; }

std::string_view name_of(Dtype dtype) { return kDtypes.name_of(dtype); }
std::string_view name_of(Pass pass) { return kPasses.name_of(pass); }
std::string_view name_of(Mask mask) { return kMasks.name_of(mask); }
Dtype parse_dtype(std::string_view name) { return kDtypes.parse("dtype", name); }
Pass parse_pass(std::string_view name) { return kPasses.parse("pass", name); }
Mask parse_mask(std::string_view name) { return kMasks.parse("mask", name); }

void check(const AttentionShape& s) {
  const auto within = [](std::string_view what, std::int64_t value, std::int64_t most) {
    if (value < 1) throw InvalidInput(fmt::format("{} must be at least 1, not {}", what, value));
    if (value > most) throw InvalidInput(fmt::format("{} must be at most {}, not {}", what, most, value));
  };
  within("sequence length", s.seq_q, kMaxTokens);
  within("sequence length of the keys", s.seq_kv, kMaxTokens);
  within("batch", s.batch, kMaxBatch);
  within("heads", s.heads, kMaxHeads);
  within("kv-heads", s.kv_heads, kMaxHeads);
  within("head-dim", s.head_dim, kMaxHeadDim);
  if (s.heads % s.kv_heads != 0)
    throw InvalidInput(fmt::format("{} heads cannot share {} kv-heads evenly: heads must be a multiple of kv-heads",
                                   s.heads, s.kv_heads));
  if (s.seq_kv < s.seq_q)
    throw InvalidInput(
        fmt::format("{} keys for {} queries: the queries are the last of the keys' positions", s.seq_kv, s.seq_q));
}

double flops(double pairs, int head_dim, Pass pass) {
  const double forward = 4.0 * pairs * head_dim;
  return pass == Pass::kForward ? forward : 2.5 * forward;
}

Block block_of(Mask mask, const TokenRun& q, const TokenRun& kv) {
  if (q.count == 0 || kv.count == 0) return {};
  const std::int64_t all = q.count * kv.count;
  if (mask == Mask::kFull) return {Block::Kind::kFull, 0, all};
  // Key j is seen by query i if kv.start + j·t ≤ q.start + i·t, that is j ≤ i + ⌊(q.start − kv.start) / t⌋.
  const std::int64_t shift = floor_div(q.start - kv.start, q.stride);
  const std::int64_t pairs = clamped_sum(shift + 1, q.count, kv.count);
  if (pairs == 0) return {};
  if (pairs == all) return {Block::Kind::kFull, 0, all};
  return {Block::Kind::kCausal, shift, pairs};
}

}  // namespace meshattn
