#include "core/base/text_scanner.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <charconv>
#include <string>

namespace meshattn {

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_word(char c) { return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

/// A token for a message: at most 24 bytes, unprintable ones as \xHH.
std::string shown(std::string_view token) {
  std::string text;
  for (char c : token.substr(0, 24)) {
    if (c >= ' ' && c <= '~')
      text += c;
    else
      text += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
  }
  return token.size() > 24 ? text + "…" : text;
}

std::string_view word_at(std::string_view text, std::size_t position) {
  std::size_t end = position;
  while (end < text.size() && is_word(text[end])) ++end;
  return text.substr(position, end - position);
}

}  // namespace

std::string_view TextScanner::next_word() const { return word_at(text_, position_); }

std::string_view TextScanner::next_name() const {
  std::size_t end = position_ + next_word().size();
  while (end > position_ && end + 1 < text_.size() && text_[end] == '-' && is_word(text_[end + 1]))
    end += 1 + word_at(text_, end + 1).size();
  return text_.substr(position_, end - position_);
}

bool TextScanner::at_number() const { return position_ < text_.size() && is_digit(text_[position_]); }

bool TextScanner::take(std::string_view token) {
  const std::string_view word = next_word();
  if (word.empty() ? !text_.substr(position_).starts_with(token) : word != token) return false;
  position_ += token.size();
  skip_blanks();
  return true;
}

void TextScanner::expect(std::string_view token) {
  if (!take(token)) fail(fmt::format("'{}'", token));
}

void TextScanner::next_line() {
  if (position_ < text_.size() && text_[position_] != '\n') fail("the end of the line");
  skip_empty_lines();
}

void TextScanner::skip_empty_lines() {
  while (position_ < text_.size() && text_[position_] == '\n') {
    ++position_;
    skip_blanks();
  }
}

void TextScanner::expect_end() {
  if (position_ < text_.size()) fail("the end of the text");
}

bool TextScanner::digits(std::uint64_t& value) {
  const char* const begin = text_.data() + position_;
  const auto [end, error] = std::from_chars(begin, text_.data() + text_.size(), value);
  if (error != std::errc()) return false;
  position_ += static_cast<std::size_t>(end - begin);
  skip_blanks();
  return true;
}

std::uint64_t TextScanner::number(std::uint64_t least, std::uint64_t most, std::string_view what) {
  const std::size_t begin = position_;
  std::uint64_t value = 0;
  if (!digits(value) || value < least || value > most)
    fail_at(begin, fmt::format("{} from {} to {}", what, least, most));
  return value;
}

std::uint64_t TextScanner::id(std::uint64_t count, std::string_view what) {
  const std::size_t begin = position_;
  std::uint64_t value = 0;
  if (!digits(value) || value >= count) fail_at(begin, fmt::format("{} below {}", what, count));
  return value;
}

void TextScanner::fail_at(std::size_t position, std::string_view expected) const {
  if (position >= text_.size()) reject(position, fmt::format("expected {}, found the end of the text", expected));
  if (text_[position] == '\n') reject(position, fmt::format("expected {}, found the end of the line", expected));
  const std::string_view word = word_at(text_, position);
  reject(position,
         fmt::format("expected {}, found '{}'", expected, shown(word.empty() ? text_.substr(position, 1) : word)));
}

void TextScanner::reject(std::size_t position, std::string_view message) const {
  const std::string_view before = text_.substr(0, position);
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const std::size_t column = position - (before.rfind('\n') + 1) + 1;  // npos + 1 is 0
  throw InvalidInput(fmt::format("{}:{}:{}: {}", file_name_, line, column, message));
}

void TextScanner::skip_blanks() {
  while (position_ < text_.size() && is_blank(text_[position_])) ++position_;
  if (position_ < text_.size() && text_[position_] == '#')
    position_ = std::min(text_.find('\n', position_), text_.size());
}

}  // namespace meshattn
