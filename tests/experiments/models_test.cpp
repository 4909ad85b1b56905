#include "experiments/cli/models.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>

#include "core/base/error.h"
#include "core/problem/attention.h"

namespace meshattn {
namespace {

using testing::HasSubstr;

const std::filesystem::path kModels = std::filesystem::path(MESHATTN_SOURCE_DIR) / "experiments/models";

/// The hidden size that each model's makers publish. In all of these the heads split it; only some share kv-heads.
const std::map<std::string, int> kHiddenSize = {
    {"llama-2-7b", 4096},  {"llama-3.1-8b", 4096}, {"llama-3.1-70b", 8192}, {"llama-3.1-405b", 16384},
    {"gpt-3-175b", 12288}, {"qwen2.5-72b", 8192},  {"wan2.1-14b", 5120},    {"hunyuan-video", 3072}};

TEST(Models, HaveTheModelsOfTheDocumentation) {
  for (const auto& [name, hidden] : kHiddenSize) EXPECT_THAT(model_names(kModels), testing::Contains(name));
}

TEST(Models, EachHasSourcesAndAValidShape) {
  for (const std::string& name : model_names(kModels)) {
    const Model m = read_model(name, kModels);
    EXPECT_EQ(m.name, name);
    EXPECT_FALSE(m.title.empty());
    EXPECT_EQ(m.sources.size(), 4u) << name;
    EXPECT_GE(m.sources.at("heads").size(), 10u) << name;
    check({4096, 4096, 1, m.heads, m.kv_heads, m.head_dim, Dtype::kBf16});
    if (const auto hidden = kHiddenSize.find(name); hidden != kHiddenSize.end()) {
      EXPECT_EQ(m.heads * m.head_dim, hidden->second) << name;
    }
  }
}

TEST(Models, LanguageModelsAreCausalAndVideoModelsAreNot) {
  for (const auto& [name, hidden] : kHiddenSize) {
    const bool video = name == "wan2.1-14b" || name == "hunyuan-video";
    EXPECT_EQ(read_model(name, kModels).mask, video ? Mask::kFull : Mask::kCausal) << name;
  }
  const Model m = read_model("llama-3.1-405b", kModels);
  EXPECT_EQ(std::tuple(m.heads, m.kv_heads, m.head_dim, m.layers), std::tuple(128, 8, 128, 126));
}

std::string error_of(const std::string& text) {
  const auto path = std::filesystem::path(testing::TempDir()) / "meshattn_model_of_a_test.ini";
  std::ofstream(path, std::ios::binary) << text;
  std::string said = "no error";
  try {
    (void)read_model(path.string(), kModels);
  } catch (const InvalidInput& error) {
    said = error.what();
  }
  std::filesystem::remove(path);
  return said;
}

TEST(Models, ErrorsNameFileAndLine) {
  const std::string good =
      "[model]\ntitle = T\nmask = full\nheads = 8 # s\nkv_heads = 4 # s\nhead_dim = 64 # s\nlayers = 2 # s\n";
  EXPECT_EQ(error_of(good), "no error");
  const auto with = [&](std::string_view from, std::string_view to) {
    std::string text = good;
    return error_of(text.replace(text.find(from), from.size(), to));
  };
  EXPECT_THAT(with("kv_heads = 4", "kv_heads = 3"), HasSubstr("_test.ini:5: 3 kv_heads for 8 heads: must divide them"));
  EXPECT_THAT(with("kv_heads", "kv_head"),
              HasSubstr("_test.ini:5: unknown key 'kv_head' in [model]: did you mean 'kv_heads'?"));
  EXPECT_THAT(with("full", "banded"),
              HasSubstr("_test.ini:3: unknown mask 'banded': possible are full, causal, window:W"));
  EXPECT_THAT(with("8 # s", "8"), HasSubstr("_test.ini:4: 'heads' has no source"));
  EXPECT_THAT(with("layers = 2 # s", ""), HasSubstr("_test.ini: no 'layers' in [model]"));
}

TEST(Models, AnUnknownNameListsTheModels) {
  EXPECT_THAT([] { (void)read_model("lama-3.1-8b", kModels); },
              testing::ThrowsMessage<InvalidInput>(
                  HasSubstr("unknown model 'lama-3.1-8b': did you mean 'llama-3.1-8b'? Possible are gpt-3-175b")));
  EXPECT_THAT([] { (void)read_model("bert", kModels); },
              testing::ThrowsMessage<InvalidInput>(HasSubstr("unknown model 'bert': possible are gpt-3-175b")));
}

}  // namespace
}  // namespace meshattn
