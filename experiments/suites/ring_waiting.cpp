// At which NIC bandwidth per GPU does Ring-Attention wait 91.5 % of the time (reported for 128 GPUs and 1 M tokens;
// arXiv 2512.20968), and how much faster is mesh attention on that cluster (reported: 2.9 times on average, up to 3.4)?
// Found by bisection for each cluster, mask and pass, with 32 heads of 128 in bf16. Uses the planner's estimate, which
// is within 0.01 % of the simulation for these problems. Prints the table of experiments/suites/README.md.
//
//   ring_waiting [folder of topologies]

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "core/algorithms/catalogue.h"
#include "core/base/error.h"
#include "core/cluster/cluster_file.h"
#include "core/execution/estimate.h"
#include "core/planner/plan.h"
#include "core/report/summary.h"

namespace {

using namespace meshattn;

constexpr double kReported = 0.915;

struct Setting {
  std::string cluster;
  int gpus_per_nic;
  Mask mask;
  std::vector<Pass> passes;
};

std::string name_of(const Setting& s) {
  return fmt::format("{}, {}, {}, {}", s.cluster, s.gpus_per_nic, meshattn::name_of(s.mask),
                     s.passes.size() > 1 ? "both" : meshattn::name_of(s.passes.front()));
}

class Study {
 public:
  explicit Study(std::filesystem::path topologies) : topologies_(std::move(topologies)) {}

  /// All passes of a setting, one after the other.
  [[nodiscard]] Summary run(const Setting& setting, int gpus, Tile tile, double nic_GBps) const {
    const std::vector<std::string> settings{fmt::format("nic.bandwidth_GBps={}", nic_GBps),
                                            fmt::format("node.gpus_per_nic={}", setting.gpus_per_nic)};
    const Cluster cluster = read_cluster(setting.cluster, topologies_, settings);
    const Network network(cluster, gpus);
    std::vector<Summary> summaries;
    for (Pass pass : setting.passes) {
      const Problem problem{{1 << 20, 1 << 20, 1, 32, 32, 128, Dtype::kBf16},
                            setting.mask,
                            setting.mask.causal ? Partition::kZigzag : Partition::kContiguous,
                            pass,
                            gpus};
      const CostModel cost(cluster.gpu, problem);
      const Configuration mesh = configure("mesh", problem, {.tile = tile}, cluster.node.gpus);
      const Phase phase = plan_phase(mesh, network, cost);
      const Trace trace = estimate(phase.schedule, network, phase.times);
      summaries.push_back(summarise(phase.schedule, network, cost, phase.times, trace, {}));
    }
    return summaries.size() == 1 ? summaries[0] : one_after_other(summaries[0], summaries[1]);
  }

  /// NIC bandwidth in GB/s at which the ring of 128 waits as reported. A faster NIC means less waiting.
  [[nodiscard]] double nic_GBps(const Setting& setting) const {
    double low = 0.1, high = 1000;
    for (int i = 0; i < 30; ++i) {
      const double middle = std::sqrt(low * high);
      (run(setting, 128, {1, 128}, middle).waiting > kReported ? low : high) = middle;
    }
    return high;
  }

  [[nodiscard]] std::pair<Tile, Summary> fastest_mesh(const Setting& setting, int gpus, double nic_GBps) const {
    std::pair<Tile, Summary> best{{1, gpus}, run(setting, gpus, {1, gpus}, nic_GBps)};
    for (Tile tile : tiles_of(gpus)) {
      Summary s = run(setting, gpus, tile, nic_GBps);
      if (s.makespan_s < best.second.makespan_s) best = {tile, std::move(s)};
    }
    return best;
  }

 private:
  std::filesystem::path topologies_;
};

}  // namespace

int main(int argc, char** argv) {
  try {
    const Study study(argc > 1 ? argv[1] : MESHATTN_SOURCE_DIR "/topologies");
    fmt::print(
        "| cluster, GPUs a NIC, mask, pass | NIC, GB/s | n = 32 | 64 | 128 | 256 | mean "
        "|\n|---|---|---|---|---|---|---|\n");
    for (const auto& [cluster, gpus_per_nic] :
         {std::pair{"dgx-a100", 1}, {"dgx-h100", 1}, {"dgx-h100", 4}, {"dgx-h100", 8}})
      for (const Mask& mask : {Mask::kFull, Mask::kCausal})
        for (const std::vector<Pass>& passes :
             {std::vector{Pass::kForward}, std::vector{Pass::kForward, Pass::kBackward}}) {
          const Setting setting{cluster, gpus_per_nic, mask, passes};
          const double nic = study.nic_GBps(setting);
          std::string line = fmt::format("| {} | {:.2f} |", name_of(setting), nic);
          double sum = 0;
          for (int gpus : {32, 64, 128, 256}) {
            const double ring_s = study.run(setting, gpus, {1, gpus}, nic).makespan_s;
            const auto [tile, best] = study.fastest_mesh(setting, gpus, nic);
            sum += ring_s / best.makespan_s;
            line += fmt::format(" {:.2f} ({}x{}) |", ring_s / best.makespan_s, tile.rows, tile.columns);
          }
          fmt::print("{} {:.2f} |\n", line, sum / 4);
          std::fflush(stdout);
        }
    return 0;
  } catch (const Error& e) {
    fmt::print(stderr, "{}\n", e.what());
    return 1;
  }
}
