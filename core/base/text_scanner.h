#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/base/error.h"

namespace meshattn {

/// Reads a text from front to back, token by token: words, numbers and single punctuation marks, with blanks anywhere
/// between them. Lines matter; `#` begins a comment that ends with its line. Every failure is InvalidInput
/// "file:line:column: expected …, found …".
class TextScanner {
 public:
  /// Neither is copied: both must outlive the scanner.
  TextScanner(std::string_view text, std::string_view file_name) : text_(text), file_name_(file_name) { skip_blanks(); }

  /// Letters, digits and underscores up to anything else; empty if the next token is no word.
  [[nodiscard]] std::string_view next_word() const;
  /// True if a digit comes next.
  [[nodiscard]] bool at_number() const;

  /// Goes past the token (a word or a punctuation mark) if it comes next.
  bool take(std::string_view token);
  void expect(std::string_view token);
  /// Expects the end of a line and goes to the next line that has a token, if any.
  void next_line();
  /// Goes past lines without a token.
  void skip_empty_lines();
  void expect_end();

  /// A decimal number from `least` to `most`. `what` is a noun with its article, for the message.
  std::uint64_t number(std::uint64_t least, std::uint64_t most, std::string_view what);
  /// A decimal number smaller than `count`: an id of one of `count` things.
  std::uint64_t id(std::uint64_t count, std::string_view what);
  /// A name (a word, or words joined by '-') that `parse` (parse_dtype, …) turns into its meaning; its InvalidInput
  /// gets the place put before it.
  template <typename T>
  T name(T (*parse)(std::string_view));

  /// @throws InvalidInput that the token at `position`, by default the next one, is not what is `expected`.
  [[noreturn]] void fail(std::string_view expected) const { fail_at(position_, expected); }
  [[noreturn]] void fail_at(std::size_t position, std::string_view expected) const;
  /// @throws InvalidInput with any `message` on the token at `position`.
  [[noreturn]] void reject(std::size_t position, std::string_view message) const;
  /// Where the next token begins, in bytes from the start.
  [[nodiscard]] std::size_t position() const { return position_; }

 private:
  void skip_blanks();
  [[nodiscard]] std::string_view next_name() const;
  /// Reads digits into `value`; false if there are none or it is too large. Moves only on success.
  bool digits(std::uint64_t& value);

  std::string_view text_;
  std::string_view file_name_;
  std::size_t position_ = 0;
};

// ---- implementation of the template ----

template <typename T>
T TextScanner::name(T (*parse)(std::string_view)) {
  const std::string_view name = next_name();
  if (name.empty()) fail("a name");
  try {
    const T meaning = parse(name);
    position_ += name.size();
    skip_blanks();
    return meaning;
  } catch (const InvalidInput& e) {
    reject(position_, e.what());
  }
}

}  // namespace meshattn
