#include "tests/support/ulysses.h"

#include <algorithm>
#include <vector>

#include "core/schedule/schedule_builder.h"

namespace meshattn::testing {

namespace {

class Ulysses {
 public:
  explicit Ulysses(const Problem& problem) : b_(problem) {}

  Schedule forward();
  Schedule backward();

 private:
  using Values = std::vector<ValueId>;  ///< by rank or chunk

  [[nodiscard]] Rank ranks() const { return b_.problem().ranks; }
  [[nodiscard]] Dtype dtype() const { return b_.problem().shape.dtype; }
  static std::size_t at(Rank r) { return static_cast<std::size_t>(r); }

  [[nodiscard]] HeadRange heads_of(Rank slice, Tensor tensor) const;
  RegionId part(Rank chunk, Rank slice, Tensor tensor);
  RegionId all_but(Rank chunk, Rank slice, Tensor tensor);
  Values own(Tensor tensor);
  std::vector<Values> keep_slices(const Values& own);
  std::vector<Values> send_slices(const Values& own);
  Values sums(Tensor tensor);
  std::vector<Values> send_home(const Values& sums);
  ValueId send(ValueId source, RegionId part, Rank to);
  void exchange();
  void hand_out(const Values& sums, const std::vector<Values>& home);

  struct Sent {
    Rank from;
    TransferId transfer;
  };
  ScheduleBuilder b_;
  std::vector<Sent> sent_;  ///< since the last exchange
};

/// Query heads of a slice, and the key/value heads that they need.
HeadRange Ulysses::heads_of(Rank slice, Tensor tensor) const {
  const AttentionShape& shape = b_.problem().shape;
  const int size = shape.heads / ranks();
  const HeadRange heads{slice * size, (slice + 1) * size};
  if (!on_kv_side(tensor)) return heads;
  return {heads.begin / shape.group(), (heads.end - 1) / shape.group() + 1};
}

RegionId Ulysses::part(Rank chunk, Rank slice, Tensor tensor) {
  std::vector<Cell> cells;
  for (Cell cell = 0; cell < b_.problem().cells(); ++cell)
    if (b_.problem().owner(cell) == chunk) cells.push_back(cell);
  return b_.region(cells, heads_of(slice, tensor));
}

/// All chunks but one; all if there is no such chunk.
RegionId Ulysses::all_but(Rank chunk, Rank slice, Tensor tensor) {
  std::vector<Cell> cells;
  for (Cell cell = 0; cell < b_.problem().cells(); ++cell)
    if (b_.problem().owner(cell) != chunk) cells.push_back(cell);
  return b_.region(cells, heads_of(slice, tensor));
}

Ulysses::Values Ulysses::own(Tensor tensor) {
  Values values;
  for (Rank r = 0; r < ranks(); ++r) values.push_back(b_.input(r, tensor, b_.chunk_region(r, tensor), dtype()));
  return values;
}

/// [j][r]: chunk r on rank j: its own with all heads, another one's slice, which is an input.
std::vector<Ulysses::Values> Ulysses::keep_slices(const Values& own) {
  std::vector<Values> held(own.size(), own);
  const Tensor tensor = b_.value(own[0]).tensor;
  for (Rank j = 0; j < ranks(); ++j)
    for (Rank r = 0; r < ranks(); ++r)
      if (r != j) held[at(j)][at(r)] = b_.input(j, tensor, part(r, j, tensor), dtype());
  return held;
}

/// The same, but slices of other chunks arrive with the next exchange.
std::vector<Ulysses::Values> Ulysses::send_slices(const Values& own) {
  std::vector<Values> held(own.size(), own);
  const Tensor tensor = b_.value(own[0]).tensor;
  for (Rank r = 0; r < ranks(); ++r)
    for (Rank j = 0; j < ranks(); ++j)
      if (r != j) held[at(j)][at(r)] = send(own[at(r)], part(r, j, tensor), j);
  return held;
}

/// Sends a part of a value with the next exchange. @returns the value that it makes.
ValueId Ulysses::send(ValueId source, RegionId part, Rank to) {
  const TransferId t = b_.transfer(source, part, to, 1);
  sent_.push_back({b_.value(source).rank, t});
  return b_.made(t);
}

/// By rank: the accumulator of all cells × its slice of heads.
Ulysses::Values Ulysses::sums(Tensor tensor) {
  Values sums;
  for (Rank j = 0; j < ranks(); ++j) sums.push_back(b_.declare(j, tensor, all_but(-1, j, tensor), Dtype::kFp32));
  return sums;
}

/// [r][j]: slice j of chunk r at its owner r. Rank j sends a cast of other ranks' chunks; its own stays in the
/// accumulator.
std::vector<Ulysses::Values> Ulysses::send_home(const Values& sums) {
  std::vector<Values> home(sums.size(), sums);
  const Tensor tensor = b_.value(sums[0]).tensor;
  for (Rank j = 0; j < ranks(); ++j) {
    const ValueId cast = b_.combine(std::vector{sums[at(j)]}, all_but(j, j, tensor), dtype());
    for (Rank r = 0; r < ranks(); ++r)
      if (r != j) home[at(r)][at(j)] = send(cast, part(r, j, tensor), r);
  }
  return home;
}

/// Adds the exchanges of all ranks that send or receive.
void Ulysses::exchange() {
  std::vector<TransferId> mine;
  for (Rank rank = 0; rank < ranks(); ++rank) {
    mine.clear();
    for (const Sent& sent : sent_)
      if (sent.from == rank || b_.value(b_.made(sent.transfer)).rank == rank) mine.push_back(sent.transfer);
    b_.exchange(rank, mine);
  }
  sent_.clear();
}

/// Makes the outputs: each rank's own part of its accumulator, and the parts that others sent to it.
void Ulysses::hand_out(const Values& sums, const std::vector<Values>& home) {
  const Tensor tensor = b_.value(sums[0]).tensor;
  for (Rank r = 0; r < ranks(); ++r) {
    b_.output(b_.combine(std::vector{sums[at(r)]}, part(r, r, tensor), dtype()));
    for (Rank j = 0; j < ranks(); ++j)
      if (j != r) b_.output(home[at(r)][at(j)]);
  }
}

Schedule Ulysses::forward() {
  const Values own_q = own(Tensor::kQ), own_kv = own(Tensor::kKV);
  const std::vector<Values> q = send_slices(own_q), kv = send_slices(own_kv);
  exchange();
  const Values o = sums(Tensor::kO);
  for (Rank j = 0; j < ranks(); ++j) {
    std::uint32_t row = kNone, column = kNone;
    for (ValueId v : q[at(j)]) row = std::min(row, b_.add_row(AttendRow{v, o[at(j)]}));
    for (ValueId v : kv[at(j)]) column = std::min(column, b_.add_column(v));
    b_.attend(j, {row, column, static_cast<std::uint16_t>(ranks()), static_cast<std::uint16_t>(ranks())});
  }
  const std::vector<Values> home = send_home(o);
  exchange();
  hand_out(o, home);
  return b_.finish();
}

Schedule Ulysses::backward() {
  const std::vector<Values> q = keep_slices(own(Tensor::kQ)), kv = keep_slices(own(Tensor::kKV));
  const Values own_d_o = own(Tensor::kDO);
  Values o;
  for (Rank j = 0; j < ranks(); ++j) o.push_back(b_.input(j, Tensor::kO, all_but(-1, j, Tensor::kO), dtype()));
  const std::vector<Values> d_o = send_slices(own_d_o);
  exchange();
  std::vector<Values> delta(d_o.size());
  for (Rank j = 0; j < ranks(); ++j)
    for (Rank r = 0; r < ranks(); ++r)
      delta[at(j)].push_back(b_.delta(o[at(j)], d_o[at(j)][at(r)], part(r, j, Tensor::kO)));
  const Values dq = sums(Tensor::kDQ), dkv = sums(Tensor::kDKV);
  for (std::size_t j = 0; j < at(ranks()); ++j) {
    std::uint32_t row = kNone, column = kNone;
    for (std::size_t r = 0; r < at(ranks()); ++r) {
      row = std::min(row, b_.add_row(BackwardRow{q[j][r], d_o[j][r], delta[j][r], dq[j]}));
      column = std::min(column, b_.add_column(BackwardColumn{kv[j][r], dkv[j]}));
    }
    const auto count = static_cast<std::uint16_t>(ranks());
    b_.attend_backward(static_cast<Rank>(j), {row, column, count, count});
  }
  const std::vector<Values> dq_home = send_home(dq), dkv_home = send_home(dkv);
  exchange();
  hand_out(dq, dq_home);
  for (Rank r = 0; r < ranks(); ++r)  // slices that share key/value heads each have a part of their gradient
    b_.output(b_.combine(dkv_home[at(r)], b_.chunk_region(r, Tensor::kDKV), dtype()));
  return b_.finish();
}

}  // namespace

Schedule ulysses(const Problem& problem) {
  return problem.pass == Pass::kForward ? Ulysses(problem).forward() : Ulysses(problem).backward();
}

}  // namespace meshattn::testing
