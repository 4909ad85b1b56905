#include "gpu/kernels/float_types.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace meshattn::gpu {
namespace {

/// The number of a 16-bit format by definition: sign, `exponent_bits` with a bias, and a mantissa.
double by_definition(std::uint32_t bits, int exponent_bits) {
  const int mantissa_bits = 15 - exponent_bits, bias = (1 << (exponent_bits - 1)) - 1;
  const int exponent = static_cast<int>(bits >> mantissa_bits) & ((1 << exponent_bits) - 1);
  const double mantissa = bits & ((1u << mantissa_bits) - 1), sign = bits & 0x8000u ? -1 : 1;
  if (exponent == (1 << exponent_bits) - 1)
    return mantissa == 0 ? sign * std::numeric_limits<double>::infinity() : std::nan("");
  if (exponent == 0) return sign * std::ldexp(mantissa, 1 - bias - mantissa_bits);
  return sign * std::ldexp(1 + std::ldexp(mantissa, -mantissa_bits), exponent - bias);
}

template <typename T>
void expect_every_pattern_right(int exponent_bits) {
  for (std::uint32_t bits = 0; bits < 0x10000u; ++bits) {
    const double should = by_definition(bits, exponent_bits);
    const float is = to_float(T{static_cast<std::uint16_t>(bits)});
    if (std::isnan(should)) {
      ASSERT_TRUE(std::isnan(is)) << bits;
      ASSERT_TRUE(std::isnan(to_float(from_float<T>(is)))) << bits;
      continue;
    }
    ASSERT_EQ(is, should) << bits;
    ASSERT_EQ(from_float<T>(is).bits, bits);
  }
}

TEST(FloatTypes, EveryBitPatternConvertsToItsNumberAndBack) {
  expect_every_pattern_right<Bf16>(8);
  expect_every_pattern_right<Fp16>(5);
}

/// A number between two neighbours rounds to the nearer one, and the middle rounds to the even one.
template <typename T>
void expect_nearest() {
  for (std::uint32_t bits = 0; bits + 1 < 0x8000u; ++bits) {
    const float low = to_float(T{static_cast<std::uint16_t>(bits)});
    const float high = to_float(T{static_cast<std::uint16_t>(bits + 1)});
    if (!std::isfinite(low) || !std::isfinite(high)) continue;
    const float middle = low + (high - low) / 2;  // exact: one bit more than either
    const std::uint32_t even = bits % 2 == 0 ? bits : bits + 1;
    ASSERT_EQ(from_float<T>(middle).bits, even) << bits;
    ASSERT_EQ(from_float<T>(std::nextafter(middle, low)).bits, bits);
    ASSERT_EQ(from_float<T>(std::nextafter(middle, high)).bits, bits + 1);
    ASSERT_EQ(from_float<T>(-std::nextafter(middle, high)).bits, bits + 1 + 0x8000u);
  }
}

TEST(FloatTypes, RoundToTheNearestAndEven) {
  expect_nearest<Bf16>();
  expect_nearest<Fp16>();
}

TEST(FloatTypes, NumbersThatAreTooLargeBecomeInfinite) {
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(to_float(from_float<Bf16>(std::numeric_limits<float>::max())), infinity);
  EXPECT_EQ(to_float(from_float<Fp16>(65519.99f)), 65504.0f);  // below half-way from the largest to 65,536
  EXPECT_EQ(to_float(from_float<Fp16>(65520.0f)), infinity);
  EXPECT_EQ(to_float(from_float<Fp16>(-1e30f)), -infinity);
  EXPECT_EQ(from_float<Fp16>(1e-30f).bits, 0);
}

}  // namespace
}  // namespace meshattn::gpu
