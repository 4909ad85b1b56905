#pragma once

#include <span>
#include <string>

#include "core/schedule/passes/verify.h"

namespace meshattn {

/// "rank 3, op 17, value 5: read before it is made".
[[nodiscard]] std::string finding_text(const Finding& finding);

/// The first finding and the number of others.
[[nodiscard]] std::string findings_text(std::span<const Finding> findings);

}  // namespace meshattn
