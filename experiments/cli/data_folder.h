#pragma once

#include <filesystem>

namespace meshattn {

/// Folder of clusters and GPU profiles: $MESHATTN_TOPOLOGIES, else the one installed beside this program, else the one
/// of the source tree that this program was built from.
[[nodiscard]] std::filesystem::path topologies_folder();

/// Folder of models: $MESHATTN_MODELS, else found as `topologies_folder`.
[[nodiscard]] std::filesystem::path models_folder();

}  // namespace meshattn
