#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/schedule/schedule.h"
#include "gpu/kernels/matrix_view.h"

namespace meshattn::gpu {

/// The order of a value's rows in memory: its matrices one after the other (KV: K, V; O: O, log-sum-exp; delta:
/// log-sum-exp, delta; dKV: dK, dV; the others have one). A matrix consists of batch items, an item of heads, a head of
/// the tokens of the value's cells. A whole value is contiguous; a range of heads is contiguous within a matrix and
/// item.
class ValueLayout {
 public:
  /// @param schedule with memory assigned; must outlive this
  ValueLayout(const Schedule& schedule, ValueId v);

  [[nodiscard]] int matrices() const { return matrix_[1].width > 0 ? 2 : 1; }
  /// All rows of a matrix.
  [[nodiscard]] const MatrixView& matrix(int k) const { return matrix_[static_cast<std::size_t>(k)]; }
  [[nodiscard]] const Region& region() const { return region_; }
  [[nodiscard]] std::int64_t tokens_of(Cell cell) const;
  /// The index of a cell's first token in the value; nothing if the value does not have the cell.
  [[nodiscard]] std::optional<std::int64_t> first_token(Cell cell) const;

 private:
  const Schedule* s_;
  Region region_;
  bool kv_;
  std::vector<std::int64_t> first_tokens_;  ///< by cell of the region
  MatrixView matrix_[2];
};

/// Bytes of a transfer that are contiguous on both ranks: offsets into the sender's and the receiver's arena.
struct ByteRun {
  std::uint64_t source = 0;
  std::uint64_t made = 0;
  std::uint64_t bytes = 0;

  friend bool operator==(const ByteRun&, const ByteRun&) = default;
};

/// The fewest contiguous runs that make up the value that a transfer makes, ascending in both arenas.
/// @param schedule with memory assigned
[[nodiscard]] std::vector<ByteRun> byte_runs_of(const Schedule& schedule, TransferId transfer);

}  // namespace meshattn::gpu
