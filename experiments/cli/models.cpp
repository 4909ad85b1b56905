#include "experiments/cli/models.h"

#include <spdlog/fmt/fmt.h>

#include "core/base/error.h"
#include "core/base/ini_file.h"
#include "core/problem/mask_text.h"

namespace meshattn {

namespace {

constexpr IniKey kKeys[] = {{"model", "title"},
                            {"model", "mask"},
                            {"model", "heads", IniKey::Kind::kCount},
                            {"model", "kv_heads", IniKey::Kind::kCount},
                            {"model", "head_dim", IniKey::Kind::kCount},
                            {"model", "layers", IniKey::Kind::kCount}};

}  // namespace

Model read_model(const std::string& name_or_path, const std::filesystem::path& directory) {
  const std::filesystem::path path = find_ini("model", name_or_path, directory);
  const IniFile file = IniFile::read(path, kKeys);
  file.require_all();
  Model model;
  model.name = path.stem().string();
  model.title = printable(file.text("model", "title"));
  model.heads = file.count("model", "heads");
  model.kv_heads = file.count("model", "kv_heads");
  model.head_dim = file.count("model", "head_dim");
  model.layers = file.count("model", "layers");
  const IniLine& mask = file.line("model", "mask");
  model.mask = with_location(mask.where, [&] { return parse_mask(printable(mask.value)); });
  if (model.heads % model.kv_heads != 0)
    throw InvalidInput(fmt::format("{}: {} kv_heads for {} heads: must divide them",
                                   file.line("model", "kv_heads").where, model.kv_heads, model.heads));
  for (const IniLine& line : file.lines())
    if (line.key->kind == IniKey::Kind::kCount) model.sources[std::string(line.key->name)] = line.source;
  return model;
}

std::vector<std::string> model_names(const std::filesystem::path& directory) { return ini_names(directory); }

}  // namespace meshattn
