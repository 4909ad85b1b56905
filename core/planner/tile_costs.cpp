#include "core/planner/tile_costs.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "core/algorithms/rings.h"
#include "core/planner/grid_placement.h"
#include "core/schedule/passes/arena.h"

namespace meshattn {

namespace {

/// Bytes of an average chunk of a tensor, its per-row statistics included.
double average_bytes(const Problem& p, Tensor tensor, Dtype dtype) {
  const AttentionShape& s = p.shape;
  const bool kv = on_kv_side(tensor);
  const double rows = static_cast<double>(kv ? s.seq_kv : s.seq_q) / p.ranks * s.batch * (kv ? s.kv_heads : s.heads);
  if (tensor == Tensor::kDelta) return 8 * rows;
  return rows * ((kv ? 2.0 : 1.0) * s.head_dim * size_of(dtype) + (tensor == Tensor::kO ? 4 : 0));
}

/// What the hops of a side take, all ranks at the same time, and what they leave on the links.
class HopPrices {
 public:
  HopPrices(const Network& network, int ranks) : network_(network), ranks_(ranks), busy_s_(network.links().size()) {}

  /// Seconds that a hop takes on average: until the slowest of all ranks' sends of `bytes`, shared out evenly among the
  /// slices, has come. `direct`: from the owner, else from the neighbour.
  double mean_s(const std::vector<Rings>& slices, bool direct, double bytes);

  /// Seconds of all hops priced so far on the link that is busy for longest.
  [[nodiscard]] double busiest_link_s() const { return busy_s_.empty() ? 0 : std::ranges::max(busy_s_); }

 private:
  struct Price {
    double seconds;
    std::vector<double> busy_s;  ///< by link
  };
  [[nodiscard]] Price price(const std::vector<Rings>& slices, int hop, bool direct, double bytes) const;

  const Network& network_;
  int ranks_;
  std::vector<double> busy_s_;  ///< by link
};

HopPrices::Price HopPrices::price(const std::vector<Rings>& slices, int hop, bool direct, double bytes) const {
  Price price{0, std::vector<double>(busy_s_.size())};
  const auto for_each_route = [&](auto&& visit) {
    for (const Rings& rings : slices)
      for (Rank r = 0; r < ranks_; ++r)
        visit(network_.route(direct ? rings.origin(r, hop) : rings.sender(r, hop).rank, r));
  };
  for_each_route([&](const Route& route) {
    for (LinkId link : route)
      price.busy_s[link] += bytes / static_cast<double>(slices.size()) / network_.links()[link].bytes_per_s;
  });
  for_each_route([&](const Route& route) {
    double slowest = 0;
    for (LinkId link : route) slowest = std::max(slowest, price.busy_s[link]);
    const double startup_s = network_.startup_s(route, bytes / static_cast<double>(slices.size()));
    price.seconds = std::max(price.seconds, startup_s + slowest);
  });
  return price;
}

double HopPrices::mean_s(const std::vector<Rings>& slices, bool direct, double bytes) {
  const std::vector<int>& hops = slices.front().arrivals();
  if (hops.empty()) return 0;
  // Hops from neighbour to neighbour are alike, except the hops between segments of a double ring.
  std::optional<Price> of_kind[2];
  double total = 0;
  for (int hop : hops) {
    std::optional<Price>& known = of_kind[slices.front().crosses_segment(hop) ? 1 : 0];
    if (direct || !known) known = price(slices, hop, direct, bytes);
    total += known->seconds;
    for (std::size_t link = 0; link < busy_s_.size(); ++link) busy_s_[link] += known->busy_s[link];
  }
  return total / static_cast<double>(hops.size());
}

}  // namespace

MeshForm with_node_grid(MeshForm form, const Network& network) {
  const Grid node = grid_of(network.placement(), form, network.gpus_per_node());
  const bool both_cross =
      node.rows > 1 && node.columns > 1 && node.rows < form.tile.rows && node.columns < form.tile.columns;
  if (form.slices > 1 || both_cross) form.node = node;
  return form;
}

TileCosts tile_costs(const Configuration& c, const Network& network, const CostModel& cost) {
  const Problem& p = c.problem;
  const MeshForm form = with_node_grid(c.form, network);
  const Dtype dtype = p.shape.dtype;
  std::vector<Rings> rows, columns;
  for (int slice = 0; slice < form.slices; ++slice) {
    rows.push_back(Rings::of_rows(form, slice));
    columns.push_back(Rings::of_columns(form, p, slice));
  }
  HopPrices prices(network, p.ranks);
  const auto hop_s = [&](const std::vector<Rings>& rings, Travel travel, double bytes) {
    return prices.mean_s(rings, travel != Travel::kRing, bytes);
  };
  const bool backward = p.pass == Pass::kBackward;
  // Ranks of a slot have all its chunks, and its heads shared out: together as much as a chunk.
  double row_in = average_bytes(p, Tensor::kQ, dtype);
  if (backward) row_in += average_bytes(p, Tensor::kDO, dtype) + average_bytes(p, Tensor::kDelta, dtype);
  TileCosts costs;
  const double copies = std::max(1.0, 1.0 * form.ulysses / p.shape.kv_heads);  // of replicated key/value heads
  costs.row_in = hop_s(rows, form.in, row_in);
  costs.column_in = hop_s(columns, form.in, copies * average_bytes(p, Tensor::kKV, dtype));
  costs.row_out = hop_s(rows, form.out, average_bytes(p, backward ? Tensor::kDQ : Tensor::kO, c.wire));
  if (backward) costs.column_out = hop_s(columns, form.out, copies * average_bytes(p, Tensor::kDKV, c.wire));
  costs.busiest_link = prices.busiest_link_s();
  const double slots = 1.0 * form.tile.rows * form.tile.columns;
  costs.block =
      cost.attention_s(total_pairs(p) / (slots * slots) / form.ulysses, static_cast<double>(p.shape.seq_q) / slots,
                       static_cast<double>(p.shape.seq_kv) / slots,
                       slots > 1 || p.mask.is_full() ? KernelMask::kFull : KernelMask::kCausal);
  return costs;
}

TileBytes tile_bytes(const Configuration& c) {
  const Problem& p = c.problem;
  const Dtype dtype = p.shape.dtype;
  const bool backward = p.pass == Pass::kBackward;
  const auto bytes = [&](Tensor tensor, Dtype type) {
    return Arena::aligned(static_cast<std::uint64_t>(average_bytes(p, tensor, type)));
  };
  TileBytes b;
  const Tensor row_sum = backward ? Tensor::kDQ : Tensor::kO;
  b.row_in = bytes(Tensor::kQ, dtype);
  b.column_in = bytes(Tensor::kKV, dtype);
  b.resident = b.row_in + b.column_in + bytes(row_sum, dtype);
  b.row_sum = bytes(row_sum, Dtype::kFp32);
  b.row_out = bytes(row_sum, c.wire);
  if (backward) {
    b.row_in += bytes(Tensor::kDO, dtype) + bytes(Tensor::kDelta, Dtype::kFp32);
    b.resident += bytes(Tensor::kDO, dtype) + bytes(Tensor::kO, dtype) + bytes(Tensor::kDelta, Dtype::kFp32) +
                  bytes(Tensor::kDKV, dtype);
    b.column_sum = bytes(Tensor::kDKV, Dtype::kFp32);
    b.column_out = bytes(Tensor::kDKV, c.wire);
  }
  return b;
}

}  // namespace meshattn
