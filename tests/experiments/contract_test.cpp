#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <tuple>

#include "tests/support/cli_fixture.h"

namespace meshattn {
namespace {

using nlohmann::json;
using Contract = Cli;

TEST_F(Contract, JsonHasTheKeysOfTheContract) {
  const json r = results("simulate " + ideal(16, "--algorithm ring"));
  for (const char* key : {"makespan_s", "compute_s", "waiting", "compute_balance", "problem_bound_s"})
    EXPECT_TRUE(r.at(key).is_number_float()) << key;
  for (const char* key : {"compute_s", "busiest_link_s", "busiest_link"}) EXPECT_TRUE(r.at("bounds").contains(key));
  for (const char* key : {"bytes_received_avg", "bytes_received_max", "chunks_received_avg", "inter_node_bytes_avg",
                          "inter_node_bytes_max", "inter_node_chunks_avg", "inter_node_chunks_max"})
    EXPECT_TRUE(r.at("volume").contains(key)) << key;
  for (const char* key : {"peak_bytes", "transfers", "ops"}) EXPECT_TRUE(r.at(key).is_number_unsigned()) << key;
  for (const char* key : {"plan_s", "validate_s", "simulate_s"}) EXPECT_TRUE(r.at("wall").contains(key)) << key;
  ASSERT_FALSE(r.at("links").empty());
  EXPECT_LE(r.at("links").size(), 10u);
  for (const char* key : {"name", "bytes", "busy_s", "utilisation"})
    for (const json& link : r.at("links")) EXPECT_TRUE(link.contains(key)) << key;
  double share = 0;
  for (const json& wait : r.at("waits")) share += wait.at("share").get<double>();
  EXPECT_NEAR(share, 1, 1e-9);
  EXPECT_EQ(r.at("tile"), "1x16");
  EXPECT_EQ(r.at("problem").at("seq_q"), 65536);
}

TEST_F(Contract, BothPassesStandBesideTheirSum) {
  const json r = results("simulate " + ideal(8, "--tile 2x4 --pass both"));
  const auto of = [&](const char* pass, const char* key) { return r.at(pass).at(key).get<double>(); };
  EXPECT_DOUBLE_EQ(r.at("makespan_s").get<double>(), of("forward", "makespan_s") + of("backward", "makespan_s"));
  EXPECT_EQ(r.at("transfers").get<double>(), of("forward", "transfers") + of("backward", "transfers"));
  EXPECT_EQ(r.at("peak_bytes").get<double>(), std::max(of("forward", "peak_bytes"), of("backward", "peak_bytes")));
}

TEST_F(Contract, RingOnNodesOfEightTakesTheTimeDerivedByHand) {
  // Every step attends one block (1 ms) while KV goes one hop: 2^26 bytes, 1 µs + 2^26 / 50e9 s = 1.34317728 ms between
  // nodes. Up to 8 GPUs the hop (1 µs + 2^26 / 400e9 s = 0.169 ms) hides behind the block: N blocks, exactly N ms.
  // Beyond, all wait for the slowest hop, N − 1 times, and then attend the last block.
  EXPECT_EQ(results("simulate " + ideal(8, "--algorithm ring")).at("makespan_s").get<double>(), 8e-3);
  for (int n : {16, 64, 256})
    EXPECT_NEAR(results("simulate " + ideal(n, "--algorithm ring")).at("makespan_s").get<double>(),
                (n - 1) * 1.34317728e-3 + 1e-3, 1e-6)
        << n;
}

TEST_F(Contract, VolumesOfLargeTilesAreTheirClosedForms) {
  // Tile a×b, MHA: forward a − 1 Q, b − 1 KV of two chunks, a − 1 partial O of one chunk in bf16, two in fp32:
  // 16×16: 15 + 30 + 15 = 60, fp32 75. Backward a − 1 of Q, dO, dQ, b − 1 of KV and dKV: 45 + 60 = 105. Ring, 1×256:
  // 255 · 2 = 510, and backward 255 · 4 = 1020. A ring has no partial that travels forward.
  const auto chunks = [&](const std::string& more) {
    const json r = results("simulate " + ideal(256, more));
    EXPECT_GE(r.at("makespan_s").get<double>(), std::max(r.at("bounds").at("compute_s").get<double>(),
                                                         r.at("bounds").at("busiest_link_s").get<double>()) *
                                                    (1 - 1e-9));
    return r.at("volume").at("chunks_received_avg").get<double>();
  };
  EXPECT_DOUBLE_EQ(chunks("--tile 16x16 --wire-dtype bf16"), 60);
  EXPECT_DOUBLE_EQ(chunks("--tile 16x16 --wire-dtype fp32"), 75);
  EXPECT_DOUBLE_EQ(chunks("--tile 16x16 --wire-dtype bf16 --pass backward"), 105);
  EXPECT_DOUBLE_EQ(chunks("--algorithm ring"), 510);
  EXPECT_DOUBLE_EQ(chunks("--algorithm ring --wire-dtype bf16 --pass backward"), 1020);
}

TEST_F(Contract, VolumesOfUlyssesHybridsAreTheirClosedForms) {
  // u ranks share out the heads: (2 + 2/g)(u − 1)/u chunks of Q, KV and O come and go; then a mesh of 256/u places
  // moves 2(a − 1) + (2/g)(b − 1), a ring (2/g)(256/u − 1).
  // MHA, u = 8: 3.5, and 6 + 14 (4×8) or 62; u = 32: 3.875, and 2 + 6 (2×4) or 14.
  // 64 heads on 8 of keys, u = 8: 2.25 · 7/8 = 1.96875, and 2 + 3.75 (2×16) or 7.75.
  const auto chunks = [&](const std::string& more, int kv_heads = 32, int heads = 32) {
    const json r = results("simulate " + ideal(256, more + " --wire-dtype bf16", kv_heads, heads));
    return r.at("volume").at("chunks_received_avg").get<double>();
  };
  EXPECT_DOUBLE_EQ(chunks("--algorithm ulysses-mesh --ulysses 8 --tile 4x8"), 23.5);
  EXPECT_DOUBLE_EQ(chunks("--algorithm usp --ulysses 8"), 65.5);
  EXPECT_DOUBLE_EQ(chunks("--algorithm ulysses-mesh --ulysses 32 --tile 2x4"), 11.875);
  EXPECT_DOUBLE_EQ(chunks("--algorithm usp --ulysses 32"), 17.875);
  EXPECT_DOUBLE_EQ(chunks("--algorithm ulysses-mesh --ulysses 8 --tile 2x16", 8, 64), 7.71875);
  EXPECT_DOUBLE_EQ(chunks("--algorithm usp --ulysses 8", 8, 64), 9.71875);
}

/// 256 GPUs, 1 M tokens, MHA, causal zigzag: on NICs of 16 GB/s, and with four GPUs to each NIC.
TEST_F(Contract, SlicesAndPlacementBeatEveryPlainTile) {
  const std::string slow = " --set nic.bandwidth_GBps=16", shared = " --set node.gpus_per_nic=4";
  const std::string sliced = "simulate --tile 4x64 --placement grid:1x8 --slices 8 ";
  const std::string placed = "simulate --tile 16x16 --placement grid:4x2 ";  // slices gain nothing more on this network
  const std::tuple<std::string, std::string, double> networks[] = {
      {slow, sliced, 1.3}, {slow + shared, sliced, 1.3}, {shared, placed, 1.2}};
  for (const auto& [nics, best, gain] : networks) {
    const std::string problem = "--cluster dgx-h100 --gpus 256 --model llama-2-7b --seq 1M --mask causal" + nics;
    double plain_s = 1e9;
    const json plain = results("compare --algorithm mesh " + problem);
    for (const json& row : plain.at("rows")) plain_s = std::min(plain_s, row.at("makespan_s").get<double>());
    EXPECT_GE(plain_s / results(best + problem).at("makespan_s").get<double>(), gain) << nics;
  }
}

TEST_F(Contract, CompareFindsTheTilesOfLeastVolumeForGroupedHeads) {
  // g = 8: 2(a − 1) + (2/8)(b − 1) over a·b = 256 is least at 4×64 (6 + 15.75) and 8×32 (14 + 7.75): 21.75.
  const json r = results("compare " + ideal(256, "--wire-dtype bf16", 4));
  double least = 1e9;
  std::set<std::string> best;
  int tiles = 0;
  for (const json& row : r.at("rows")) {
    if (row.at("algorithm") != "ring" && row.at("algorithm") != "mesh") continue;
    ++tiles;
    const std::string tile = row.at("tile");
    const int a = std::stoi(tile), b = 256 / a;
    const double chunks = row.at("volume").at("chunks_received_avg");
    EXPECT_DOUBLE_EQ(chunks, 2 * (a - 1) + 0.25 * (b - 1)) << tile;
    EXPECT_GE(row.at("makespan_s").get<double>(), std::max(row.at("bounds").at("compute_s").get<double>(),
                                                           row.at("bounds").at("busiest_link_s").get<double>()) *
                                                      (1 - 1e-9))
        << tile;
    if (chunks < least) best.clear();
    least = std::min(least, chunks);
    if (chunks == least) best.insert(tile);
  }
  EXPECT_EQ(tiles, 9);  // ring and the tiles 2×128 … 256×1
  EXPECT_DOUBLE_EQ(least, 21.75);
  EXPECT_EQ(best, (std::set<std::string>{"4x64", "8x32"}));
}

}  // namespace
}  // namespace meshattn
