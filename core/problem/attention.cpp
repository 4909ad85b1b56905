#include "core/problem/attention.h"

#include <spdlog/fmt/fmt.h>

#include "core/base/enum_names.h"
#include "core/base/error.h"

namespace meshattn {

namespace {

constexpr EnumNames<Dtype, 3> kDtypes{{{Dtype::kBf16, "bf16"}, {Dtype::kFp16, "fp16"}, {Dtype::kFp32, "fp32"}}};
constexpr EnumNames<Pass, 2> kPasses{{{Pass::kForward, "forward"}, {Pass::kBackward, "backward"}}};

constexpr std::int64_t kMaxBatch = 1 << 10;
constexpr std::int64_t kMaxHeads = 1 << 10;
constexpr std::int64_t kMaxHeadDim = 1 << 10;

}  // namespace

int size_of(Dtype dtype) { return dtype == Dtype::kFp32 ? 4 : 2; }

std::string_view name_of(Dtype dtype) { return kDtypes.name_of(dtype); }
std::string_view name_of(Pass pass) { return kPasses.name_of(pass); }
Dtype parse_dtype(std::string_view name) { return kDtypes.parse("dtype", name); }
Pass parse_pass(std::string_view name) { return kPasses.parse("pass", name); }

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

}  // namespace meshattn
