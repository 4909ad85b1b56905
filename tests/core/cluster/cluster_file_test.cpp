#include "core/cluster/cluster_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>

#include <cmath>
#include <fstream>
#include <random>

#include "core/base/error.h"

namespace meshattn {
namespace {

using testing::HasSubstr;

const std::filesystem::path kTopologies = std::filesystem::path(MESHATTN_SOURCE_DIR) / "topologies";

constexpr std::string_view kGpu =
    "[gpu]\n"
    "memory_GB = 80  # sheet\n"
    "hbm_GBps = 3000 # sheet\n"
    "combine_efficiency = 0.5 # assumed: a guess\n"
    "launch_us = 4   # here\n"
    "[attention]\n"
    "point = forward full bf16 q 1024 kv 4096 heads 64/8 dim 128 500 TFLOPs # paper\n";

constexpr std::string_view kCluster =
    "# a cluster\n"
    "[cluster]\n"
    "gpu = g\n"
    "[node]\n"
    "gpus = 8             # sheet\n"
    "[link]\n"
    "bandwidth_GBps = 100 # sheet\n"
    "efficiency = 0.5     # https://example.org/#measured\n"
    "startup_us = 2       # assumed: as elsewhere\n";

constexpr std::string_view kNic =
    "[nic]\n"
    "bandwidth_GBps = 50  # sheet\n"
    "efficiency = 0.9     # sheet\n"
    "startup_us = 0       # definition\n";

/// A folder of topologies with one GPU and one cluster, gone afterwards.
class ClusterFile : public testing::Test {
 protected:
  ClusterFile() {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    directory_ = std::filesystem::path(testing::TempDir()) / (std::string("meshattn_") + info->name());
    std::filesystem::create_directories(directory_ / "clusters");
    std::filesystem::create_directories(directory_ / "gpus");
  }
  ~ClusterFile() override { std::filesystem::remove_all(directory_); }

  Cluster read(std::string_view cluster, std::string_view gpu, const std::vector<std::string>& settings = {}) {
    std::ofstream(directory_ / "clusters/c.ini", std::ios::binary) << cluster;
    std::ofstream(directory_ / "gpus/g.ini", std::ios::binary) << gpu;
    return read_cluster("c", directory_, settings);
  }
  std::string error_of(std::string_view cluster, std::string_view gpu, const std::vector<std::string>& settings = {}) {
    try {
      (void)read(cluster, gpu, settings);
    } catch (const InvalidInput& error) {
      return error.what();
    }
    return "no error";
  }

