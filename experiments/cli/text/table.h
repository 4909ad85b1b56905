#pragma once

#include <string>
#include <vector>

namespace meshattn {

/// Rows of cells, the first row a heading, as text in columns: `left` columns aligned left, the others right.
[[nodiscard]] std::string aligned(const std::vector<std::vector<std::string>>& rows, std::size_t left);

}  // namespace meshattn
