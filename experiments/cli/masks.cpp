#include "experiments/cli/masks.h"

#include <spdlog/fmt/fmt.h>

#include <fstream>

#include "core/base/error.h"
#include "core/base/ini_file.h"
#include "core/base/input_file.h"
#include "experiments/cli/units.h"

namespace meshattn {

namespace {

constexpr std::string_view kDocuments = "documents:";

bool is_blank(int c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

/// Goes past white space and comments, counting lines. @returns the word that follows, or its first 32 bytes; empty at
/// the end of the file.
std::string next_word(std::istream& in, int& line) {
  constexpr std::size_t kLongest = 32;
  bool comment = false;
  for (int c = in.peek(); c != EOF && (comment || c == '#' || is_blank(c)); c = in.peek()) {
    comment = c != '\n' && (comment || c == '#');
    line += c == '\n';
    in.get();
  }
  std::string word;
  for (int c = in.peek(); c != EOF && c != '#' && !is_blank(c) && word.size() < kLongest; c = in.peek())
    word += static_cast<char>(in.get());
  return word;
}

}  // namespace

std::optional<Mask> parse_sight(std::string_view text) {
  constexpr std::string_view kWindow = "window:";
  if (text == "full") return Mask::kFull;
  if (text == "causal") return Mask::kCausal;
  if (!text.starts_with(kWindow)) return std::nullopt;
  return Mask{true, parse_tokens(text.substr(kWindow.size()), "the window of a mask"), {}};
}

Mask parse_mask(std::string_view text, std::int64_t seq) {
  const bool documents_alone = text.starts_with(kDocuments);
  const std::size_t plus = text.find(fmt::format("+{}", kDocuments));
  std::optional<Mask> mask = documents_alone ? Mask::kCausal : parse_sight(text.substr(0, plus));
  if (!mask)
    throw InvalidInput(
        fmt::format("--mask must be full, causal, window:W, documents:FILE or, for instance, "
                    "window:W+documents:FILE, not '{}'",
                    printable(text)));
  if (documents_alone || plus != std::string_view::npos)
    mask->documents = read_documents(text.substr((documents_alone ? 0 : plus + 1) + kDocuments.size()), seq);
  return *mask;
}

Documents read_documents(const std::filesystem::path& path, std::int64_t seq) {
  std::ifstream in = open_file(path);
  std::vector<std::int64_t> lengths;
  std::int64_t tokens = 0;
  int line = 1;
  const auto where = [&] { return fmt::format("{}:{}", path.string(), line); };
  for (std::string word = next_word(in, line); !word.empty(); word = next_word(in, line)) {
    lengths.push_back(parse_tokens(word, where() + ": the length of a document"));
    tokens += lengths.back();
    if (tokens > seq)
      throw InvalidInput(fmt::format("{}: {} tokens up to here, more than the {} of --seq", where(), tokens, seq));
  }
  if (tokens < seq) throw InvalidInput(fmt::format("{}: {} tokens in all, not the {} of --seq", where(), tokens, seq));
  return Documents(lengths);
}

}  // namespace meshattn
