#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/problem/block_map.h"
#include "core/schedule/schedule.h"

namespace meshattn {

/// What the mask leaves of a schedule: for every value, which of its cells are needed or, for sums, contributed to.
class Kept {
 public:
  explicit Kept(const Schedule& schedule);

  /// Cells of v that stay, ascending.
  [[nodiscard]] std::vector<Cell> cells_of(ValueId v) const;
  /// What v is combined from, if it is: the sources of which something in v stays.
  [[nodiscard]] std::vector<ValueId> sources_of(ValueId v) const;
  /// Whether the mask leaves anything of a row × a column of a rectangle.
  template <typename Row, typename Column>
  [[nodiscard]] bool any_block(const Row& row, const Column& column) const;

 private:
  [[nodiscard]] std::span<std::uint8_t> flags(ValueId v) {
    return {flags_.data() + first_[v], first_[v + 1] - first_[v]};
  }
  [[nodiscard]] std::span<const ValueId> combined_into(ValueId v) const;
  void keep(ValueId v, Cell cell);
  void keep_all(ValueId from, ValueId to);
  void mark_blocks();
  void mark_sums();
  void mark_received();
  template <typename Row, typename Column>
  void mark(const Row& row, const Column& column);

  const Schedule& s_;
  const Blocks blocks_;
  std::vector<std::uint32_t> first_;  ///< of each value's flags
  std::vector<std::uint8_t> flags_;   ///< per value and cell of its region: 1 if it stays
  std::vector<OpId> combined_by_;     ///< by value: the Combine that makes it, or kNone
};

}  // namespace meshattn
