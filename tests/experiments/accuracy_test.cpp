#include <gtest/gtest.h>

#include <limits>

#include "experiments/measure/measure.h"

namespace meshattn {
namespace {

/// A pass with these dtypes of inputs and of what travels, and this deviation of the same kernels on one rank.
PassRun pass_with(double dense_deviation, Dtype dtype, Dtype wire, Tensor tensor = Tensor::kO) {
  PassRun run;
  run.schedule.problem.pass = tensor == Tensor::kO ? Pass::kForward : Pass::kBackward;
  run.schedule.values = {{0, 0, Tensor::kQ, dtype}, {0, 0, tensor, wire}, {1, 0, tensor, wire}};
  run.schedule.transfers = {{1, 2, 1}};
  run.dense_deviations = {{"O", dense_deviation}, {"dQ", dense_deviation}};
  return run;
}

TEST(IsAccurate, WithinTheLimitAndNearOneRank) {
  const PassRun bf16 = pass_with(2e-3, Dtype::kBf16, Dtype::kFp32);
  EXPECT_TRUE(is_accurate({"O", 2.1e-3}, bf16));
  EXPECT_FALSE(is_accurate({"O", 2.3e-3}, bf16));  // 1.15 times
  EXPECT_TRUE(is_accurate({"O", 2.9e-3}, pass_with(2.8e-3, Dtype::kBf16, Dtype::kFp32)));
  EXPECT_FALSE(is_accurate({"O", 3.1e-3}, pass_with(3e-3, Dtype::kBf16, Dtype::kFp32)));
  EXPECT_FALSE(is_accurate({"O", 0.5}, pass_with(0.5, Dtype::kFp16, Dtype::kFp32)));
  const PassRun gradients = pass_with(9.5e-3, Dtype::kBf16, Dtype::kFp32, Tensor::kDQ);
  EXPECT_TRUE(is_accurate({"dQ", 9.9e-3}, gradients));
  EXPECT_FALSE(is_accurate({"dQ", 1.02e-2}, gradients));
  EXPECT_FALSE(is_accurate({"dQ", std::numeric_limits<double>::infinity()}, gradients));
}

TEST(IsAccurate, AllowsNoiseOfSumsInFp32) {
  const PassRun exact = pass_with(0, Dtype::kFp32, Dtype::kFp32);
  EXPECT_TRUE(is_accurate({"O", 9e-6}, exact));
  EXPECT_FALSE(is_accurate({"O", 1.1e-5}, exact));
  const PassRun rough = pass_with(1e-3, Dtype::kFp32, Dtype::kFp32);
  EXPECT_TRUE(is_accurate({"O", 9e-5}, rough));
  EXPECT_FALSE(is_accurate({"O", 1.1e-4}, rough));
}

/// Partial results that travel in 16 bits may be further off than on one rank, within the limit.
TEST(IsAccurate, RoundedPartialsOnlyHaveTheLimit) {
  const PassRun run = pass_with(1e-7, Dtype::kFp32, Dtype::kBf16);
  EXPECT_TRUE(is_accurate({"O", 2.9e-3}, run));
  EXPECT_FALSE(is_accurate({"O", 3.1e-3}, run));
  PassRun input = run;  // O that travels backward is no partial
  input.schedule.problem.pass = Pass::kBackward;
  EXPECT_FALSE(is_accurate({"dQ", 2.9e-3}, input));
}

/// Each query sees itself alone: dQ is zero, and what kernels compute is noise, on one rank, too.
TEST(IsAccurate, ZerosAreAsAccurateAsOnOneRank) {
  const PassRun run = pass_with(0.5, Dtype::kBf16, Dtype::kFp32, Tensor::kDQ);
  EXPECT_TRUE(is_accurate({"dQ", 0.54, true}, run));
  EXPECT_FALSE(is_accurate({"dQ", 0.56, true}, run));
  EXPECT_FALSE(is_accurate({"dQ", 0.54}, run));
}

}  // namespace
}  // namespace meshattn
