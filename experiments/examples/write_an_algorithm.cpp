// Another algorithm: a ring with a stride, in which rank r sends keys and values to rank r + 3.
//   write_an_algorithm TOPOLOGIES
#include <meshattn/algorithm.h>
#include <meshattn/cluster.h>
#include <meshattn/simulate.h>

#include <cstdio>

using namespace meshattn;

constexpr int kStride = 3;  // must have no factor in common with the number of ranks

Schedule strided_ring(const Configuration& configuration, std::span<const TileStep>) {
  ScheduleBuilder builder(configuration.problem);
  const int ranks = configuration.problem.ranks;
  const ByRank q = own_chunks(builder, Tensor::kQ);
  ByRank kv = own_chunks(builder, Tensor::kKV), o;
  for (Rank r = 0; r < ranks; ++r)
    o.push_back(builder.declare(r, Tensor::kO, builder.chunk_region(r, Tensor::kO), Dtype::kFp32));
  for (int hop = 0; hop < ranks; ++hop) {
    std::vector<TransferId> transfers;
    ByRank arriving(kv.size());
    for (Rank r = 0; r < ranks && hop + 1 < ranks; ++r) {
      const Rank to = (r + kStride) % ranks;
      transfers.push_back(builder.transfer(kv[r], to, kOnlyLane));
      arriving[to] = builder.made(transfers.back());
    }
    builder.exchange_all(transfers);
    for (Rank r = 0; r < ranks; ++r) builder.attend(r, std::vector{AttendRow{q[r], o[r]}}, std::vector{kv[r]});
    kv = arriving;
  }
  for (const ValueId sum : o) hand_out(builder, {sum});
  return builder.finish();
}

int main(int argc, char** argv) {
  const char* topologies = argc > 1 ? argv[1] : "topologies";
  const Algorithm strided{.name = "strided-ring",
                          .summary = "keys and values go from rank r to rank r + 3",
                          .form =
                              [](const FormRequest& request) {
                                return MeshForm{.tile = {1, request.problem.ranks}, .steps = Steps::kOwn};
                              },
                          .generate = strided_ring};
  Problem problem;
  problem.shape = {.seq_q = 65'536, .seq_kv = 65'536, .heads = 32, .kv_heads = 32, .head_dim = 128};
  problem.ranks = 16;
  const Cluster cluster = read_cluster("dgx-h100", topologies);
  for (const Algorithm* algorithm : {&algorithm_of("ring"), &strided}) {
    const Result result = sim::evaluate(configure(*algorithm, problem, {}, cluster.node.gpus), cluster);
    std::printf("%-12s  %.3f ms, %.0f %% of it waiting\n", result.algorithm.c_str(), result.total().makespan_s * 1e3,
                result.total().waiting * 100);
  }
}
