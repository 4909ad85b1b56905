#include "core/cluster/cluster_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>

#include <cmath>
#include <random>

#include "core/base/error.h"
#include "tests/support/topology_folder.h"

namespace meshattn::testing {
namespace {

using ::testing::HasSubstr;

const std::filesystem::path kTopologies = std::filesystem::path(MESHATTN_SOURCE_DIR) / "topologies";

class ClusterFile : public TopologyFolder {};

TEST_F(ClusterFile, UnitsAndEfficienciesAreMultipliedOut) {
  const Cluster c = read(std::string(kCluster) + std::string(kNic), kGpu);
  EXPECT_EQ(c.name, "c");
  EXPECT_EQ(c.gpu.name, "g");
  EXPECT_EQ(c.node.gpus, 8);
  EXPECT_EQ(c.node.gpus_per_nic, 1);
  EXPECT_DOUBLE_EQ(c.node.link_bytes_per_s, 50e9);  // 100 · 0.5
  EXPECT_DOUBLE_EQ(c.node.link_startup_s, 2e-6);
  EXPECT_DOUBLE_EQ(c.node.nic_bytes_per_s, 45e9);  // 50 · 0.9
  EXPECT_EQ(c.node.nic_startup_s, 0);
  EXPECT_EQ(c.fabric.kind, Fabric::Kind::kNonBlocking);
  EXPECT_DOUBLE_EQ(c.gpu.combine_bytes_per_s, 1500e9);     // 3000 · 0.5
  EXPECT_DOUBLE_EQ(c.gpu.accumulate_bytes_per_s, 1500e9);  // the same if not given
  EXPECT_EQ(c.node.link_efficiency_during_compute, 1);
  EXPECT_DOUBLE_EQ(c.gpu.launch_s, 4e-6);
  ASSERT_EQ(c.gpu.attention.size(), 1u);
  const AttentionPoint& p = c.gpu.attention[0];
  EXPECT_EQ(std::tuple(p.pass, p.mask, p.dtype), std::tuple(Pass::kForward, KernelMask::kFull, Dtype::kBf16));
  EXPECT_EQ(std::tuple(p.q_tokens, p.kv_tokens, p.heads, p.kv_heads, p.head_dim), std::tuple(1024, 4096, 64, 8, 128));
  EXPECT_DOUBLE_EQ(p.flops_per_s, 500e12);
  EXPECT_EQ(p.source, "paper");
  EXPECT_EQ(c.figures.at("link.efficiency").source, "https://example.org/#measured");
  EXPECT_EQ(c.figures.at("gpu.combine_efficiency").source, "assumed: a guess");
}

TEST_F(ClusterFile, WindowsLineEndsAndNoLineEndAtTheEndAreRead) {
  std::string text(kCluster);
  for (std::size_t at = 0; (at = text.find('\n', at)) != std::string::npos; at += 2) text.insert(at, 1, '\r');
  text.resize(text.size() - 2);
  EXPECT_DOUBLE_EQ(read(text, kGpu).node.link_startup_s, 2e-6);
}

struct Mistake {
  std::string_view from, to;           ///< in the cluster file or, if not found there, in the GPU profile
  std::vector<std::string_view> says;  ///< parts of the message
};

TEST_F(ClusterFile, EveryMistakeIsToldWithFileLineAndWhatWouldBeRight) {
  const std::vector<Mistake> mistakes = {
      {"# sheet", "", {"c.ini:5: 'gpus' has no source", "# assumed: why"}},
      {"# assumed: as elsewhere", "# assumed:", {"c.ini:9: 'startup_us' is assumed without a reason"}},
      {"startup_us", "start_up_us", {"c.ini:9: unknown key 'start_up_us' in [link]: did you mean 'startup_us'?"}},
      {"gpus = 8", "gpu = 8", {"c.ini:5: unknown key 'gpu' in [node]: did you mean 'gpus'?"}},
      {"[node]", "[nodes]", {"c.ini:4: unknown section 'nodes': did you mean 'node'?"}},
      {"[node]", "[weather]", {"c.ini:4: unknown section 'weather': possible are cluster, node, link"}},
      {"[node]", "[]", {"c.ini:4: unknown section ''"}},
      {"gpus = 8", "gpus = 8 # s\ngpus = 9", {"c.ini:6: 'gpus' is given twice, first at", "c.ini:5"}},
      {"startup_us = 2", "# 2", {"c.ini: no 'startup_us' in [link]"}},
      {"= 100", "= -100", {"c.ini:7: 'bandwidth_GBps' must be above 0", "'-100'"}},
      {"= 100", "= 0", {"c.ini:7: 'bandwidth_GBps' must be above 0"}},
      {"= 100", "= fast", {"c.ini:7: 'bandwidth_GBps' must be a finite decimal number, not 'fast'"}},
      {"= 100", "= 100 GB", {"c.ini:7: 'bandwidth_GBps' must be a finite decimal number, not '100 GB'"}},
      {"= 100", "= inf", {"c.ini:7:", "finite", "'inf'"}},
      {"= 100", "= nan", {"c.ini:7:", "finite", "'nan'"}},
      {"= 100", "= 1e999", {"c.ini:7:", "finite", "'1e999'"}},
      {"= 100", "= 1e300", {"c.ini:7:", "1e12", "'1e300'"}},
      {"= 100", "= 1e-300", {"c.ini:7:", "'1e-300'"}},
      {"= 100", "=", {"c.ini:7: 'bandwidth_GBps' has no value"}},
      {"= 0.5", "= 1.5", {"c.ini:8: 'efficiency' must be above 0 and at most 1, not '1.5'"}},
      {"startup_us = 2", "startup_us = -1", {"c.ini:9: 'startup_us' must be 0 or more"}},
      {"gpus = 8", "gpus = 0", {"c.ini:5: 'gpus' must be a whole number from 1 to 1000000000, not '0'"}},
      {"gpus = 8", "gpus = 2.5", {"c.ini:5: 'gpus' must be a whole number from 1 to 1000000000, not '2.5'"}},
      {"gpus = 8", "gpus = 2000000000", {"c.ini:5: 'gpus' must be a whole number from 1"}},
      {"gpus = 8 ", "gpus = 8 # s\ngpus_per_nic = 3", {"c.ini:6: gpus_per_nic 3 of 8 GPUs: must divide them"}},
      {"gpus = 8 ", "gpus = 8 # s\ngpus_per_switch = 4", {"c.ini: 'gpus_per_switch' in [node] and a section [switch]"}},
      {"gpu = g", "gpu = h", {"c.ini:3: unknown GPU profile 'h'", "'g'"}},
      {"gpu = g", "gpus g", {"c.ini:3: 'gpus g' is neither '[section]' nor 'key = value  # source'"}},
      {"[cluster]", "", {"c.ini:3: 'gpu = g' stands before the first '[section]'"}},
      {"[node]",
       "[fabric]\nkind = mesh\n[node]",
       {"c.ini:5: unknown kind of fabric 'mesh': possible are non-blocking"}},
      {"[node]", "[fabric]\nkind = rail\n[node]", {"c.ini: a fabric without a section [nic]"}},
      {"[node]", "[fabric]\nnodes_per_leaf = 4 # s\n[node]", {"c.ini:5: 'nodes_per_leaf' in a non-blocking fabric"}},
      {"memory_GB = 80", "", {"g.ini: no 'memory_GB' in [gpu]"}},
      {"hbm_GBps = 3000", "combine = 3", {"g.ini:3: combine '3': must be free"}},
      {"hbm_GBps = 3000 # sheet", "", {"g.ini: no 'hbm_GBps' and 'combine_efficiency' in [gpu]"}},
      {"[attention]",
       "attention_TFLOPs = 5 # s\n[attention]",
       {"g.ini: both of 'attention_TFLOPs' in [gpu] and points"}},
      {"point = forward full", "#", {"g.ini: neither of 'attention_TFLOPs' in [gpu] and points"}},
      {"# paper", "", {"g.ini:7: 'point' has no source"}},
      {"forward", "sideways", {"g.ini:7: unknown pass 'sideways': possible are forward, backward"}},
      {"full", "half", {"g.ini:7: unknown mask 'half'"}},
      {"bf16", "int4", {"g.ini:7: unknown dtype 'int4'"}},
      {"q 1024", "q many", {"g.ini:7: q of the point must be a whole number from 1 to 1000000000, not 'many'"}},
      {"64/8", "64", {"g.ini:7: point 'forward full bf16 q 1024", "write it as 'forward full bf16 q 4096"}},
      {"64/8", "64/x", {"g.ini:7: kv heads of the point must be a whole number from 1 to 1000000000, not 'x'"}},
      {"500 TFLOPs", "500", {"g.ini:7: point 'forward", "write it as"}},
      {"500 TFLOPs", "-1 TFLOPs", {"g.ini:7: a rate of '-1' TFLOPs"}},
      {"500 TFLOPs", "nan TFLOPs", {"g.ini:7: rate of the point must be a finite decimal number, not 'nan'"}},
  };
  for (const Mistake& m : mistakes) {
    const bool in_cluster = kCluster.find(m.from) != std::string_view::npos;
    const std::string said =
        in_cluster ? error_of(with(kCluster, m.from, m.to), kGpu) : error_of(kCluster, with(kGpu, m.from, m.to));
    for (std::string_view part : m.says) EXPECT_THAT(said, HasSubstr(std::string(part)));
  }
}

TEST_F(ClusterFile, SettingsReplaceWhatTheFilesSay) {
  const std::string text = std::string(kCluster) + std::string(kNic);
  const Cluster c = read(text, kGpu,
                         {"nic.bandwidth_GBps=25", "node.gpus_per_nic=4", "fabric.kind=fat-tree",
                          "fabric.nodes_per_leaf=16", "fabric.oversubscription=2", "fabric.paths=32", "gpu.launch_us=0",
                          "nic.startup_us = 7", "link.efficiency=0.7", "link.efficiency=1"});
  EXPECT_DOUBLE_EQ(c.node.nic_bytes_per_s, 22.5e9);  // 25 · 0.9
  EXPECT_DOUBLE_EQ(c.node.nic_startup_s, 7e-6);
  EXPECT_EQ(c.node.gpus_per_nic, 4);
  EXPECT_EQ(c.fabric.kind, Fabric::Kind::kFatTree);
  EXPECT_EQ(c.fabric.nodes_per_leaf, 16);
  EXPECT_EQ(c.fabric.oversubscription, 2);
  EXPECT_EQ(c.fabric.paths, 32);
  EXPECT_EQ(c.gpu.launch_s, 0);
  EXPECT_DOUBLE_EQ(c.node.link_bytes_per_s, 100e9);  // the last setting counts
  EXPECT_EQ(c.figures.at("nic.bandwidth_GBps").source, "set for this run");
  const Cluster flat = read(text, kGpu, {"gpu.attention_TFLOPs=300"});  // in place of the points
  EXPECT_DOUBLE_EQ(flat.gpu.attention_flops_per_s, 300e12);
  EXPECT_TRUE(flat.gpu.attention.empty());
}

TEST_F(ClusterFile, ASettingMakesAFabricNonBlocking) {
  const std::string tree = std::string(kCluster) + std::string(kNic) +
                           "[fabric]\nkind = rail\nnodes_per_leaf = 4 # s\noversubscription = 2 # s\n";
  EXPECT_EQ(read(tree, kGpu).fabric.kind, Fabric::Kind::kRail);
  const Cluster c = read(tree, kGpu, {"fabric.kind=non-blocking"});  // its leaves in the file are ignored
  EXPECT_EQ(c.fabric.kind, Fabric::Kind::kNonBlocking);
  EXPECT_EQ(c.fabric.nodes_per_leaf, 0);
  EXPECT_THAT(error_of(tree, kGpu, {"fabric.paths=1025"}), HasSubstr("paths 1025 must be from 1 to 1024"));
  EXPECT_THAT(error_of(tree, kGpu, {"fabric.kind=non-blocking", "fabric.nodes_per_leaf=8"}),
              HasSubstr("setting 'fabric.nodes_per_leaf=8': 'nodes_per_leaf' in a non-blocking fabric"));
}

TEST_F(ClusterFile, AWrongSettingNamesWhatIsPossible) {
  EXPECT_THAT(error_of(kCluster, kGpu, {"link.bandwith_GBps=25"}),
              HasSubstr("setting 'link.bandwith_GBps=25': unknown key 'bandwith_GBps' in [link]: did you mean "
                        "'bandwidth_GBps'? Possible are bandwidth_GBps, efficiency, busy_efficiency"));
  EXPECT_THAT(error_of(kCluster, kGpu, {"gpux.memory_GB=25"}),
              HasSubstr("unknown section 'gpux': did you mean 'gpu'?"));
  EXPECT_THAT(error_of(kCluster, kGpu, {"nic=25"}), HasSubstr("must be 'section.key=value'"));
  EXPECT_THAT(error_of(kCluster, kGpu, {"link.startup_us"}), HasSubstr("must be 'section.key=value'"));
  EXPECT_THAT(error_of(kCluster, kGpu, {"link.efficiency=2"}),
              HasSubstr("setting 'link.efficiency=2': 'efficiency' must be above 0 and at most 1"));
  EXPECT_THAT(error_of(kCluster, kGpu, {"nic.bandwidth_GBps=2"}), HasSubstr("no 'efficiency' in [nic]"));
  EXPECT_THAT(error_of(kCluster, kGpu, {"cluster.gpu=x"}),
              HasSubstr("setting 'cluster.gpu=x': unknown GPU profile 'x'"));
}

TEST_F(ClusterFile, AnUnknownNameListsTheClusters) {
  EXPECT_THAT(
      [] { (void)read_cluster("ideal-8x5", kTopologies); },
      ::testing::ThrowsMessage<InvalidInput>(HasSubstr("unknown cluster 'ideal-8x5': did you mean 'ideal-8x50'?")));
  EXPECT_THAT([] { (void)read_cluster("elsewhere/x.ini", kTopologies); },
              ::testing::ThrowsMessage<InvalidInput>(HasSubstr("cluster 'elsewhere/x.ini': no such file")));
  EXPECT_THAT([] { (void)read_cluster("x", "no-such-directory"); },
              ::testing::ThrowsMessage<InvalidInput>(HasSubstr("no-such-directory")));
  (void)read(kCluster, kGpu);
  EXPECT_EQ(read_cluster((directory_ / "clusters/c.ini").string(), directory_).name, "c");
}

TEST_F(ClusterFile, AnyBytesAreReadOrRefused) {
  std::mt19937 random(1);
  const std::string both[] = {std::string(kCluster) + std::string(kNic), std::string(kGpu)};
  const std::string_view pieces[] = {
      "\n", "=", "#", "[", "]", "inf", "nan", "-", "1e308", "\xff", "99999999999999999999"};
  int refused = 0;
  for (int round = 0; round < 500; ++round) {
    std::string texts[] = {both[0], both[1]};
    for (int edits = static_cast<int>(random() % 4) + 1; edits > 0; --edits) {
      std::string& text = texts[random() % 2];
      const std::size_t at = random() % text.size();
      switch (random() % 4) {
        case 0:
          text[at] = static_cast<char>(random() % 256);
          break;
        case 1:
          text.insert(at, pieces[random() % std::size(pieces)]);
          break;
        case 2:
          text.erase(at, random() % 20);
          break;
        default:
          text.insert(at, std::string(random() % 3000, static_cast<char>(random() % 256)));
      }
      if (text.empty()) text = "x";
    }
    try {
      const Cluster c = read(texts[0], texts[1]);
      for (double x : {c.node.link_bytes_per_s, c.node.link_startup_s, c.node.nic_bytes_per_s, c.gpu.memory_bytes})
        ASSERT_TRUE(std::isfinite(x) && x >= 0);
    } catch (const InvalidInput& error) {
      ++refused;
      const std::string_view said = error.what();
      ASSERT_LT(said.size(), 700u);
      for (char c : said) ASSERT_TRUE(c != '\0' && c != '\n');
      ASSERT_THAT(std::string(said), HasSubstr(".ini"));
    }
  }
  EXPECT_GT(refused, 100);
}

TEST_F(ClusterFile, NumbersMayHaveAnUncertainty) {
  const Cluster c = read(with(kCluster, "efficiency = 0.5 ", "efficiency = 0.5 +- 0.1 "), kGpu);
  EXPECT_DOUBLE_EQ(c.node.link_bytes_per_s, 50e9);
  EXPECT_EQ(c.figures.at("link.efficiency").value, "0.5");
  EXPECT_DOUBLE_EQ(c.figures.at("link.efficiency").uncertainty, 0.1);
  EXPECT_EQ(c.figures.at("link.startup_us").uncertainty, 0);
  EXPECT_DOUBLE_EQ(read(kCluster, kGpu, {"gpu.launch_us=3+-1"}).figures.at("gpu.launch_us").uncertainty, 1);
  for (auto [value, wrong] : {std::pair{"0.5 +- x", "the uncertainty of 'efficiency' must be a finite"},
                              {"0.5 +-", "the uncertainty of"},
                              {"0.5 +- 0", "must be above 0"},
                              {"0.5 +- -1", "must be above 0"},
                              {"+- 0.1", "'efficiency' has no value"}})
    EXPECT_THAT(error_of(with(kCluster, "efficiency = 0.5 ", fmt::format("efficiency = {} ", value)), kGpu),
                HasSubstr(wrong))
        << value;
  EXPECT_THAT(error_of(with(kCluster, "gpus = 8 ", "gpus = 8 +- 1 "), kGpu),
              HasSubstr("a count, which has no uncertainty"));
}

TEST_F(ClusterFile, ExchangesMayTakeSms) {
  const std::string gpu = with(kGpu, "[attention]\n", "sms = 132  # sheet\n[attention]\n");
  EXPECT_EQ(read(kCluster, gpu, {"link.sms=16"}).node.link_sms, 16);
  EXPECT_EQ(read(kCluster, gpu, {"link.sms=0"}).node.link_sms, 0);  // a copy engine
  EXPECT_EQ(read(kCluster, kGpu, {"link.sms=16"}).gpu.sms, 0);      // unknown: it loses none
  EXPECT_EQ(read(fmt::format("{}{}", kCluster, kNic), gpu, {"nic.sms=2"}).node.nic_sms, 2);
  EXPECT_THAT(error_of(kCluster, gpu, {"link.sms=132"}), HasSubstr("take 132 SMs of the 132 that g has"));
  EXPECT_THAT(error_of(kCluster, gpu, {"link.sms=1.5"}), HasSubstr("'sms' must be a whole number from 0"));
  EXPECT_THAT(error_of(kCluster, gpu, {"link.sms=16 +- 8"}), HasSubstr("'sms' is a count, which has no uncertainty"));
}

TEST_F(ClusterFile, GpusMayHangOnCpus) {
  const std::string on_cpus = fmt::format("{}[root]\ngpus = 4 # board\nmany_GBps = 8 # measured\n", kCluster);
  EXPECT_EQ(read(on_cpus, kGpu).node.gpus_per_root, 4);
  EXPECT_DOUBLE_EQ(read(on_cpus, kGpu).node.root_bytes_per_s, 8e9);
  EXPECT_THAT(error_of(on_cpus, kGpu, {"root.gpus=3"}),
              HasSubstr("3 GPUs on a root complex of 8 in a node: must divide"));
  EXPECT_THAT(error_of(with(on_cpus, "many_GBps = 8 # measured\n", ""), kGpu), HasSubstr("no 'many_GBps' in [root]"));
}

TEST_F(ClusterFile, GpusMayBeSharesOfOneDevice) {
  const Node node = read(kCluster, kGpu, {"node.processors=1", "node.shared_GBps=1500"}).node;
  EXPECT_EQ(node.processors, 1);
  EXPECT_DOUBLE_EQ(node.shared_bytes_per_s, 1500e9);
  EXPECT_EQ(read(kCluster, kGpu).node.processors, 0);
  EXPECT_THAT(error_of(kCluster, kGpu, {"node.processors=0"}), HasSubstr("above 0"));
  EXPECT_THAT(error_of(kCluster, kGpu, {"node.shared_GBps=0"}), HasSubstr("above 0"));
}

TEST_F(ClusterFile, WhatComputeTakesFromLinksAndHowFastGradientsAreSummedMayBeSaid) {
  const Cluster c = read(kCluster, kGpu,
                         {"link.busy_efficiency=0.9", "link.compute_efficiency=0.8", "gpu.accumulate_efficiency=0.25"});
  EXPECT_EQ(c.node.link_efficiency_during_compute, 0.9);
  EXPECT_EQ(c.node.compute_efficiency_during_transfers, 0.8);
  EXPECT_DOUBLE_EQ(c.gpu.accumulate_bytes_per_s, 750e9);  // 3000 · 0.25
  EXPECT_DOUBLE_EQ(c.gpu.combine_bytes_per_s, 1500e9);
  EXPECT_THAT(error_of(kCluster, kGpu, {"gpu.combine=free", "gpu.accumulate_efficiency=0.5"}),
              HasSubstr("'accumulate_efficiency' where merging is free"));
  EXPECT_THAT(error_of(kCluster, kGpu, {"link.busy_efficiency=1.1"}), HasSubstr("busy_efficiency"));
  EXPECT_THAT(error_of(kCluster, kGpu, {"link.busy_efficiency=0"}), HasSubstr("busy_efficiency"));
}

}  // namespace
}  // namespace meshattn::testing
