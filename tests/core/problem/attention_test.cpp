#include "core/problem/attention.h"

#include <gtest/gtest.h>

#include <functional>

#include "core/base/error.h"

namespace meshattn {
namespace {

TEST(Attention, NamesAreReadBack) {
  for (Dtype dtype : {Dtype::kBf16, Dtype::kFp16, Dtype::kFp32}) EXPECT_EQ(parse_dtype(name_of(dtype)), dtype);
  for (Pass pass : {Pass::kForward, Pass::kBackward}) EXPECT_EQ(parse_pass(name_of(pass)), pass);
  EXPECT_THROW((void)parse_dtype("fp8"), InvalidInput);
  EXPECT_THROW((void)parse_pass("both"), InvalidInput);
}

/// Two matrix products of 2·d operations per pair forward, five backward.
TEST(Attention, FlopsCountMatrixProducts) {
  EXPECT_EQ(flops(10, 64, Pass::kForward), 10.0 * 2 * 2 * 64);
  EXPECT_EQ(flops(10, 64, Pass::kBackward), 10.0 * 5 * 2 * 64);
}

TEST(Attention, AShapeMustFit) {
  const AttentionShape good{1024, 2048, 2, 8, 2, 128, Dtype::kBf16};
  EXPECT_NO_THROW(check(good));
  EXPECT_EQ(good.group(), 4);
  const std::function<void(AttentionShape&)> mistakes[] = {[](AttentionShape& s) { s.seq_q = 0; },
                                                           [](AttentionShape& s) { s.seq_q = s.seq_kv + 1; },
                                                           [](AttentionShape& s) { s.kv_heads = 3; },
                                                           [](AttentionShape& s) { s.head_dim = 0; },
                                                           [](AttentionShape& s) { s.batch = 1 << 20; },
                                                           [](AttentionShape& s) { s.seq_kv = kMaxTokens + 1; },
                                                           [](AttentionShape& s) { s.kv_heads = 2 * s.heads; }};
  for (const auto& mistake : mistakes) {
    AttentionShape bad = good;
    mistake(bad);
    EXPECT_THROW(check(bad), InvalidInput);
  }
}

}  // namespace
}  // namespace meshattn
