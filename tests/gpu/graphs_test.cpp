#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>

#include <fstream>
#include <sstream>

#include "core/error.h"
#include "gpu/attention_graph.h"

namespace meshattn::gpu {
namespace {

using Sight = FusedKey::Sight;

/// Without a device cuDNN plans for the properties of one. Where it has a kernel it goes on to load it, and fails at
/// the toolkit's driver without a driver in it (CUDA_ERROR_STUB_LIBRARY, 34); where it has none it says so before. With
/// a driver it loads. @returns "taken", or what cuDNN said
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

/// Heads × tokens in the layout of values: token follows token, head follows head.
MatrixStrides strides(std::int64_t heads, std::int64_t tokens, std::int64_t width) {
  return {heads * tokens * width, tokens * width, width};
}

FusedKey key(Pass pass, Sight sight, std::int64_t heads, std::int64_t kv_heads, std::int64_t queries, std::int64_t keys,
             std::int64_t width) {
  FusedKey k;
  k.pass = pass;
  k.sight = sight;
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
  for (Sight sight : {Sight::kFull, Sight::kCausal, Sight::kUpper, Sight::kLower, Sight::kBoth})
    for (bool repeatable : {false, true}) {  // each compiles for seconds: the types share the two
      FusedKey forward = key(Pass::kForward, sight, 32, 8, 4096, 4096, 128);
      FusedKey backward = key(Pass::kBackward, sight, 32, 32, 4096, 4096, 128);
      forward.dtype = backward.dtype = repeatable ? Dtype::kFp16 : Dtype::kBf16;
      backward.repeatable = repeatable;
      EXPECT_EQ(plan(forward, GetParam()), "taken") << static_cast<int>(sight);
      EXPECT_EQ(plan(backward, GetParam()), "taken") << static_cast<int>(sight);
    }
}

TEST_P(Graphs, SizesThatSchedulesHaveAreTaken) {
  for (const auto& [queries, keys] : {std::pair{4001, 3999}, {512, 16384}, {16384, 512}, {256, 256}})
    for (int width : {64, 128}) {
      EXPECT_EQ(plan(key(Pass::kForward, Sight::kCausal, 8, 2, queries, keys, width), GetParam()), "taken");
      EXPECT_EQ(plan(key(Pass::kBackward, Sight::kCausal, 8, 8, queries, keys, width), GetParam()), "taken");
    }
}

/// Part of the tokens of a longer value, and heads folded into groups that share a key/value head.
TEST_P(Graphs, StridesThatSchedulesHaveAreTaken) {
  FusedKey part = key(Pass::kForward, Sight::kFull, 8, 2, 2048, 1024, 128);
  part.q = strides(8, 4096, 128);
  part.k = strides(2, 8192, 128);
  part.lse = strides(8, 4096, 1);
  EXPECT_EQ(plan(part, GetParam()), "taken");
  FusedKey folded = key(Pass::kBackward, Sight::kCausal, 4, 4, 4096, 4096, 128);
  folded.items = 8;  // key/value heads
  folded.k = {4096 * 128, 0, 128};
  EXPECT_EQ(plan(folded, GetParam()), "taken");
}

/// What may_take and the fall-back to the reference kernels are for.
TEST_P(Graphs, WhatNoKernelDoesIsSaid) {
  EXPECT_NE(plan(key(Pass::kForward, Sight::kFull, 8, 8, 256, 256, 12), GetParam()), "taken");
  EXPECT_NE(plan(key(Pass::kBackward, Sight::kFull, 8, 8, 256, 256, 12), GetParam()), "taken");
}

INSTANTIATE_TEST_SUITE_P(Devices, Graphs, ::testing::Values("sm80", "sm90", "sm100"),
                         [](const auto& device) { return std::string(device.param); });

/// cuDNN itself plans all of these.
TEST(Shapes, WithoutAMeaningAreRefused) {
  EXPECT_THROW((void)forward_graph(key(Pass::kForward, Sight::kFull, 8, 3, 256, 256, 128)), DeviceError);
  EXPECT_THROW((void)forward_graph(key(Pass::kForward, Sight::kFull, 8, 0, 256, 256, 128)), DeviceError);
  EXPECT_THROW((void)forward_graph(key(Pass::kForward, Sight::kFull, 8, 8, 0, 256, 128)), DeviceError);
  EXPECT_THROW((void)backward_graph(key(Pass::kBackward, Sight::kFull, 8, 2, 256, 256, 128)), DeviceError);
}

}  // namespace
}  // namespace meshattn::gpu
