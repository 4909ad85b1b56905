#include "experiments/cli/data_folder.h"

#include <cstdlib>
#include <optional>
#include <system_error>
#include <utility>

namespace meshattn {

namespace fs = std::filesystem;

namespace {

/// A data folder beside this program, if it is installed.
std::optional<fs::path> installed(const fs::path& name) {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  if (error) return std::nullopt;
  fs::path folder = (program.parent_path() / MESHATTN_DATA_FROM_PROGRAM / name).lexically_normal();
  return fs::is_directory(folder, error) ? std::optional(std::move(folder)) : std::nullopt;
}

fs::path data_folder(const char* variable, const char* in_source) {
  if (const char* given = std::getenv(variable); given != nullptr && *given != '\0') return given;
  const fs::path source = fs::path(MESHATTN_SOURCE_DIR) / in_source;
  return installed(source.filename()).value_or(source);
}

}  // namespace

fs::path topologies_folder() { return data_folder("MESHATTN_TOPOLOGIES", "topologies"); }

fs::path models_folder() { return data_folder("MESHATTN_MODELS", "experiments/models"); }

}  // namespace meshattn
