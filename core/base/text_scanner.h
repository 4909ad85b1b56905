#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/base/error.h"

namespace meshattn {

/// Reads a text token by token: words, numbers and single punctuation marks, with any blanks between them. The end of a
/// line is a token; '#' begins a comment that ends with its line. Every failure is an InvalidInput
/// "file:line:column: expected …, found …".
class TextScanner {
 public:
  /// The scanner copies neither; both must outlive it.
  TextScanner(std::string_view text, std::string_view file_name) : text_(text), file_name_(file_name) { skip_blanks(); }

  /// The next token if it is a word (letters, digits and underscores), else empty.
  [[nodiscard]] std::string_view next_word() const;
  /// True if the next token is a number.
  [[nodiscard]] bool at_number() const;

  /// Skips the token (a word or a punctuation mark) if it comes next, and says whether it did.
  bool take(std::string_view token);
  /// Skips the token. @throws InvalidInput if another one comes next.
  void expect(std::string_view token);
  /// Skips the end of a line and empty lines behind it. @throws InvalidInput if a token comes first.
  void next_line();
  /// Skips lines without a token.
  void skip_empty_lines();
  /// @throws InvalidInput unless the text has ended.
  void expect_end();

  /// Reads a whole number from `least` to `most`. `what` is a noun with its article, for the message.
  std::uint64_t number(std::uint64_t least, std::uint64_t most, std::string_view what);
  /// Reads an id below `count`.
  std::uint64_t id(std::uint64_t count, std::string_view what);
  /// Reads a name (a word, or words joined by '-') with `parse` (parse_dtype, …), and puts the position before the
  /// message of its InvalidInput.
  template <typename T>
  T name(T (*parse)(std::string_view));

  /// Reports that the token at `position`, by default the next one, is not the `expected` one. @throws InvalidInput
  [[noreturn]] void fail(std::string_view expected) const { fail_at(position_, expected); }
  [[noreturn]] void fail_at(std::size_t position, std::string_view expected) const;
  /// Reports `message` about the token at `position`. @throws InvalidInput
  [[noreturn]] void reject(std::size_t position, std::string_view message) const;
  /// Offset of the next token, in bytes from the start.
  [[nodiscard]] std::size_t position() const { return position_; }

 private:
  void skip_blanks();
  [[nodiscard]] std::string_view next_name() const;
  /// Reads digits into `value`. False, without moving, if there are none or the number is too large.
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
