#pragma once

#include <filesystem>
#include <fstream>

namespace meshattn {

/// A file to be read, byte by byte. @throws InvalidInput naming it if there is none, or it cannot be read
[[nodiscard]] std::ifstream open_file(const std::filesystem::path& path);

}  // namespace meshattn
