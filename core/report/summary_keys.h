#pragma once

#include <cstdint>
#include <string_view>

#include "core/report/summary.h"

namespace meshattn {

/// How a key of a Summary adds up over phases that run one after another.
enum class Total : std::uint8_t {
  kFirst,    ///< the same in all phases
  kSum,      ///< the sum
  kMax,      ///< the largest
  kDerived,  ///< found from the other keys or item by item: see one_after_other
};

/// The table of keys. Calls visit(key, total, members …) for each key of a Summary, in the order of `--json`; a dot
/// separates a key from the object that holds it. `member_of(summary, members …)` is the value.
template <typename Visit>
void for_each_key(Visit visit) {
  visit("placed", Total::kFirst, &Summary::placed);
  visit("slices", Total::kMax, &Summary::slices);
  visit("makespan_s", Total::kSum, &Summary::makespan_s);
  visit("corners_s", Total::kSum, &Summary::corners_s);
  visit("compute_s", Total::kSum, &Summary::compute_s);
  visit("waiting", Total::kDerived, &Summary::waiting);
  visit("compute_balance", Total::kDerived, &Summary::compute_balance);
  visit("bounds.compute_s", Total::kSum, &Summary::bounds, &Bounds::compute_s);
  visit("bounds.busiest_link_s", Total::kSum, &Summary::bounds, &Bounds::busiest_link_s);
  visit("bounds.busiest_link", Total::kDerived, &Summary::bounds, &Bounds::busiest_link);
  visit("problem_bound_s", Total::kSum, &Summary::problem_bound_s);
  visit("volume.bytes_received_avg", Total::kSum, &Summary::volume, &Volume::bytes_received_avg);
  visit("volume.bytes_received_max", Total::kSum, &Summary::volume, &Volume::bytes_received_max);
  visit("volume.chunks_received_avg", Total::kSum, &Summary::volume, &Volume::chunks_received_avg);
  visit("volume.inter_node_bytes_avg", Total::kSum, &Summary::volume, &Volume::inter_node_bytes_avg);
  visit("volume.inter_node_bytes_max", Total::kSum, &Summary::volume, &Volume::inter_node_bytes_max);
  visit("volume.inter_node_chunks_avg", Total::kSum, &Summary::volume, &Volume::inter_node_chunks_avg);
  visit("volume.inter_node_chunks_max", Total::kSum, &Summary::volume, &Volume::inter_node_chunks_max);
  visit("peak_bytes", Total::kMax, &Summary::peak_bytes);
  visit("transfers", Total::kSum, &Summary::transfers);
  visit("ops", Total::kSum, &Summary::ops);
  visit("wall.plan_s", Total::kSum, &Summary::wall, &WallTimes::plan_s);
  visit("wall.validate_s", Total::kSum, &Summary::wall, &WallTimes::verify_s);
  visit("wall.simulate_s", Total::kSum, &Summary::wall, &WallTimes::simulate_s);
  visit("links", Total::kDerived, &Summary::links);
  visit("waits", Total::kDerived, &Summary::waits);
}

template <typename Object, typename Member>
[[nodiscard]] auto& member_of(Object& object, Member member) {
  return object.*member;
}
template <typename Object, typename Member, typename... Inner>
[[nodiscard]] auto& member_of(Object& object, Member member, Inner... inner) {
  return member_of(object.*member, inner...);
}

}  // namespace meshattn
