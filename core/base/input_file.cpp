#include "core/base/input_file.h"

#include <spdlog/fmt/fmt.h>

#include "core/base/error.h"

namespace meshattn {

std::ifstream open_file(const std::filesystem::path& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) throw InvalidInput(fmt::format("{}: no such file", path.string()));
  std::ifstream in(path, std::ios::binary);
  if (!in || std::filesystem::is_directory(path, error))
    throw InvalidInput(fmt::format("{}: cannot be read", path.string()));
  return in;
}

}  // namespace meshattn
