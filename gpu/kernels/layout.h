#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/schedule/schedule.h"
#include "gpu/kernels/matrix_view.h"

namespace meshattn::gpu {

/// How a value's rows lie in its bytes: its matrices one after the other (K, V; O, its log-sum-exp; the log-sum-exp of
/// delta, delta), in each matrix batch items, in these heads, in these the tokens of its cells. So a range of heads is
/// in one piece for each matrix and batch item, and all of a value in one.
class ValueLayout {
 public:
  /// The schedule must have its memory assigned and outlive this.
  ValueLayout(const Schedule& schedule, ValueId v);

  [[nodiscard]] int matrices() const { return matrix_[1].width > 0 ? 2 : 1; }
  /// All rows of a matrix.
  [[nodiscard]] const MatrixView& matrix(int k) const { return matrix_[static_cast<std::size_t>(k)]; }
  [[nodiscard]] const Region& region() const { return region_; }
  [[nodiscard]] std::int64_t tokens_of(Cell cell) const;
  /// Tokens before those of a cell; none if the value does not have it.
  [[nodiscard]] std::optional<std::int64_t> first_token(Cell cell) const;

 private:
  const Schedule* s_;
  Region region_;
  bool kv_;
  std::vector<std::int64_t> first_tokens_;  ///< of the region's cells
  MatrixView matrix_[2];
};

/// A run of bytes of a transfer that is in one piece on both ranks: offsets into the sender's and the receiver's arena.
struct ByteRun {
  std::uint64_t source = 0;
  std::uint64_t made = 0;
  std::uint64_t bytes = 0;

  friend bool operator==(const ByteRun&, const ByteRun&) = default;
};

/// @returns the pieces of a transfer, ascending in both arenas, as few as there can be; all of their bytes together are
/// those of the made value. The schedule must have its memory assigned.
[[nodiscard]] std::vector<ByteRun> byte_runs_of(const Schedule& schedule, TransferId transfer);

}  // namespace meshattn::gpu
