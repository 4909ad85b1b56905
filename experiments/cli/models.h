#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/problem/mask.h"

namespace meshattn {

/// The attention layers of a public model, read from `experiments/models`.
struct Model {
  std::string name;   ///< of the file, without its ending
  std::string title;  ///< as its authors write it
  int heads = 1;
  int kv_heads = 1;
  int head_dim = 128;
  int layers = 1;
  Mask mask = Mask::kFull;                     ///< used by the model, and the default of `--mask`
  std::map<std::string, std::string> sources;  ///< of each number, by key
};

/// Reads a model by name (a file of `directory`) or by path.
/// @throws InvalidInput naming file and line and what is possible, or the known models.
[[nodiscard]] Model read_model(const std::string& name_or_path, const std::filesystem::path& directory);

/// Names of the models in `directory`, sorted.
[[nodiscard]] std::vector<std::string> model_names(const std::filesystem::path& directory);

}  // namespace meshattn
