#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/enum_names.h"
#include "core/base/error.h"

namespace meshattn {

/// A key that a kind of file may have, and the values it takes.
struct IniKey {
  enum class Kind : std::uint8_t {
    kText,         ///< needs no source
    kMeasurement,  ///< text of several words; needs a source, and may be given several times
    kCount,        ///< a whole number from 1 to 10⁹
    kCountOrZero,  ///< a whole number from 0 to 10⁹
    kPositive,     ///< a number above 0
    kNonNegative,  ///< a number from 0
    kFraction,     ///< a number above 0 and at most 1
  };
  std::string_view section;
  std::string_view name;
  Kind kind = Kind::kText;
  bool required = true;
};

/// One "key = value +- uncertainty  # source" of a file, or a setting that replaces it.
struct IniLine {
  const IniKey* key;
  std::string value;
  std::string source;  ///< the text behind '#'
  std::string where;   ///< "file:line", or the setting: the beginning of an error about the line
  bool by_setting = false;
  double uncertainty = 0;     ///< of a number, either way; 0 if not given
  std::string replaced = {};  ///< the value in the file that a setting replaced; empty if there was none
};

/// A file of lines "key = value  # source" under "[section]" headings, with blank lines and comments anywhere. Every
/// number needs its source and may have an uncertainty: "key = value +- uncertainty  # source". Any bytes are accepted
/// or refused with file, line and what would be right.
class IniFile {
 public:
  /// `keys` are the possible keys; they must outlive the object. @throws InvalidInput.
  static IniFile read(const std::filesystem::path& path, std::span<const IniKey> keys);
  /// `name` stands for the file in messages.
  static IniFile parse(std::string_view text, std::string_view name, std::span<const IniKey> keys);

  /// Replaces a line by a what-if "section.key=value". @throws InvalidInput naming the possible sections or keys.
  void set(std::string_view setting);

  /// @throws InvalidInput naming a required key that neither the file nor a setting gave.
  void require_all() const;

  /// True if a line or setting gave the key or, if `key` is empty, any key of the section.
  [[nodiscard]] bool has(std::string_view section, std::string_view key = {}) const;

  /// The line or value of a key. @throws InvalidInput if nothing gave it.
  [[nodiscard]] const IniLine& line(std::string_view section, std::string_view key) const;
  [[nodiscard]] const std::string& text(std::string_view section, std::string_view key) const;
  [[nodiscard]] double number(std::string_view section, std::string_view key) const;
  [[nodiscard]] int count(std::string_view section, std::string_view key) const;

  /// The value of a key, or `otherwise` if nothing gave it.
  [[nodiscard]] double number_or(std::string_view section, std::string_view key, double otherwise) const;
  [[nodiscard]] int count_or(std::string_view section, std::string_view key, int otherwise) const;
  /// The same of a key whose value is a name of an enumeration. @throws InvalidInput naming the possible names.
  template <typename Enum, std::size_t N>
  [[nodiscard]] Enum name_or(std::string_view section, std::string_view key, const EnumNames<Enum, N>& names,
                             Enum otherwise) const;

  [[nodiscard]] const std::vector<IniLine>& lines() const { return lines_; }

 private:
  [[nodiscard]] const IniLine* find(std::string_view section, std::string_view key) const;
  const IniLine& add(IniLine line);

  std::string name_;
  std::span<const IniKey> keys_;
  std::vector<IniLine> lines_;
};

/// The key that a setting "section.key=value" names. @throws InvalidInput naming the possible sections or keys.
[[nodiscard]] const IniKey& key_of_setting(std::string_view setting, std::span<const IniKey> keys);

/// Runs `read`, and puts `where` before the message of an InvalidInput that it throws.
template <typename Read>
auto with_location(const std::string& where, Read&& read) {
  try {
    return read();
  } catch (const InvalidInput& error) {
    throw InvalidInput(where + ": " + error.what());
  }
}

/// Names of the files "<name>.ini" in a directory, sorted. @throws InvalidInput if there is no such directory.
[[nodiscard]] std::vector<std::string> ini_names(const std::filesystem::path& directory);

/// The file "<name>.ini" in `directory`, or `name_or_path` itself if it looks like a path ('/' or ".ini" in it).
/// `what` is the noun for the file in messages. @throws InvalidInput naming the files of the directory.
[[nodiscard]] std::filesystem::path find_ini(std::string_view what, const std::string& name_or_path,
                                             const std::filesystem::path& directory);

// ---- implementation of the template ----

template <typename Enum, std::size_t N>
Enum IniFile::name_or(std::string_view section, std::string_view key, const EnumNames<Enum, N>& names,
                      Enum otherwise) const {
  const IniLine* found = find(section, key);
  if (found == nullptr) return otherwise;
  const std::string what = std::string(key).append(" of ").append(section);
  return with_location(found->where, [&] { return names.parse(what, printable(found->value)); });
}

}  // namespace meshattn
