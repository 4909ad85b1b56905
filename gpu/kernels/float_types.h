#pragma once

#include <bit>
#include <cstdint>

#include "core/problem/attention.h"

namespace meshattn::gpu {

// The functions of this header and of row_kernels.h are constexpr, so that one source serves the CPU and devices (nvcc
// --expt-relaxed-constexpr).

/// bfloat16: the upper half of an fp32 number.
struct Bf16 {
  std::uint16_t bits;
};

/// IEEE binary16.
struct Fp16 {
  std::uint16_t bits;
};

[[nodiscard]] constexpr float to_float(float x) { return x; }

[[nodiscard]] constexpr float to_float(Bf16 x) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(x.bits) << 16);
}

[[nodiscard]] constexpr float to_float(Fp16 x) {
  const std::uint32_t sign = static_cast<std::uint32_t>(x.bits & 0x8000u) << 16;
  const std::uint32_t exponent = (x.bits >> 10) & 0x1Fu, mantissa = x.bits & 0x3FFu;
  if (exponent == 0) {  // zero or subnormal: mantissa · 2^−24
    const float magnitude = static_cast<float>(mantissa) * 5.9604644775390625e-8f;
    return sign != 0 ? -magnitude : magnitude;
  }
  const std::uint32_t rebiased = exponent == 0x1Fu ? 0xFFu : exponent + 112;
  return std::bit_cast<float>(sign | rebiased << 23 | mantissa << 13);
}

/// The nearest number of type T, ties to even. Numbers that are too large become infinite; NaN stays NaN.
template <typename T>
[[nodiscard]] constexpr T from_float(float x);

template <>
[[nodiscard]] constexpr float from_float<float>(float x) {
  return x;
}

template <>
[[nodiscard]] constexpr Bf16 from_float<Bf16>(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return {static_cast<std::uint16_t>(bits >> 16 | 0x40u)};
  return {static_cast<std::uint16_t>((bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16)};
}

template <>
[[nodiscard]] constexpr Fp16 from_float<Fp16>(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7FFFFFFFu;
  const auto with_sign = [sign](std::uint32_t rest) { return Fp16{static_cast<std::uint16_t>(sign | rest)}; };
  if (magnitude > 0x7F800000u) return with_sign(0x7E00u);
  if (magnitude >= 0x477FF000u) return with_sign(0x7C00u);  // 65,520 and more: nearer to infinity
  if (magnitude < 0x38800000u) {                            // below 2^−14: subnormal, in steps of 2^−24
    // Adding 1.5 · 2^−1 leaves the multiple of 2^−24 in the lowest bits of the mantissa, rounded to even.
    const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
    return with_sign(std::bit_cast<std::uint32_t>(shifted) - 0x3F000000u);
  }
  return with_sign((magnitude - (112u << 23) + 0xFFFu + (magnitude >> 13 & 1u)) >> 13);
}

/// Calls f with a value of the C++ type of a dtype.
template <typename F>
void with_type(Dtype dtype, F&& f) {
  if (dtype == Dtype::kFp32)
    f(float{});
  else if (dtype == Dtype::kBf16)
    f(Bf16{});
  else
    f(Fp16{});
}

}  // namespace meshattn::gpu
