#include "tests/gpu/schedules.h"

#include <spdlog/fmt/fmt.h>

#include "core/base/error.h"
#include "core/cluster/cluster.h"
#include "core/planner/plan.h"

namespace meshattn::testing {

namespace {

Cluster cluster_of(int ranks) {
  Cluster c;
  c.gpu.attention_flops_per_s = 1e12;
  c.node = {.gpus = ranks, .link_bytes_per_s = 400e9, .link_startup_s = 1e-6};
  return c;
}

}  // namespace

Schedule schedule_of(const Problem& problem, std::string_view algorithm, const Options& options) {
  const Cluster cluster = cluster_of(problem.ranks);
  const Configuration c = configure(algorithm, problem, options, problem.ranks);
  return plan_phase(c, Network(cluster, problem.ranks), CostModel(cluster.gpu, c.problem)).schedule;
}

std::vector<std::pair<std::string, Schedule>> schedules_of(int ranks, Dtype dtype, int head_dim) {
  std::vector<std::pair<std::string, Schedule>> schedules;
  for (Pass pass : {Pass::kForward, Pass::kBackward})
    for (const Mask& mask : {Mask::kFull, Mask::kCausal, Mask{true, 3, {}}})
      for (const Algorithm& algorithm : algorithms()) {
        const std::int64_t tokens = (algorithm.name == "tasp" ? 28 : 4) * ranks;  // tasp cuts a rank's into rings
        const bool zigzag = mask.causal && mask.window == 0 && algorithm.name != "light-seq";
        const Problem p{{tokens, tokens, 2, 8, 4, head_dim, dtype},
                        mask,
                        zigzag ? Partition::kZigzag : Partition::kContiguous,
                        pass,
                        ranks};
        for (Options options : algorithm.variants(p, {}))
          for (int slices : {1, 2}) {
            options.slices = slices;
            if (algorithm.takes(Option::kInner)) options.inner = 2;
            try {
              Schedule s = schedule_of(p, algorithm.name, options);
              schedules.emplace_back(fmt::format("{} {} on {} with {} slices, {}, {}", algorithm.name,
                                                 form_text(configure(algorithm, p, options, ranks).form), ranks, slices,
                                                 name_of(pass), name_of(mask)),
                                     std::move(s));
            } catch (const InvalidInput&) {  // does not fit: see Issue.EveryAlgorithmIsThere
            }
          }
      }
  return schedules;
}

}  // namespace meshattn::testing
