// A cluster of one's own: nodes of 4 H100, a NIC for each, under a fat tree. What does a thinner tree cost
// ring and mesh?  custom_cluster TOPOLOGIES
#include <meshattn/cluster.h>
#include <meshattn/simulate.h>

#include <cstdio>

int main(int argc, char** argv) {
  using namespace meshattn;
  const char* topologies = argc > 1 ? argv[1] : "topologies";
  Request request;
  request.problem.shape = {.seq_q = 131'072, .seq_kv = 131'072, .heads = 32, .kv_heads = 8, .head_dim = 128};
  request.problem.ranks = 16;
  request.cluster.name = "thin tree";
  request.cluster.gpu = read_cluster("dgx-h100", topologies).gpu;
  request.cluster.node = {.gpus = 4,
                          .link_bytes_per_s = 400e9,
                          .link_startup_s = 3e-6,
                          .gpus_per_nic = 1,
                          .nic_bytes_per_s = 45e9,
                          .nic_startup_s = 8e-6};

  request.algorithm = "mesh";
  std::printf("oversubscription    1x16 (ring)         4x4\n");
  for (const double oversubscription : {1.0, 4.0, 16.0}) {
    request.cluster.fabric = {
        .kind = Fabric::Kind::kFatTree, .nodes_per_leaf = 2, .oversubscription = oversubscription};
    std::printf("%16g", oversubscription);
    for (const Tile tile : {Tile{1, 16}, Tile{4, 4}}) {
      request.options.tile = tile;
      std::printf("  %10.3f ms", sim::evaluate(request).total().makespan_s * 1e3);
    }
    std::printf("\n");
  }
}
