#pragma once

#include <string>

#include "core/report/summary.h"

namespace meshattn {

/// What `simulate` prints: one result a line, with units.
[[nodiscard]] std::string text_of(const Summary& summary);

/// "for KV to arrive 71 %, memory to be free again 20 %": the longest waits by their share of the idle time.
[[nodiscard]] std::string waits_text(const Summary& summary);

/// near_bound in words: "compute", "link …", "neither bound: …".
[[nodiscard]] std::string near_text(const Summary& summary);

}  // namespace meshattn
