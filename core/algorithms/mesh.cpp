#include <spdlog/fmt/fmt.h>

#include <vector>

#include "core/algorithms.h"
#include "core/algorithms/rings.h"
#include "core/error.h"
#include "core/schedule_builder.h"

namespace meshattn {

namespace {

constexpr Lane kLane = 1;

/// by_hop[s][r]: what belongs to hop s at rank r (a value held, or a transfer that r sends).
using ByHop = std::vector<std::vector<std::uint32_t>>;

/// A tensor that moves once round its rings, a hop at a time.
struct Stream {
  ByHop held;  ///< value of the chunk that arrived with hop s (0: its own)
  ByHop sent;  ///< transfer with which r sends on what it holds of hop s − 1; [0] is empty
};

/// Partials that are summed up on their way to the owner, one chunk a hop, in the order of the chunks' arrival.
struct Reduction {
  Rings rings;
  ByHop sums;                    ///< accumulator of the chunk that arrived with hop s
  std::vector<ValueId> arrived;  ///< partial received with the last hop
  int hops_done = 0;
};

class MeshGenerator {
 public:
  MeshGenerator(const Problem& problem, const TilePlan& plan, Dtype wire)
      : b_(problem),
        plan_(plan),
        wire_(wire),
        row_rings_(Rings::of_rows(plan.tile)),
        column_rings_(Rings::of_columns(plan.tile, problem)) {}

  Schedule run();

 private:
  [[nodiscard]] int ranks() const { return b_.problem().ranks; }
  [[nodiscard]] bool backward() const { return b_.problem().pass == Pass::kBackward; }
  [[nodiscard]] Dtype dtype() const { return b_.problem().shape.dtype; }

  std::vector<ValueId> inputs(Tensor tensor);
  Stream stream(const Rings& rings, std::vector<ValueId> own);
  Reduction reduction(const Rings& rings, Tensor tensor);
  void add_operands();
  void hop_in(const Rings& rings, std::span<const Stream> streams, int hop);
  void hop_out(Reduction& reduction);
  void compute(const Rectangle& rectangle);
  void finish(const Reduction& reduction);

