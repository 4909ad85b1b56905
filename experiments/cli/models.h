#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/problem/mask.h"

namespace meshattn {

/// A public model, as far as its attention layers go: data in `experiments/models`.
struct Model {
  std::string name;   ///< of its file
  std::string title;  ///< as its makers write it
  int heads = 1;
  int kv_heads = 1;
  int head_dim = 128;
  int layers = 1;
  Mask mask = Mask::kFull;                     ///< what the model uses; a default for `--mask`
  std::map<std::string, std::string> sources;  ///< by key: where each number comes from
};

/// Reads a model by name (a file of `directory`) or by path.
/// @throws InvalidInput naming file, line and what would be right, or the models that there are.
[[nodiscard]] Model read_model(const std::string& name_or_path, const std::filesystem::path& directory);

/// Names of the models in `directory`, sorted.
[[nodiscard]] std::vector<std::string> model_names(const std::filesystem::path& directory);

}  // namespace meshattn
