#include "gpu/kernels/value_conversion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/base/error.h"
#include "tests/gpu/schedules.h"
#include "tests/support/proof.h"

namespace meshattn {
namespace {

Schedule ring() {
  return testing::schedule_of(
      {{16, 16, 2, 4, 2, 8, Dtype::kBf16}, Mask::kCausal, Partition::kZigzag, Pass::kBackward, 2}, "ring");
}

/// All inputs of all ranks, converted to bytes and back, are the rounded tensors.
TEST(ValueConversion, InputsComeBackRounded) {
  const Schedule s = ring();
  const AttentionShape& shape = s.problem.shape;
  const cpu::Tensors given = testing::dense_tensors(shape, s.problem.mask);
  const cpu::Tensors expected = gpu::rounded(shape, given);
  cpu::Tensors actual;
  for (ValueId v : s.inputs) gpu::read_output(s, v, gpu::input_bytes(s, v, &given), actual);
  EXPECT_EQ(actual.q, expected.q);
  EXPECT_EQ(actual.k, expected.k);
  EXPECT_EQ(actual.v, expected.v);
  EXPECT_EQ(actual.d_o, expected.d_o);
  EXPECT_NE(given.q, expected.q);  // bf16 rounds
}

/// One rank's rows leave NaN in the rows of the other.
TEST(ValueConversion, RowsOfOthersAreNaN) {
  const Schedule s = ring();
  cpu::Tensors tensors;
  const auto q = std::ranges::find_if(s.inputs, [&](ValueId v) { return s.values[v].tensor == Tensor::kQ; });
  ASSERT_NE(q, s.inputs.end());
  gpu::read_output(s, *q, gpu::input_bytes(s, *q, nullptr), tensors);
  const auto missing = std::ranges::count_if(tensors.q, [](double x) { return std::isnan(x); });
  EXPECT_EQ(static_cast<std::size_t>(missing), tensors.q.size() / 2);
}

TEST(ValueConversion, ATensorOfTheWrongSizeIsRefused) {
  const Schedule s = ring();
  cpu::Tensors given = testing::dense_tensors(s.problem.shape, s.problem.mask);
  given.q.pop_back();
  const auto convert_all = [&] {
    for (ValueId v : s.inputs) (void)gpu::input_bytes(s, v, &given);
  };
  EXPECT_THROW(convert_all(), InvalidInput);
}

}  // namespace
}  // namespace meshattn
