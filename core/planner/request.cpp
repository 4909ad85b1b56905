#include "core/planner/request.h"

namespace meshattn {

std::vector<Configuration> configure(const Request& request) {
  std::vector<Configuration> passes;
  for (Pass pass : request.passes) {
    Problem problem = request.problem;
    problem.pass = pass;
    Configuration& c =
        passes.emplace_back(configure(request.algorithm, problem, request.options, request.cluster.node.gpus));
    c.order = request.order;
    c.wire = request.wire;
    c.memory_limit = request.memory_limit;
  }
  return passes;
}

std::vector<Partition> usual_partitions(const Mask& mask, std::string_view algorithm) {
  if (mask.window > 0 || mask.is_full()) return {Partition::kContiguous};
  if (!algorithm.empty() && algorithm_of(algorithm).partition) return {*algorithm_of(algorithm).partition};
  if (mask.documents.empty()) return {Partition::kZigzag};
  return {Partition::kContiguous, Partition::kZigzag, Partition::kDocumentZigzag};
}

bool tries_partitions(const Request& request) {
  return request.choose_partition && usual_partitions(request.problem.mask, request.algorithm).size() > 1;
}

}  // namespace meshattn
