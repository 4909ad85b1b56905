#include "gpu/fused/attention_graph.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <random>
#include <sstream>

#include "core/base/error.h"
#include "gpu/kernels/cpu_kernels.h"
#include "gpu/kernels/float_types.h"
#include "tests/gpu/fused/graph_interpreter.h"

namespace meshattn::gpu {
namespace {

using Bounds = FusedKey::Bounds;

/// Plans a graph for a device known only by its properties. If cuDNN has a kernel it tries to load it, which fails with
/// CUDA_ERROR_STUB_LIBRARY (34) in the toolkit's stub of the driver; if it has none it reports another error before.
/// @returns "taken" if there is a kernel, else cuDNN's error
std::string plan(const FusedKey& key, const char* device) {
  std::ostringstream properties;
  properties << std::ifstream(fmt::format("{}/{}.json", MESHATTN_DEVICES, device)).rdbuf();
  try {
    Graph graph = key.pass == Pass::kForward ? forward_graph(key) : backward_graph(key);
    (void)graph.plan({nullptr, properties.str()});
  } catch (const DeviceError& e) {
    if (std::string(e.what()).find("cuLibraryLoadData returned error  (34)") == std::string::npos) return e.what();
  }
  return "taken";
}

/// Strides of the layout of values: the tokens of a head are contiguous, and so are the heads.
MatrixStrides strides(std::int64_t heads, std::int64_t tokens, std::int64_t width) {
  return {heads * tokens * width, tokens * width, width};
}

FusedKey key(Pass pass, Bounds bounds, std::int64_t heads, std::int64_t kv_heads, std::int64_t queries,
             std::int64_t keys, std::int64_t width) {
  FusedKey k;
  k.pass = pass;
  k.bounds = bounds;
  k.items = 1;
  k.heads = heads;
  k.kv_heads = kv_heads;
  k.queries = queries;
  k.keys = keys;
  k.width = width;
  k.q = k.o = k.d_o = k.dq = strides(heads, queries, width);
  k.k = k.dk = strides(kv_heads, keys, width);
  k.lse = strides(heads, queries, 1);
  return k;
}

class Graphs : public ::testing::TestWithParam<const char*> {};

TEST_P(Graphs, EverySightIsTaken) {
  for (Bounds bounds : {Bounds::kFull, Bounds::kCausal, Bounds::kUpper, Bounds::kLower, Bounds::kBoth})
    for (bool repeatable : {false, true}) {  // compiling takes seconds, so each dtype gets one of the two
      FusedKey forward = key(Pass::kForward, bounds, 32, 8, 4096, 4096, 128);
      FusedKey backward = key(Pass::kBackward, bounds, 32, 32, 4096, 4096, 128);
      forward.dtype = backward.dtype = repeatable ? Dtype::kFp16 : Dtype::kBf16;
      backward.repeatable = repeatable;
      EXPECT_EQ(plan(forward, GetParam()), "taken") << static_cast<int>(bounds);
      EXPECT_EQ(plan(backward, GetParam()), "taken") << static_cast<int>(bounds);
    }
}

TEST_P(Graphs, SizesThatSchedulesHaveAreTaken) {
  for (const auto& [queries, keys] : {std::pair{4001, 3999}, {512, 16384}, {16384, 512}, {256, 256}})
    for (int width : {64, 128}) {
      EXPECT_EQ(plan(key(Pass::kForward, Bounds::kCausal, 8, 2, queries, keys, width), GetParam()), "taken");
      EXPECT_EQ(plan(key(Pass::kBackward, Bounds::kCausal, 8, 8, queries, keys, width), GetParam()), "taken");
    }
}

/// A range of the tokens of a longer value, and groups of heads that share a key/value head.
TEST_P(Graphs, StridesThatSchedulesHaveAreTaken) {
  FusedKey part = key(Pass::kForward, Bounds::kFull, 8, 2, 2048, 1024, 128);
  part.q = strides(8, 4096, 128);
  part.k = strides(2, 8192, 128);
  part.lse = strides(8, 4096, 1);
  EXPECT_EQ(plan(part, GetParam()), "taken");
  FusedKey folded = key(Pass::kBackward, Bounds::kCausal, 4, 4, 4096, 4096, 128);
  folded.items = 8;  // key/value heads
  folded.k = {4096 * 128, 0, 128};
  EXPECT_EQ(plan(folded, GetParam()), "taken");
}

/// The shapes for which fused calls fall back to the reference kernels.
TEST_P(Graphs, WhatNoKernelDoesIsSaid) {
  EXPECT_NE(plan(key(Pass::kForward, Bounds::kFull, 8, 8, 256, 256, 12), GetParam()), "taken");
  EXPECT_NE(plan(key(Pass::kBackward, Bounds::kFull, 8, 8, 256, 256, 12), GetParam()), "taken");
}

INSTANTIATE_TEST_SUITE_P(Devices, Graphs, ::testing::Values("sm80", "sm90", "sm100"),
                         [](const auto& device) { return std::string(device.param); });

/// Invalid shapes for which cuDNN makes plans.
TEST(Shapes, WithoutAMeaningAreRefused) {
  EXPECT_THROW((void)forward_graph(key(Pass::kForward, Bounds::kFull, 8, 3, 256, 256, 128)), DeviceError);
  EXPECT_THROW((void)forward_graph(key(Pass::kForward, Bounds::kFull, 8, 0, 256, 256, 128)), DeviceError);
  EXPECT_THROW((void)forward_graph(key(Pass::kForward, Bounds::kFull, 8, 8, 0, 256, 128)), DeviceError);
  EXPECT_THROW((void)backward_graph(key(Pass::kBackward, Bounds::kFull, 8, 2, 256, 256, 128)), DeviceError);
}

/// Interprets graphs and compares them with the reference kernels: 2 items, 6 query heads, 2 or 6 key/value heads, 20
/// queries × 28 keys, head dim 16.
class GraphMeaning : public ::testing::TestWithParam<std::tuple<int, Band>> {
 protected:
  static constexpr std::int32_t kItems = 2, kHeads = 6, kWidth = 16;
  static constexpr std::int64_t kQueries = 20, kKeys = 28;
  static constexpr std::uint64_t kScratch = 1 << 20;

