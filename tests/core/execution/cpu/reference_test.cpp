#include "core/execution/cpu/reference.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

namespace meshattn::cpu {
namespace {

using testing::DoubleNear;
using testing::Pointwise;

constexpr double kTight = 1e-15;

Tensors given(std::vector<double> q, std::vector<double> k, std::vector<double> v) {
  Tensors t;
  t.q = std::move(q);
  t.k = std::move(k);
  t.v = std::move(v);
  return t;
}

TEST(Reference, OneKeyGivesItsValueAndTheScaledProductAsLogSumExp) {
  // One key has weight 1. q·k = 1·5 + 2·6 + 3·7 + 4·8 = 70, over √4: 35.
  Tensors t = given({1, 2, 3, 4}, {5, 6, 7, 8}, {9, 10, 11, 12});
  dense_forward({1, 1, 1, 1, 1, 4, Dtype::kFp32}, Mask::kFull, t);
  EXPECT_THAT(t.o, Pointwise(DoubleNear(kTight), t.v));
  EXPECT_THAT(t.lse, testing::ElementsAre(35));
}

TEST(Reference, KeysHaveTheExponentialOfTheirScoreAsWeight) {
  // d = 1: scores 0 and ln 3, exponentials 1 and 3, weights ¼ and ¾: O = ¼·8 + ¾·16 = 14, LSE = ln 4.
  Tensors t = given({0, 1}, {0, std::log(3.0)}, {8, 16});
  dense_forward({2, 2, 1, 1, 1, 1, Dtype::kFp32}, Mask::kFull, t);
  EXPECT_NEAR(t.o[1], 14, 1e-14);
  EXPECT_NEAR(t.lse[1], std::log(4.0), kTight);
  // The query 0 scores 0 twice: the mean of the values, LSE = ln 2.
  EXPECT_NEAR(t.o[0], 12, 1e-14);
  EXPECT_NEAR(t.lse[0], std::log(2.0), kTight);
}

TEST(Reference, CausalQueriesSeeTheirOwnPositionAndBefore) {
  // All scores are 0: each output is the mean of the values seen. Two queries at the end of four positions see three
  // and four keys: (1 + 2 + 6) / 3 = 3 and (1 + 2 + 6 + 15) / 4 = 6.
  Tensors t = given({0, 0}, {1, 2, 3, 4}, {1, 2, 6, 15});
  dense_forward({2, 4, 1, 1, 1, 1, Dtype::kFp32}, Mask::kCausal, t);
  EXPECT_THAT(t.o, Pointwise(DoubleNear(kTight), {3.0, 6.0}));
  EXPECT_THAT(t.lse, Pointwise(DoubleNear(kTight), {std::log(3.0), std::log(4.0)}));
}

TEST(Reference, NeighbouringQueryHeadsShareAKeyValueHead) {
  // 4 heads over 2 kv-heads, two batch items, one token: each head returns the value of kv-head h / 2 of its item.
  Tensors t = given(std::vector<double>(8, 1), {1, 2, 3, 4}, {10, 20, 30, 40});
  dense_forward({1, 1, 2, 4, 2, 1, Dtype::kFp32}, Mask::kFull, t);
  EXPECT_THAT(t.o, testing::ElementsAre(10, 10, 20, 20, 30, 30, 40, 40));
  EXPECT_THAT(t.lse, testing::ElementsAre(1, 1, 2, 2, 3, 3, 4, 4));
}

TEST(Reference, LargeScoresDoNotOverflow) {
  // Scores 1e4 and 1e4 + ln 3: as above, shifted.
  Tensors t = given({1e4}, {1, 1 + std::log(3.0) / 1e4}, {8, 16});
  dense_forward({1, 2, 1, 1, 1, 1, Dtype::kFp32}, Mask::kFull, t);
  EXPECT_NEAR(t.o[0], 14, 1e-10);
  EXPECT_NEAR(t.lse[0], 1e4 + std::log(4.0), 1e-10);
}

/// Σ d_o ∘ o: its gradients are what dense_backward returns.
double loss(const AttentionShape& shape, Mask mask, Tensors t) {
  dense_forward(shape, mask, t);
  return std::inner_product(t.o.begin(), t.o.end(), t.d_o.begin(), 0.0);
}

TEST(Reference, GradientsAreTheSlopesOfTheForwardPass) {
  // Central differences with step h err by h²/6 times a third derivative of order 1, and by rounding, 1e-16 · |loss| /
  // h: both about 1e-10 at h = 1e-5.
  constexpr double kStep = 1e-5;
  for (Mask mask : {Mask::kFull, Mask::kCausal})
    for (const AttentionShape& shape :
         {AttentionShape{5, 5, 1, 2, 2, 3, Dtype::kFp32}, AttentionShape{3, 7, 2, 4, 2, 4, Dtype::kFp32},
          AttentionShape{4, 6, 1, 3, 1, 2, Dtype::kFp32}}) {
      Tensors t = random_tensors(shape, 11);
      dense_forward(shape, mask, t);
      dense_backward(shape, mask, t);
      const auto slopes_match = [&](std::vector<double> Tensors::*input, const std::vector<double>& gradient) {
        ASSERT_EQ((t.*input).size(), gradient.size());
        for (std::size_t i = 0; i < gradient.size(); ++i) {
          Tensors up = t, down = t;
          (up.*input)[i] += kStep;
          (down.*input)[i] -= kStep;
          EXPECT_NEAR((loss(shape, mask, up) - loss(shape, mask, down)) / (2 * kStep), gradient[i], 1e-8);
        }
      };
      slopes_match(&Tensors::q, t.dq);
      slopes_match(&Tensors::k, t.dk);
      slopes_match(&Tensors::v, t.dv);
    }
}

TEST(Reference, RandomTensorsDependOnTheSeedAlone) {
  const AttentionShape shape{64, 80, 2, 4, 2, 8, Dtype::kFp32};
  const Tensors a = random_tensors(shape, 1), b = random_tensors(shape, 1), c = random_tensors(shape, 2);
  EXPECT_EQ(a.q, b.q);
  EXPECT_NE(a.q, c.q);
  EXPECT_EQ(a.q.size(), 64u * 2 * 4 * 8);
  EXPECT_EQ(a.v.size(), 80u * 2 * 2 * 8);
  // 4,096 standard normal numbers: mean within 5/√4096 = 0.078, mean square within 5·√(2/4096) = 0.11 of 1.
  double sum = 0, squares = 0;
  for (double x : a.q) sum += x, squares += x * x;
  EXPECT_NEAR(sum / 4096, 0, 0.08);
  EXPECT_NEAR(squares / 4096, 1, 0.12);
}

}  // namespace
}  // namespace meshattn::cpu
