#include <algorithm>
#include <vector>

#include "core/algorithms/choose.h"
#include "core/algorithms/chunks.h"
#include "core/algorithms/hamiltonian.h"
#include "core/base/invalid_option.h"

namespace meshattn::catalogue {

namespace {

/// Cut `part` of every piece of a chunk's keys.
RegionId part_region(ScheduleBuilder& b, Rank chunk, int part) {
  const Problem& p = b.problem();
  std::vector<Cell> cells;
  for (int cell = part; cell < p.pieces(); cell += p.cuts)
    cells.push_back(static_cast<Cell>(chunk * p.pieces() + cell));
  return b.region(cells, {0, p.shape.kv_heads});
}

/// What moves with one hop: the transfers, and by rank the parts that it brings.
struct Arrival {
  std::vector<TransferId> transfers;
  std::vector<std::vector<ValueId>> parts;
};

/// Part k of what a rank holds goes to the next rank of cycle k.
Arrival hop(ScheduleBuilder& b, const std::vector<Cycle>& cycles, const std::vector<std::vector<ValueId>>& held) {
  Arrival arrival{{}, std::vector<std::vector<ValueId>>(held.size(), std::vector<ValueId>(cycles.size()))};
  for (std::size_t k = 0; k < cycles.size(); ++k)
    for (std::size_t r = 0; r < held.size(); ++r) {
      const Rank to = cycles[k][r];
      const TransferId t = b.transfer(held[r][k], to, kOnlyLane);
      arrival.transfers.push_back(t);
      arrival.parts[static_cast<std::size_t>(to)][k] = b.made(t);
    }
  return arrival;
}

Schedule generate(const Configuration& c, std::span<const TileStep>) {
  const Problem& problem = c.problem;
  if (problem.pass != Pass::kForward) throw InvalidOption("tasp has a forward pass only: use ", "pass", " forward");
  const std::vector<Cycle> cycles = hamiltonian_cycles(problem.ranks);
  Problem cut = problem;
  cut.cuts = std::max<int>(1, static_cast<int>(cycles.size()));
  ScheduleBuilder b(cut);
  const ByRank q = own_chunks(b, Tensor::kQ);
  std::vector<std::vector<ValueId>> own;  // parts by rank
  for (Rank r = 0; r < cut.ranks; ++r) {
    std::vector<ValueId>& parts = own.emplace_back();
    for (int k = 0; k < cut.cuts; ++k) parts.push_back(b.input(r, Tensor::kKV, part_region(b, r, k), cut.shape.dtype));
  }
  std::vector<Arrival> arrivals{{{}, own}};
  while (arrivals.size() <= cycles.size()) arrivals.push_back(hop(b, cycles, arrivals.back().parts));
  arrivals.emplace_back();

  ByRank o;
  for (Rank r = 0; r < cut.ranks; ++r)
    o.push_back(b.declare(r, Tensor::kO, b.chunk_region(r, Tensor::kO), Dtype::kFp32));
  for (std::size_t hops = 0; hops <= cycles.size(); ++hops) {
    b.exchange_all(arrivals[hops + 1].transfers);
    for (std::size_t r = 0; r < o.size(); ++r)
      b.attend(static_cast<Rank>(r), std::vector{AttendRow{q[r], o[r]}}, arrivals[hops].parts[r]);
  }
  for (ValueId sum : o) hand_out(b, {sum});
  return b.finish();
}

}  // namespace

/// TASP, forward: the keys of each rank are cut into n − 1 parts. Part k goes round Hamiltonian cycle k of
/// `hamiltonian_cycles`, so that each rank sends a part to every other one in every one of the n − 1 hops. No partial
/// travels. Receives 2(n − 1)/g chunks, as ring. There are no such cycles of 4 and 6 ranks, and more than
/// kMostHamiltonianRanks are refused.
Algorithm tasp() {
  return {.name = "tasp",
          .summary = "keys and values in N-1 parts on arc-disjoint Hamiltonian rings (arXiv 2509.26541)",
          .forward_only = true,
          .form =
              [](const FormRequest& request) {
                return MeshForm{.tile = fixed_tile(request, {1, request.problem.ranks}), .steps = Steps::kOwn};
              },
          .generate = generate,
          .cuts = [](const Problem& problem, const MeshForm&) { return std::max(1, problem.ranks - 1); }};
}

}  // namespace meshattn::catalogue