  std::filesystem::path directory_;
};

/// `text` with its first `from` made `to`.
std::string with(std::string_view text, std::string_view from, std::string_view to) {
  std::string changed(text);
  const std::size_t at = changed.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return changed.replace(at, from.size(), to);
}

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
  EXPECT_DOUBLE_EQ(c.gpu.accumulate_bytes_per_s, 1500e9);  // as that
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
  std::string_view from, to;           ///< in the cluster file, or, if not found there, in the GPU's
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
  const Cluster c = read(tree, kGpu, {"fabric.kind=non-blocking"});  // what the file says of its leaves is moot
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
      testing::ThrowsMessage<InvalidInput>(HasSubstr("unknown cluster 'ideal-8x5': did you mean 'ideal-8x50'?")));
  EXPECT_THAT([] { (void)read_cluster("elsewhere/x.ini", kTopologies); },
              testing::ThrowsMessage<InvalidInput>(HasSubstr("cluster 'elsewhere/x.ini': no such file")));
  EXPECT_THAT([] { (void)read_cluster("x", "no-such-directory"); },
              testing::ThrowsMessage<InvalidInput>(HasSubstr("no-such-directory")));
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

TEST_F(ClusterFile, KernelsMayHaveTails) {
  const std::string gpu = with(kGpu, "[attention]\n", "sms = 132  # sheet\n[attention]\ntail = backward 2.1  # here\n");
  const Cluster c = read(kCluster, gpu);
  EXPECT_EQ(c.gpu.sms, 132);
  EXPECT_EQ(c.gpu.tail(Pass::kForward), 0.5);
  EXPECT_EQ(c.gpu.tail(Pass::kBackward), 2.1);
  const Cluster batched = read(kCluster, with(kGpu, "bf16 q", "bf16 batch 3 q"));
  EXPECT_EQ(batched.gpu.attention.front().batch, 3);
  EXPECT_EQ(batched.gpu.attention.front().q_tokens, 1024);
  for (auto [tail, wrong] : {std::pair{"backward", "write it as 'forward 2.1'"},
                             {"sideways 1", "unknown pass 'sideways'"},
                             {"backward -1", "from 0 to 1000 is possible"},
                             {"backward 2.1  # twice\ntail = backward 2", "a second tail of backward kernels"}})
    EXPECT_THAT(error_of(kCluster, with(gpu, "backward 2.1", tail)), HasSubstr(wrong)) << tail;
}

TEST_F(ClusterFile, ExchangesMayTakeSms) {
  const std::string gpu = with(kGpu, "[attention]\n", "sms = 132  # sheet\n[attention]\n");
  EXPECT_EQ(read(kCluster, gpu, {"link.sms=16"}).node.link_sms, 16);
  EXPECT_EQ(read(kCluster, gpu, {"link.sms=0"}).node.link_sms, 0);  // a copy engine
  EXPECT_EQ(read(kCluster, kGpu, {"link.sms=16"}).gpu.sms, 0);      // a GPU of which they are not known loses none
  EXPECT_EQ(read(fmt::format("{}{}", kCluster, kNic), gpu, {"nic.sms=2"}).node.nic_sms, 2);
  EXPECT_THAT(error_of(kCluster, gpu, {"link.sms=132"}), HasSubstr("take 132 SMs of the 132 that g has"));
  EXPECT_THAT(error_of(kCluster, gpu, {"link.sms=1.5"}), HasSubstr("'sms' must be a whole number from 0"));
  EXPECT_THAT(error_of(kCluster, gpu, {"link.sms=16 +- 8"}), HasSubstr("'sms' is a count, which has no uncertainty"));
}

TEST_F(ClusterFile, LargeMessagesMayTakeLongerToStart) {
  const auto text = [](std::string_view lines) {
    return with(kCluster, "startup_us = 2 ", fmt::format("{}startup_us = 2 ", lines));
  };
  const Cluster c = read(text("startup = 1e6 bytes 30 us  # here\nstartup = 1000 bytes 3 us  # here\n"), kGpu);
  ASSERT_EQ(c.node.link_startups.size(), 2u);
  EXPECT_DOUBLE_EQ(c.node.link_startups[0].bytes, 1000);
  EXPECT_DOUBLE_EQ(c.node.link_startups[1].seconds, 30e-6);
  EXPECT_EQ(c.figures.at("link.startup 1e6 bytes 30 us").source, "here");
  for (const char* startup : {"1e6 bytes 30", "1e6 B 30 us", "0 bytes 30 us", "1e6 bytes nan us", "1e6 bytes 1e99 us"})
    EXPECT_THAT(error_of(text(fmt::format("startup = {}  # x\n", startup)), kGpu),
                testing::StartsWith((directory_ / "clusters/c.ini").string() + ":9: "))
        << startup;
  EXPECT_THAT(error_of(text("startup = 1e6 bytes 3 us # a\nstartup = 1000000 bytes 4 us # b\n"), kGpu),
              HasSubstr(":10: a second start-up of messages of 1000000 bytes"));
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

TEST_F(ClusterFile, AFrameworkIsAFileOfItsOwn) {
  std::filesystem::create_directories(directory_ / "frameworks");
  std::ofstream(directory_ / "frameworks/f.ini") << "[framework]\nmerge_bytes = 38 # counted\nhost_us = 20 # here\n";
  (void)read(kCluster, kGpu);
  const std::vector<std::string> settings{"framework.part_bytes=8"};
  const Cluster c = read_cluster("c", directory_, settings, "f");
  EXPECT_EQ(c.gpu.framework.merge_bytes, 38);
  EXPECT_EQ(c.gpu.framework.gradient_bytes, 12);
  EXPECT_EQ(c.gpu.framework.part_bytes, 8);
  EXPECT_DOUBLE_EQ(c.gpu.framework.host_s, 20e-6);
  EXPECT_EQ(c.figures.at("framework.merge_bytes").source, "counted");
  EXPECT_EQ(read(kCluster, kGpu, {"framework.merge_bytes=20"}).gpu.framework.merge_bytes, 20);
  EXPECT_FALSE(c.gpu.framework.late_exchanges);
  EXPECT_FALSE(c.figures.contains("attention.point"));
  EXPECT_FALSE(c.figures.contains("fabric.kind"));  // the file has no source for it
  EXPECT_FALSE(c.figures.contains("cluster.gpu"));  // a name, nothing that a prediction could be off by
  EXPECT_FALSE(read(kCluster, kGpu, {"framework.exchanges=early"}).gpu.framework.late_exchanges);
  const Cluster late = read(kCluster, kGpu, {"framework.exchanges=late"});
  EXPECT_TRUE(late.gpu.framework.late_exchanges);
  EXPECT_EQ(late.figures.at("framework.exchanges").value, "late");
  EXPECT_THAT(error_of(kCluster, kGpu, {"framework.exchanges=never"}),
              HasSubstr("unknown exchanges of framework 'never': possible are early, late"));
  EXPECT_THROW((void)read_cluster("c", directory_, {}, "g"), InvalidInput);
}

}  // namespace
}  // namespace meshattn
