#include "core/report/leave_one_out.h"

#include <gtest/gtest.h>

namespace meshattn {
namespace {

/// A point of a kernel whose time per operation is linear in 1 / length, as KernelRates interpolates it.
AttentionPoint point(std::int64_t length) {
  AttentionPoint p;
  p.q_tokens = p.kv_tokens = length;
  p.heads = p.kv_heads = 8;
  p.flops_per_s = 1e14 / (1 + 500.0 / static_cast<double>(length));
  return p;
}

TEST(LeaveOneOut, FindsTheErrorOfAPointBetweenOthers) {
  GpuProfile gpu;
  gpu.attention = {point(1024), point(4096), point(16384)};
  ASSERT_EQ(leave_one_out(gpu).size(), 1u);
  EXPECT_NEAR(leave_one_out(gpu).front(), 0, 1e-9);
  gpu.attention[1].flops_per_s *= 1.25;
  EXPECT_NEAR(leave_one_out(gpu).front(), 1 - 1 / 1.25, 1e-9);
}

TEST(LeaveOneOut, IsEmptyWithoutAPointBetweenOthersOfItsSeries) {
  GpuProfile gpu;
  gpu.attention = {point(1024), point(4096)};
  EXPECT_TRUE(leave_one_out(gpu).empty());
  gpu.attention.push_back(point(16384));
  gpu.attention.back().mask = KernelMask::kCausal;
  EXPECT_TRUE(leave_one_out(gpu).empty());
}

}  // namespace
}  // namespace meshattn
