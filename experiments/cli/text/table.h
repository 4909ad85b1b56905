#pragma once

#include <string>
#include <vector>

namespace meshattn {

/// Rows of cells, the first a heading, as aligned text: the first `left` columns to the left, the others to the right.
[[nodiscard]] std::string aligned(const std::vector<std::vector<std::string>>& rows, std::size_t left);

}  // namespace meshattn
