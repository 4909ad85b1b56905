#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/problem/block_map.h"
#include "core/schedule/schedule.h"

namespace meshattn {

/// The cells of every value that a schedule needs under its mask: for partials, the cells that some block contributes
/// to; for other values, the cells that some op reads.
class NeededCells {
 public:
  explicit NeededCells(const Schedule& schedule);

  /// Needed cells of v, ascending.
  [[nodiscard]] std::vector<Cell> cells_of(ValueId v) const;
  /// The sources of the Combine that makes v which have a needed cell in v. Empty if no Combine makes v.
  [[nodiscard]] std::vector<ValueId> sources_of(ValueId v) const;
  /// True if the mask leaves a block of row × column.
  template <typename Row, typename Column>
  [[nodiscard]] bool any_block(const Row& row, const Column& column) const;

 private:
  [[nodiscard]] std::span<std::uint8_t> flags(ValueId v) {
    return {flags_.data() + first_[v], first_[v + 1] - first_[v]};
  }
  [[nodiscard]] std::span<const ValueId> combined_into(ValueId v) const;
  void mark_cell(ValueId v, Cell cell);
  void mark_cells_of(ValueId from, ValueId to);
  template <typename Row, typename Column>
  void mark_blocks(const Row& row, const Column& column);
  void mark_all_blocks();
  void mark_partials();
  void mark_other_values();

  const Schedule& s_;
  const BlockMap blocks_;
  std::vector<std::uint32_t> first_;  ///< by value: index of its first flag; one more at the end
  std::vector<std::uint8_t> flags_;   ///< by value and cell of its region: 1 if the cell is needed
  std::vector<OpId> combined_by_;     ///< by value: the Combine that makes it, or kNone
};

}  // namespace meshattn
