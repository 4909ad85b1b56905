#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>

#include <functional>
#include <string>
#include <vector>

#include "core/algorithms/catalogue.h"
#include "core/base/error.h"
#include "core/cluster/network.h"
#include "core/report/volume.h"

/// For tests of algorithms whose generators are no meshes.
namespace meshattn::testing {

inline constexpr Partition kPartitions[] = {Partition::kContiguous, Partition::kStriped, Partition::kZigzag};
inline constexpr Mask kMasks[] = {Mask::kFull, Mask::kCausal};
inline constexpr Pass kPasses[] = {Pass::kForward, Pass::kBackward};
inline constexpr Dtype kWires[] = {Dtype::kBf16, Dtype::kFp32};

/// Chunks of equal length; of lengths that differ, with shared key/value heads; short queries behind a cached prefix,
/// two of them in a batch. At least 2·cuts tokens a chunk, so that zigzag can be cut.
inline std::vector<AttentionShape> shapes_for(int n, int cuts = 1) {
  const int least = 2 * n * cuts;
  return {{least, least, 1, 4, 4, 4, Dtype::kBf16},
          {least + n + 1, least + n + 1, 1, 4, 2, 4, Dtype::kFp32},
          {least + 1, 2 * least + 3, 2, 4, 1, 4, Dtype::kBf16}};
}

inline void expect_refused(const std::function<Schedule()>& make, const std::string& why) {
  try {
    (void)make();
    FAIL() << "is not refused: " << why;
  } catch (const InvalidInput& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr(why));
    EXPECT_THAT(error.what(), ::testing::Not(::testing::HasSubstr("\n")));
  }
}

/// 8 query heads, 8 tokens for each cut of a chunk: all chunks and all their parts have the same bytes.
inline Problem even_problem(int ranks, int kv_heads, Pass pass, Mask mask, int cuts = 1) {
  const std::int64_t seq = 8L * ranks * cuts;
  return {{seq, seq, 1, 8, kv_heads, 4, Dtype::kBf16}, mask, Partition::kContiguous, pass, ranks};
}

/// A partial of bf16 tensors counts once as bf16 and twice as fp32.
inline double weight_of(Dtype wire) { return wire == Dtype::kFp32 ? 2 : 1; }

/// A network that only has to exist: volumes are asked of it, no times.
inline Network all_alone(int ranks) {
  Cluster cluster;
  cluster.node = {.gpus = ranks, .link_bytes_per_s = 1};
  return {cluster, ranks};
}

inline double chunks_of(const Schedule& s) { return volume_of(s, all_alone(s.problem.ranks)).chunks_received_avg; }

/// The schedule of an algorithm in a form, not yet pruned.
inline Schedule generated(std::string_view algorithm, const Problem& problem, Tile tile, Dtype wire) {
  const Algorithm& a = algorithm_of(algorithm);
  return a.generate({.problem = problem, .algorithm = &a, .form = {.tile = tile, .steps = Steps::kOwn}, .wire = wire},
                    {});
}

}  // namespace meshattn::testing
