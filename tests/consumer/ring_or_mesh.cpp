// Prints the makespans of ring and of mesh 4x4, in seconds: consumer_test.sh asks the command for the same.
#include <meshattn/algorithm.h>
#include <meshattn/cluster.h>
#include <meshattn/plan.h>
#include <meshattn/problem.h>
#include <meshattn/simulate.h>
#include <meshattn/summary.h>
#include <meshattn/verify.h>

#include <cstdio>

#include "core/problem/problem.h"

int main() {
  meshattn::Request request;
  request.problem.shape = {.seq_q = 65'536, .seq_kv = 65'536, .heads = 32, .kv_heads = 8, .head_dim = 128};
  request.problem.mask = meshattn::Mask::kCausal;
  request.problem.partition = meshattn::Partition::kZigzag;
  request.problem.ranks = consumer::kRanks;
  request.cluster = meshattn::read_cluster("dgx-h100", TOPOLOGIES);
  for (const char* algorithm : {"ring", "mesh"}) {
    request.algorithm = algorithm;
    if (request.algorithm == "mesh") request.options.tile = meshattn::Tile{4, 4};
    std::printf("%s %.12f\n", algorithm, meshattn::sim::evaluate(request).total().makespan_s);
  }
}