  ScheduleBuilder b_;
  const TilePlan& plan_;
  Dtype wire_;
  Rings row_rings_;
  Rings column_rings_;
  std::vector<Stream> row_streams_;     ///< Q; backward Q, dO, delta
  std::vector<Stream> column_streams_;  ///< KV
  std::vector<Reduction> reductions_;   ///< O; backward dQ, dKV
  std::vector<std::uint32_t> first_row_;
  std::vector<std::uint32_t> first_column_;
};

std::vector<ValueId> MeshGenerator::inputs(Tensor tensor) {
  std::vector<ValueId> own;
  for (Rank r = 0; r < ranks(); ++r) own.push_back(b_.input(r, tensor, b_.chunk_region(r, tensor), dtype()));
  return own;
}

Stream MeshGenerator::stream(const Rings& rings, std::vector<ValueId> own) {
  Stream s{{std::move(own)}, {{}}};
  for (int hop = 1; hop <= rings.hops(); ++hop) {
    std::vector<std::uint32_t> held(static_cast<std::size_t>(ranks())), sent(held.size());
    for (Rank r = 0; r < ranks(); ++r) {
      const TransferId t = b_.transfer(s.held.back()[static_cast<std::size_t>(r)], rings.next(r), kLane);
      sent[static_cast<std::size_t>(r)] = t;
      held[static_cast<std::size_t>(rings.next(r))] = b_.made(t);
    }
    s.held.push_back(std::move(held));
    s.sent.push_back(std::move(sent));
  }
  return s;
}

Reduction MeshGenerator::reduction(const Rings& rings, Tensor tensor) {
  Reduction red{rings, {}, std::vector<ValueId>(static_cast<std::size_t>(ranks()), kNone)};
  for (int hop = 0; hop <= rings.hops(); ++hop) {
    std::vector<ValueId> sums;
    for (Rank r = 0; r < ranks(); ++r)
      sums.push_back(b_.declare(r, tensor, b_.chunk_region(rings.origin(r, hop), tensor), Dtype::kFp32));
    red.sums.push_back(std::move(sums));
  }
  return red;
}

/// Lists rows and columns of each rank in order of arrival, so that every rectangle is a range of both.
void MeshGenerator::add_operands() {
  const Tile tile = plan_.tile;
  for (std::size_t r = 0; r < static_cast<std::size_t>(ranks()); ++r) {
    for (std::size_t s = 0; s < static_cast<std::size_t>(tile.rows); ++s) {
      const auto held = [&](std::size_t i) { return row_streams_[i].held[s][r]; };
      const ValueId sum = reductions_[0].sums[s][r];
      const std::uint32_t at =
          backward() ? b_.add_row(BackwardRow{held(0), held(1), held(2), sum}) : b_.add_row(AttendRow{held(0), sum});
      if (s == 0) first_row_.push_back(at);
    }
    for (std::size_t t = 0; t < static_cast<std::size_t>(tile.columns); ++t) {
      const ValueId kv = column_streams_[0].held[t][r];
      const std::uint32_t at =
          backward() ? b_.add_column(BackwardColumn{kv, reductions_[1].sums[t][r]}) : b_.add_column(kv);
      if (t == 0) first_column_.push_back(at);
    }
  }
}

void MeshGenerator::hop_in(const Rings& rings, std::span<const Stream> streams, int hop) {
  std::vector<TransferId> both;
  for (Rank r = 0; r < ranks(); ++r) {
    both.clear();
    for (Rank sender : {r, rings.previous(r)})
      for (const Stream& s : streams)
        both.push_back(s.sent[static_cast<std::size_t>(hop)][static_cast<std::size_t>(sender)]);
    b_.exchange(r, both);
  }
}

void MeshGenerator::hop_out(Reduction& red) {
  const auto hop = static_cast<std::size_t>(++red.hops_done);
  std::vector<TransferId> sent;
  for (Rank r = 0; r < ranks(); ++r) {
    const auto at = static_cast<std::size_t>(r);
    const ValueId sum = red.sums[hop][at];
    ValueId partial = sum;
    if (hop > 1)
      partial = b_.combine(std::vector{red.arrived[at], sum}, wire_);
    else if (wire_ != Dtype::kFp32)
      partial = b_.combine(std::vector{sum}, wire_);
    sent.push_back(b_.transfer(partial, red.rings.next(r), kLane));
  }
  for (Rank r = 0; r < ranks(); ++r) {
    const TransferId received = sent[static_cast<std::size_t>(red.rings.previous(r))];
    b_.exchange(r, std::vector{sent[static_cast<std::size_t>(r)], received});
    red.arrived[static_cast<std::size_t>(r)] = b_.made(received);
  }
}

void MeshGenerator::compute(const Rectangle& rect) {
  const auto rows = static_cast<std::uint16_t>(rect.row_end - rect.row_begin);
  const auto columns = static_cast<std::uint16_t>(rect.column_end - rect.column_begin);
  for (Rank r = 0; r < ranks(); ++r) {
    const std::uint32_t row = first_row_[static_cast<std::size_t>(r)] + static_cast<std::uint32_t>(rect.row_begin);
    const std::uint32_t column =
        first_column_[static_cast<std::size_t>(r)] + static_cast<std::uint32_t>(rect.column_begin);
    if (backward())
      b_.attend_backward(r, {row, column, rows, columns});
    else
      b_.attend(r, {row, column, rows, columns});
  }
}

void MeshGenerator::finish(const Reduction& red) {
  for (std::size_t r = 0; r < static_cast<std::size_t>(ranks()); ++r) {
    const ValueId own = red.sums[0][r];
    if (red.hops_done > 0)
      b_.output(b_.combine(std::vector{red.arrived[r], own}, dtype()));
    else
      b_.output(dtype() == Dtype::kFp32 ? own : b_.combine(std::vector{own}, dtype()));
  }
}

Schedule MeshGenerator::run() {
  std::vector<ValueId> q = inputs(Tensor::kQ);
  column_streams_.push_back(stream(column_rings_, inputs(Tensor::kKV)));
  row_streams_.push_back(stream(row_rings_, std::move(q)));
  if (backward()) {
    const std::vector<ValueId> o = inputs(Tensor::kO), d_o = inputs(Tensor::kDO);
    std::vector<ValueId> delta;
    for (std::size_t r = 0; r < o.size(); ++r) delta.push_back(b_.delta(o[r], d_o[r]));
    row_streams_.push_back(stream(row_rings_, d_o));
    row_streams_.push_back(stream(row_rings_, std::move(delta)));
    reductions_.push_back(reduction(row_rings_, Tensor::kDQ));
    reductions_.push_back(reduction(column_rings_, Tensor::kDKV));
  } else {
    reductions_.push_back(reduction(row_rings_, Tensor::kO));
  }
  add_operands();

  int row_hop = 0, column_hop = 0;
  for (const TileStep& step : plan_.steps) {
    if (const auto* rect = std::get_if<Rectangle>(&step)) {
      compute(*rect);
      continue;
    }
    switch (std::get<Hop>(step)) {
      case Hop::kRowIn:
        hop_in(row_rings_, row_streams_, ++row_hop);
        break;
      case Hop::kColumnIn:
        hop_in(column_rings_, column_streams_, ++column_hop);
        break;
      case Hop::kRowOut:
        hop_out(reductions_[0]);
        break;
      case Hop::kColumnOut:
        hop_out(reductions_[1]);
        break;
    }
  }
  for (const Reduction& red : reductions_) finish(red);
  return b_.finish();
}

}  // namespace

Schedule mesh(const Problem& problem, const TilePlan& plan, Dtype wire) {
  const auto [a, b] = plan.tile;
  if (a * b != problem.ranks)
    throw InvalidInput(fmt::format("tile {}x{} has {} blocks for {} ranks: the product must be the number of ranks", a,
                                   b, a * b, problem.ranks));
  return MeshGenerator(problem, plan, wire).run();
}

}  // namespace meshattn
