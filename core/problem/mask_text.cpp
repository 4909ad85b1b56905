#include "core/problem/mask_text.h"

#include <spdlog/fmt/fmt.h>

#include <fstream>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/base/input_file.h"
#include "core/base/numbers.h"

namespace meshattn {

namespace {

constexpr std::string_view kDocuments = "documents:";
constexpr std::string_view kWindow = "window:";

bool is_blank(int c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

/// Skips white space and comments, counting lines. @returns the next word, or its first 32 bytes; empty at the end.
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

/// A mask without documents; nothing if the text is none.
std::optional<Mask> simple_mask(std::string_view text) {
  if (text == "full") return Mask::kFull;
  if (text == "causal") return Mask::kCausal;
  if (!text.starts_with(kWindow)) return std::nullopt;
  return Mask{true, parse_tokens(text.substr(kWindow.size()), "the window of a mask"), {}};
}

}  // namespace

Mask parse_mask(std::string_view text, std::optional<std::int64_t> tokens) {
  const auto refuse = [&] {
    throw InvalidInput(fmt::format("unknown mask '{}': possible are full, causal, window:W{}", printable(text),
                                   tokens ? ", documents:FILE or, for instance, window:W+documents:FILE" : ""));
  };
  const bool documents_alone = text.starts_with(kDocuments);
  const std::size_t plus = text.find(fmt::format("+{}", kDocuments));
  const bool has_documents = documents_alone || plus != std::string_view::npos;
  std::optional<Mask> mask = documents_alone ? Mask::kCausal : simple_mask(text.substr(0, plus));
  if (!mask || (has_documents && !tokens)) refuse();
  if (has_documents)
    mask->documents = read_documents(text.substr((documents_alone ? 0 : plus + 1) + kDocuments.size()), *tokens);
  return *mask;
}

Documents read_documents(const std::filesystem::path& path, std::int64_t tokens) {
  std::ifstream in = open_file(path);
  std::vector<std::int64_t> lengths;
  std::int64_t sum = 0;
  int line = 1;
  const auto where = [&] { return fmt::format("{}:{}", path.string(), line); };
  for (std::string word = next_word(in, line); !word.empty(); word = next_word(in, line)) {
    lengths.push_back(parse_tokens(word, where() + ": the length of a document"));
    sum += lengths.back();
    if (sum > tokens)
      throw InvalidInput(
          fmt::format("{}: {} tokens up to here, more than the {} of the sequence", where(), sum, tokens));
  }
  if (sum < tokens)
    throw InvalidInput(fmt::format("{}: {} tokens in all, not the {} of the sequence", where(), sum, tokens));
  return Documents(lengths);
}

}  // namespace meshattn
