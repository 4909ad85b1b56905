#include "experiments/cli/text/findings.h"

#include <spdlog/fmt/fmt.h>

namespace meshattn {

std::string text_of(const Finding& f) {
  return fmt::format("rank {}{}{}: {}", f.rank, f.op == kNone ? "" : fmt::format(", op {}", f.op),
                     f.value == kNone ? "" : fmt::format(", value {}", f.value), f.what);
}

std::string text_of(std::span<const Finding> findings) {
  return text_of(findings.front()) +
         (findings.size() == 1 ? "" : fmt::format(" (and {} more findings)", findings.size() - 1));
}

}  // namespace meshattn