  GraphMeaning() : arena_(2 * kScratch) {
    std::mt19937 random(3);
    std::normal_distribution<float> normal;
    for (std::uint64_t at = 0; at < kScratch / 2; at += 2) {
      const Bf16 x = from_float<Bf16>(normal(random));
      std::memcpy(arena_.data() + at, &x, 2);
    }
  }
  MatrixView rows(std::int32_t heads, std::int64_t tokens, std::int32_t width, Dtype dtype) {
    const MatrixView made = packed_matrix(end_, kItems, heads, tokens, width, dtype);
    end_ += (static_cast<std::uint64_t>(made.row_count()) * made.row_bytes() + 255) / 256 * 256;
    return made;
  }
  static std::span<const float> numbers(std::vector<std::byte>& arena, const MatrixView& rows) {
    return {reinterpret_cast<const float*>(arena.data() + rows.offset),
            static_cast<std::size_t>(rows.row_count() * rows.width)};
  }
  static double deviation(std::span<const float> is, std::span<const float> should) {
    double off = 0, all = 0;
    for (std::size_t i = 0; i < is.size(); ++i) {
      off += std::pow(static_cast<double>(is[i]) - static_cast<double>(should[i]), 2);
      all += std::pow(static_cast<double>(should[i]), 2);
    }
    return std::sqrt(off / all);
  }
  /// Runs the graph in the arena. @returns the results of the reference kernels
  std::vector<std::byte> run(const Call& call, bool repeatable) {
    std::vector<std::byte> reference = arena_;
    run_on_cpu(call, reference.data());
    for (FusedKernel& kernel : fused(call, kScratch, repeatable).kernels) {
      if (kernel.prologue) run_on_cpu(*kernel.prologue, arena_.data());
      GraphScalars scalars = scalars_of(kernel);
      const auto tensors = graph_tensors(kernel, scalars, arena_.data());
      EXPECT_NO_THROW((void)GraphPlan::pack(tensors, arena_.data()));  // needs no device
      testing::interpret(kernel.key.pass == Pass::kForward ? forward_graph(kernel.key) : backward_graph(kernel.key),
                         tensors);
      for (const CombineCall& sum : kernel.epilogue) run_on_cpu(sum, arena_.data());
    }
    return reference;
  }

  std::vector<std::byte> arena_;
  std::uint64_t end_ = 0;
};

TEST_P(GraphMeaning, IsAttentionAndItsGradients) {
  const auto& [kv_heads, band] = GetParam();
  const MatrixView q = rows(kHeads, kQueries, kWidth, Dtype::kBf16), k = rows(kv_heads, kKeys, kWidth, Dtype::kBf16);
  const MatrixView v = rows(kv_heads, kKeys, kWidth, Dtype::kBf16), d_o = rows(kHeads, kQueries, kWidth, Dtype::kBf16);
  const MatrixView o = rows(kHeads, kQueries, kWidth, Dtype::kFp32), lse = rows(kHeads, kQueries, 1, Dtype::kFp32);
  const MatrixView delta = rows(kHeads, kQueries, 1, Dtype::kFp32), dq = rows(kHeads, kQueries, kWidth, Dtype::kFp32);
  const MatrixView dk = rows(kv_heads, kKeys, kWidth, Dtype::kFp32), dv = rows(kv_heads, kKeys, kWidth, Dtype::kFp32);
  std::vector<std::byte> reference = run(AttendCall{q, k, v, o, lse, band, false}, false);
  EXPECT_LE(deviation(numbers(arena_, o), numbers(reference, o)), 1e-6);
  EXPECT_LE(deviation(numbers(arena_, lse), numbers(reference, lse)), 1e-6);
  for (float& x :
       std::span(reinterpret_cast<float*>(arena_.data() + delta.offset), static_cast<std::size_t>(delta.row_count())))
    x = 0.25f;
  for (bool repeatable : {false, true}) {
    reference = run(BackwardCall{q, d_o, lse, delta, k, v, dq, dk, dv, band, false, false}, repeatable);
    // Delta is computed from a surrogate O rounded to bf16: an error of 2^-9 of it.
    EXPECT_LE(deviation(numbers(arena_, dq), numbers(reference, dq)), 0x1p-8);
    EXPECT_LE(deviation(numbers(arena_, dk), numbers(reference, dk)), 0x1p-8);
    EXPECT_LE(deviation(numbers(arena_, dv), numbers(reference, dv)), 1e-6);
  }
}

/// Each band leaves every query a key.
INSTANTIATE_TEST_SUITE_P(Bands, GraphMeaning,
                         ::testing::Combine(::testing::Values(6, 2),
                                            ::testing::Values(Band{}, Band{-Band::kUnbounded, 0},
                                                              Band{-Band::kUnbounded, 7}, Band{5, Band::kUnbounded},
                                                              Band{-4, 0}, Band{2, 6})));

}  // namespace
}  // namespace meshattn::gpu
