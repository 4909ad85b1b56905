#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"

namespace meshattn {

/// Of any number that is not 0: products of units stay finite.
inline constexpr double kSmallestNumber = 1e-9, kLargestNumber = 1e12;

/// One key that a kind of file may have, and what may be written behind it.
struct IniKey {
  enum class Kind : std::uint8_t {
    kText,
    kMeasurement,  ///< text that is a measurement: needs a source, and the line may be repeated
    kCount,        ///< a whole number from 1 to 10⁹
    kCountOrZero,  ///< a whole number from 0 to 10⁹
    kPositive,     ///< a number above 0
    kNonNegative,  ///< a number from 0
    kFraction,     ///< above 0, at most 1
  };
  std::string_view section;
  std::string_view name;
  Kind kind = Kind::kText;
  bool required = true;
};

/// What a line says.
struct IniLine {
  const IniKey* key;
  std::string value;
  std::string source;  ///< what follows '#'
  std::string where;   ///< "file:line", or the setting: what an error about it begins with
  bool by_setting = false;
  double uncertainty = 0;     ///< of a number "value +- spread"
  std::string replaced = {};  ///< by a setting: what the file has, if it has one
};

/// A file of lines "key = value  # source" under "[section]" headings; blank lines and lines of comment are free.
/// Every number must carry its source, and may carry its spread: "key = value +- spread  # source". Any bytes are
/// either read or refused with file, line and what would be right.
class IniFile {
 public:
  /// `keys` is what the file may have; it must outlive the object. @throws InvalidInput.
  static IniFile read(const std::filesystem::path& path, std::span<const IniKey> keys);
  static IniFile parse(std::string_view text, std::string_view name, std::span<const IniKey> keys);

  /// Replaces a line by a what-if "section.key=value". @throws InvalidInput naming the keys that there are.
  void set(std::string_view setting);

  /// @throws InvalidInput naming a required key that neither the file nor a setting gave.
  void require_all() const;

  /// True if a line or setting gave the key, or, without a key, anything of the section.
  [[nodiscard]] bool has(std::string_view section, std::string_view key = {}) const;

  /// The value of a key that is there.
  [[nodiscard]] const std::string& text(std::string_view section, std::string_view key) const;
  [[nodiscard]] double number(std::string_view section, std::string_view key) const;
  [[nodiscard]] int count(std::string_view section, std::string_view key) const;

  /// The line of a key that is there.
  [[nodiscard]] const IniLine& line(std::string_view section, std::string_view key) const;
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

/// Bytes of unknown origin as they may stand in a message: printable and not long.
[[nodiscard]] std::string printable(std::string_view text);

/// A finite decimal number. @throws InvalidInput beginning with `where`.
[[nodiscard]] double parse_number(std::string_view text, std::string_view where);

/// A whole number from `least` to 10⁹. @throws InvalidInput beginning with `where`.
[[nodiscard]] int parse_count(std::string_view text, std::string_view where, int least = 1);

/// Runs `read`; what it has against a value is told with the place where the value stands.
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
/// @throws InvalidInput naming what there is.
[[nodiscard]] std::filesystem::path find_ini(std::string_view what, const std::string& name_or_path,
                                             const std::filesystem::path& directory);

}  // namespace meshattn
