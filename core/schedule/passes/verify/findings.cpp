#include "core/schedule/passes/verify/findings.h"

#include <spdlog/fmt/fmt.h>

namespace meshattn {

std::string finding_text(const Finding& f) {
  return fmt::format("rank {}{}{}: {}", f.rank, f.op == kNone ? "" : fmt::format(", op {}", f.op),
                     f.value == kNone ? "" : fmt::format(", value {}", f.value), f.what);
}

std::string findings_text(std::span<const Finding> findings) {
  return finding_text(findings.front()) +
         (findings.size() == 1 ? "" : fmt::format(" (and {} more findings)", findings.size() - 1));
}

}  // namespace meshattn
