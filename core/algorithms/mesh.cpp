#include "core/algorithms/mesh.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "core/algorithms/chunks.h"
#include "core/algorithms/stream.h"
#include "core/schedule/schedule_builder.h"

namespace meshattn {

namespace {

/// One slice of the heads: a mesh of its own.
struct Slice {
  SliceRings row_side, column_side;
  std::vector<Stream> rows;                                      ///< Q, backward also dO and delta
  Stream columns;                                                ///< KV
  std::optional<Reduction> row_sums = {}, column_sums = {};      ///< O, or dQ; backward dKV
  std::vector<std::uint32_t> first_row = {}, first_column = {};  ///< by rank, in the builder's lists
  int row_arrivals = 0, column_arrivals = 0;
};

class MeshGenerator {
 public:
  MeshGenerator(const Problem& problem, const MeshForm& form, std::span<const TileStep> steps, Dtype wire)
      : b_(problem), form_(form), whole_(form), steps_(steps), wire_(wire) {
    whole_.slices = 1;
  }

  Schedule run();

 private:
  [[nodiscard]] Rank ranks() const { return b_.problem().ranks; }
  [[nodiscard]] bool backward() const { return b_.problem().pass == Pass::kBackward; }

  std::vector<ValueId> kept(Tensor tensor);
  std::vector<std::vector<ValueId>> shared(std::span<const Tensor> tensors);
  void add_slices();
  void add_operands(Slice& slice);
  void arrive(const SliceRings& side, std::span<const Stream> streams, int& arrived, int count);
  void step(Slice& slice, Hop hop, int count);
  void compute(const Slice& slice, const Rectangle& rectangle);
  std::size_t together(std::size_t first);

