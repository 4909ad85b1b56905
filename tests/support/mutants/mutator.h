#pragma once

#include <random>
#include <string>
#include <vector>

#include "tests/support/mutants/mutate.h"

namespace meshattn::testing {

/// Applies one random change to a copy of a schedule. Each mutation returns a description, empty if it changed nothing.
class Mutator {
 public:
  Mutator(const Schedule& schedule, std::mt19937& random) : s_(schedule), random_(random) {}

  /// @returns the schedule after the change. May be called once.
  Mutant run();

 private:
  struct ListedOp {
    Op op;
    OpId was;  ///< its id before the change; kNone for a copy
  };
  using Lists = std::vector<std::vector<ListedOp>>;  ///< by rank

  std::size_t below(std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(random_); }
  template <typename Items>
  auto& any(Items& items) {
    return items[below(std::size(items))];
  }
  std::uint32_t id_below(std::size_t n) { return static_cast<std::uint32_t>(below(n)); }

  /// Another value, usually of the same rank and tensor.
  ValueId other(ValueId v);

  template <typename Kind>
  Kind* any_op() {
    std::vector<Kind*> ops;
    for (Op& op : s_.ops)
      if (auto* it = std::get_if<Kind>(&op)) ops.push_back(it);
    return ops.empty() ? nullptr : any(ops);
  }

  Lists take_apart() const;
  void put_together(const Lists& lists);
  std::vector<ListedOp>* any_list(Lists& lists, std::size_t least);

  std::string drop_op();
  std::string swap_ops();
  std::string duplicate_op();
  std::string move_op();
  std::string shrink(ValueId v);
  std::string shrink_value() { return shrink(id_below(s_.values.size())); }
  std::string shrink_transfer() { return s_.transfers.empty() ? "" : shrink(any(s_.transfers).made); }
  template <typename Rectangle, typename Rows, typename Columns>
  std::string resize(Rectangle& rect, const Rows& rows, const Columns& columns);
  std::string resize_rectangle();
  std::string edit_combine();
  std::string edit_exchange();
  std::string edit_outputs();
  std::string retarget_transfer();
  std::string retarget_rectangle();
  std::string retarget_combine_or_delta();
  std::string retarget_wait();
  std::string drop_wait();
  std::string move_value();
  std::string change_lane();
  std::string change_value();
  std::string change_heads();
  std::string change_part();

  Schedule s_;
  std::mt19937& random_;
};

}  // namespace meshattn::testing
