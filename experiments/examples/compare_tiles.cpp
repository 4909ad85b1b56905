// Which tile of Mesh-Attention is the fastest for a causal layer of 32 heads on 16 GPUs?  compare_tiles TOPOLOGIES
#include <meshattn/cluster.h>
#include <meshattn/simulate.h>

#include <cstdio>
#include <limits>

int main(int argc, char** argv) {
  using namespace meshattn;
  const char* topologies = argc > 1 ? argv[1] : "topologies";
  Request request;
  request.problem.shape = {.seq_q = 65'536, .seq_kv = 65'536, .heads = 32, .kv_heads = 32, .head_dim = 128};
  request.problem.mask = Mask::kCausal;
  request.problem.partition = Partition::kZigzag;
  request.problem.ranks = 16;
  request.cluster = read_cluster("dgx-h100", topologies);
  request.algorithm = "mesh";

  Tile fastest;
  double fastest_s = std::numeric_limits<double>::infinity();
  for (const Tile tile : tiles_of(request.problem.ranks)) {
    request.options.tile = tile;
    const Summary summary = sim::evaluate(request).total();
    std::printf("%5s  %7.3f ms  %5.2f GB received\n", tile_text(tile).c_str(), summary.makespan_s * 1e3,
                summary.volume.bytes_received_avg / 1e9);
    if (summary.makespan_s < fastest_s) {
      fastest_s = summary.makespan_s;
      fastest = tile;
    }
  }
  std::printf("fastest: %s\n", tile_text(fastest).c_str());
}
