// Another algorithm: a ring with a stride, in which rank r sends keys and values to rank r + 3.
//   write_an_algorithm TOPOLOGIES
#include <meshattn/algorithm.h>
#include <meshattn/cluster.h>
#include <meshattn/simulate.h>

#include <cstdio>

using namespace meshattn;

constexpr std::size_t kStride = 3;  // must have no factor in common with the number of ranks

Schedule strided_ring(const Configuration& configuration, std::span<const TileStep>) {
  ScheduleBuilder builder(configuration.problem);
  const ByRank q = own_chunks(builder, Tensor::kQ);
  std::vector<ByRank> kv{own_chunks(builder, Tensor::kKV)};  // by hop and rank
  std::vector<std::vector<TransferId>> hops;
  while (kv.size() < q.size()) {
    ByRank arriving(q.size());
    std::vector<TransferId>& transfers = hops.emplace_back();
    for (std::size_t r = 0; r < q.size(); ++r) {
      const std::size_t to = (r + kStride) % q.size();
      transfers.push_back(builder.transfer(kv.back()[r], Rank(to), kOnlyLane));
      arriving[to] = builder.made(transfers.back());
    }
    kv.push_back(arriving);
  }
  ByRank o;  // made from all of these, and so declared after them
  for (Rank r = 0; r < configuration.problem.ranks; ++r)
    o.push_back(builder.declare(r, Tensor::kO, builder.chunk_region(r, Tensor::kO), Dtype::kFp32));
  for (std::size_t hop = 0; hop < q.size(); ++hop) {
    if (hop < hops.size()) builder.exchange_all(hops[hop]);  // while the blocks at hand are attended
    for (std::size_t r = 0; r < q.size(); ++r)
      builder.attend(Rank(r), std::vector{AttendRow{q[r], o[r]}}, std::vector{kv[hop][r]});
  }
  for (const ValueId sum : o) hand_out(builder, {sum});
  return builder.finish();
}

int main(int argc, char** argv) {
  const Algorithm strided{.name = "strided-ring",
                          .summary = "keys and values go from rank r to rank r + 3",
                          .form =
                              [](const FormRequest& request) {
                                return MeshForm{.tile = {1, request.problem.ranks}, .steps = Steps::kOwn};
                              },
                          .generate = strided_ring};
  const Problem problem{.shape = {.seq_q = 65'536, .seq_kv = 65'536, .heads = 32, .kv_heads = 32}, .ranks = 16};
  Cluster cluster = read_cluster("dgx-h100", argc > 1 ? argv[1] : "topologies");
  cluster.node.gpus_per_nic = 8;  // strides between nodes share it
  for (const Algorithm* algorithm : {&algorithm_of("ring"), &strided}) {
    const Result result = sim::evaluate(configure(*algorithm, problem, {}, cluster.node.gpus), cluster);
    std::printf("%-12s  %.3f ms\n", result.algorithm.c_str(), result.total().makespan_s * 1e3);
  }
}