  ScheduleBuilder b_;
  const MeshForm& form_;
  MeshForm whole_;  ///< of all slices together
  std::span<const TileStep> steps_;
  Dtype wire_;
  std::vector<Slice> slices_;
  std::size_t gathering_ = 0;  ///< length of the run of hops that is being gathered
  std::size_t gathered_ = 0;   ///< exchanges of that run that have been issued
};

/// The values that forward left at each rank: its heads of every chunk of its slot.
std::vector<ValueId> MeshGenerator::kept(Tensor tensor) {
  std::vector<ValueId> values;
  for (Rank r = 0; r < ranks(); ++r)
    for (Rank chunk = form_.first_in_slot(r); chunk < form_.first_in_slot(r) + form_.ulysses; ++chunk) {
      const HeadRange heads = whole_.heads(b_.problem().shape, r, 0, tensor);
      values.push_back(b_.input(r, tensor, b_.chunk_region(chunk, chunk, heads), b_.problem().shape.dtype));
    }
  return values;
}

/// Each rank's own chunks of some tensors, and its heads of the chunks of the other ranks of its slot, which they send.
std::vector<std::vector<ValueId>> MeshGenerator::shared(std::span<const Tensor> tensors) {
  std::vector<std::vector<ValueId>> values(tensors.size());
  std::vector<TransferId> transfers;
  std::vector<ByRank> own;
  for (Tensor tensor : tensors) own.push_back(own_chunks(b_, tensor));
  for (std::size_t i = 0; i < tensors.size(); ++i)
    for (Rank r = 0; r < ranks(); ++r)
      for (Rank chunk = form_.first_in_slot(r); chunk < form_.first_in_slot(r) + form_.ulysses; ++chunk) {
        const ValueId source = own[i][static_cast<std::size_t>(chunk)];
        if (chunk == r) {
          values[i].push_back(source);
          continue;
        }
        const HeadRange heads = whole_.heads(b_.problem().shape, r, 0, tensors[i]);
        transfers.push_back(b_.transfer(source, b_.chunk_region(chunk, chunk, heads), r, form_.row_lane(0)));
        values[i].push_back(b_.made(transfers.back()));
      }
  b_.exchange_all(transfers);
  return values;
}

void MeshGenerator::add_slices() {
  std::vector<std::vector<ValueId>> rows;
  std::vector<ValueId> kv;
  if (backward()) {
    const std::vector<ValueId> q = kept(Tensor::kQ), o = kept(Tensor::kO);
    kv = kept(Tensor::kKV);
    const std::vector<ValueId> d_o = shared(std::vector{Tensor::kDO}).front();
    std::vector<ValueId> delta;
    for (std::size_t i = 0; i < o.size(); ++i) delta.push_back(b_.delta(o[i], d_o[i]));
    rows = {q, d_o, delta};
  } else {
    auto both = shared(std::vector{Tensor::kQ, Tensor::kKV});
    rows = {both[0]};
    kv = both[1];
  }
  for (int i = 0; i < form_.slices; ++i) {
    const Lane row = form_.row_lane(i), column = form_.column_lane(i);
    const SliceRings row_side{Rings::of_rows(form_, i), row, static_cast<Lane>(row + 1), i};
    const SliceRings column_side{Rings::of_columns(form_, b_.problem(), i), column, static_cast<Lane>(column + 1), i};
    Slice slice{row_side, column_side, {}, Stream(b_, form_, column_side, kv)};
    for (const std::vector<ValueId>& own : rows) slice.rows.emplace_back(b_, form_, row_side, own);
    slices_.push_back(std::move(slice));
  }
  for (Slice& slice : slices_) {
    slice.row_sums.emplace(b_, form_, slice.row_side, backward() ? Tensor::kDQ : Tensor::kO, wire_);
    if (backward()) slice.column_sums.emplace(b_, form_, slice.column_side, Tensor::kDKV, wire_);
    add_operands(slice);
  }
}

/// Lists rows and columns of each rank in order of arrival, so that every rectangle is a range of both.
void MeshGenerator::add_operands(Slice& slice) {
  for (Rank r = 0; r < ranks(); ++r) {
    for (int hop = 0; hop < form_.tile.rows; ++hop)
      for (int i = 0; i < form_.ulysses; ++i) {
        const auto held = [&](std::size_t tensor) { return slice.rows[tensor].value(r, hop, i); };
        const ValueId sum = slice.row_sums->accumulator(r, hop);
        const std::uint32_t at =
            backward() ? b_.add_row(BackwardRow{held(0), held(1), held(2), sum}) : b_.add_row(AttendRow{held(0), sum});
        if (hop == 0 && i == 0) slice.first_row.push_back(at);
      }
    for (int hop = 0; hop < form_.tile.columns; ++hop)
      for (int i = 0; i < form_.ulysses; ++i) {
        const ValueId kv = slice.columns.value(r, hop, i);
        const std::uint32_t at =
            backward() ? b_.add_column(BackwardColumn{kv, slice.column_sums->accumulator(r, hop)}) : b_.add_column(kv);
        if (hop == 0 && i == 0) slice.first_column.push_back(at);
      }
  }
}

void MeshGenerator::arrive(const SliceRings& side, std::span<const Stream> streams, int& arrived, int count) {
  std::vector<TransferId> together;
  for (; count > 0; --count) {
    const int hop = side.rings.arrivals()[static_cast<std::size_t>(arrived++)];
    for (const Stream& stream : streams) {
      const std::span<const TransferId> more = stream.transfers(hop);
      together.insert(together.end(), more.begin(), more.end());
    }
  }
  b_.exchange_all(together);
}

void MeshGenerator::step(Slice& slice, Hop hop, int count) {
  switch (hop) {
    case Hop::kRowIn:
      return arrive(slice.row_side, slice.rows, slice.row_arrivals, count);
    case Hop::kColumnIn:
      return arrive(slice.column_side, {&slice.columns, 1}, slice.column_arrivals, count);
    case Hop::kRowOut:
      return slice.row_sums->depart(b_, slice.row_side, count);
    case Hop::kColumnOut:
      return slice.column_sums->depart(b_, slice.column_side, count);
  }
}

void MeshGenerator::compute(const Slice& slice, const Rectangle& rect) {
  const int u = form_.ulysses;
  const auto rows = static_cast<std::uint16_t>((rect.row_end - rect.row_begin) * u);
  const auto columns = static_cast<std::uint16_t>((rect.column_end - rect.column_begin) * u);
  for (Rank r = 0; r < ranks(); ++r) {
    const auto at = static_cast<std::size_t>(r);
    const std::uint32_t row = slice.first_row[at] + static_cast<std::uint32_t>(rect.row_begin * u);
    const std::uint32_t column = slice.first_column[at] + static_cast<std::uint32_t>(rect.column_begin * u);
    if (backward())
      b_.attend_backward(r, {row, column, rows, columns});
    else
      b_.attend(r, {row, column, rows, columns});
  }
}

/// Number of steps from `first` on that are one exchange: several where hops are gathered, else one.
std::size_t MeshGenerator::together(std::size_t first) {
  const auto* hop = std::get_if<Hop>(&steps_[first]);
  if (hop == nullptr) return 1;
  const bool in = *hop == Hop::kRowIn || *hop == Hop::kColumnIn;
  if ((in ? form_.in : form_.out) != Travel::kGather) return 1;
  if (first == 0 || steps_[first - 1] != steps_[first]) {
    gathered_ = 0;
    gathering_ = 1;
    while (first + gathering_ < steps_.size() && steps_[first + gathering_] == steps_[first]) ++gathering_;
  }
  return hops_of_exchange(gathering_, gathered_++);
}

Schedule MeshGenerator::run() {
  add_slices();
  for (std::size_t i = 0, count = 0; i < steps_.size(); i += count) {
    count = together(i);
    for (Slice& slice : slices_)
      if (const auto* hop = std::get_if<Hop>(&steps_[i]))
        step(slice, *hop, static_cast<int>(count));
      else
        compute(slice, std::get<Rectangle>(steps_[i]));
  }
  for (Slice& slice : slices_) {
    slice.row_sums->finish(b_, slice.row_side);
    if (backward()) slice.column_sums->finish(b_, slice.column_side);
  }
  return b_.finish();
}

}  // namespace

Schedule mesh(const Problem& problem, const MeshForm& form, std::span<const TileStep> steps, Dtype wire) {
  check(form, problem);
  return MeshGenerator(problem, form, steps, wire).run();
}

Schedule mesh(const Problem& problem, const OrderedTile& plan, Dtype wire) {
  return mesh(problem, MeshForm{plan.tile}, plan.steps, wire);
}

}  // namespace meshattn
