#pragma once

#include <filesystem>
#include <fstream>

namespace meshattn {

/// Opens a file for binary reading. @throws InvalidInput naming the file if it does not exist or cannot be read.
[[nodiscard]] std::ifstream open_file(const std::filesystem::path& path);

}  // namespace meshattn
