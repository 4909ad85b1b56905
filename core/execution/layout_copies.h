#pragma once

#include <vector>

#include "core/schedule/schedule.h"

namespace meshattn {

/// Copies of one rank that lay heads together, before it sends and after it receives by heads.
struct LayoutCopies {
  double bytes = 0;              ///< copied: each is read once and written once
  OpId first_attention = kNone;  ///< the rank's first attention op; kNone if it has none
};

/// The layout copies of each rank. An exchange is by heads (as in Ulysses) where the receiver attends only some of the
/// heads of an input that is sent.
[[nodiscard]] std::vector<LayoutCopies> layout_copies(const Schedule& schedule);

}  // namespace meshattn
