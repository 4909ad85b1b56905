#include "core/base/ini_file.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <fstream>
#include <iterator>

#include "core/base/error.h"
#include "core/base/input_file.h"
#include "core/base/numbers.h"
#include "core/base/spelling.h"

namespace meshattn {

namespace {

std::string in_quotes(std::string_view text) { return fmt::format("'{}'", printable(text)); }

constexpr std::uintmax_t kMostBytes = 1 << 20;
constexpr double kSmallest = kSmallestNumber, kLargest = kLargestNumber;

std::string_view trim(std::string_view s) {
  const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\r'; };
  while (!s.empty() && blank(s.front())) s.remove_prefix(1);
  while (!s.empty() && blank(s.back())) s.remove_suffix(1);
  return s;
}

/// "did you mean 'x'?" if a possible word is close to the given one; then all possible words.
std::string advice(std::string_view given, std::span<const std::string_view> possible) {
  constexpr std::size_t kLongestWord = 64;
  if (const std::string_view near = nearest(given.substr(0, kLongestWord), possible); !near.empty())
    return fmt::format("did you mean '{}'? Possible are {}", near, fmt::join(possible, ", "));
  return fmt::format("possible are {}", fmt::join(possible, ", "));
}

/// The key of that section and name. @throws InvalidInput naming the possible sections or keys.
const IniKey& look_up(std::string_view section, std::string_view name, std::span<const IniKey> keys,
                      std::string_view where) {
  std::vector<std::string_view> sections, names;
  for (const IniKey& key : keys) {
    if (key.section == section && key.name == name) return key;
    if (key.section == section) names.push_back(key.name);
    if (std::find(sections.begin(), sections.end(), key.section) == sections.end()) sections.push_back(key.section);
  }
  if (names.empty())
    throw InvalidInput(fmt::format("{}: unknown section {}: {}", where, in_quotes(section), advice(section, sections)));
  throw InvalidInput(
      fmt::format("{}: unknown key {} in [{}]: {}", where, in_quotes(name), section, advice(name, names)));
}

bool is_whole(const IniKey& key) { return key.kind == IniKey::Kind::kCount || key.kind == IniKey::Kind::kCountOrZero; }

int least_of(const IniKey& whole) { return whole.kind == IniKey::Kind::kCount ? 1 : 0; }

void check_value(const IniLine& line) {
  const IniKey& key = *line.key;
  if (line.value.empty()) throw InvalidInput(fmt::format("{}: '{}' has no value", line.where, key.name));
  if (key.kind == IniKey::Kind::kText || key.kind == IniKey::Kind::kMeasurement) return;
  if (is_whole(key)) {
    (void)parse_count(line.value, fmt::format("{}: '{}'", line.where, key.name), least_of(key));
    return;
  }
  const double x = parse_number(line.value, fmt::format("{}: '{}'", line.where, key.name));
  const auto refuse = [&](std::string_view right) {
    throw InvalidInput(fmt::format("{}: '{}' must be {}, not {}", line.where, key.name, right, in_quotes(line.value)));
  };
  if (key.kind == IniKey::Kind::kFraction && !(x >= kSmallest && x <= 1)) refuse("above 0 and at most 1");
  if (key.kind == IniKey::Kind::kPositive && !(x >= kSmallest && x <= kLargest)) refuse("above 0 (from 1e-9 to 1e12)");
  if (key.kind == IniKey::Kind::kNonNegative && x != 0 && !(x >= kSmallest && x <= kLargest))
    refuse("0 or more (to 1e12)");
}

/// Moves the uncertainty of a number out of its value.
void split_uncertainty(IniLine& line) {
  const IniKey& key = *line.key;
  const std::size_t sign = line.value.find("+-");
  if (sign == std::string::npos || key.kind == IniKey::Kind::kText || key.kind == IniKey::Kind::kMeasurement) return;
  const std::string_view behind = trim(std::string_view(line.value).substr(sign + 2));
  line.uncertainty = parse_number(behind, fmt::format("{}: the uncertainty of '{}'", line.where, key.name));
  if (!(line.uncertainty >= kSmallest && line.uncertainty <= kLargest))
    throw InvalidInput(fmt::format("{}: the uncertainty of '{}' must be above 0 (from 1e-9 to 1e12), not {}",
                                   line.where, key.name, in_quotes(behind)));
  if (is_whole(key))
    throw InvalidInput(fmt::format("{}: '{}' is a count, which has no uncertainty", line.where, key.name));
  line.value = trim(std::string_view(line.value).substr(0, sign));
}

void check_source(const IniLine& line) {
  if (line.key->kind == IniKey::Kind::kText) return;
  if (line.source.empty())
    throw InvalidInput(
        fmt::format("{}: '{}' has no source: write '# where the number comes from' behind it, or "
                    "'# assumed: why'",
                    line.where, line.key->name));
  const std::string_view source = line.source;
  if (source.starts_with("assumed") && trim(source.substr(7)).size() < 2)
    throw InvalidInput(
        fmt::format("{}: '{}' is assumed without a reason: write '# assumed: why'", line.where, line.key->name));
}

std::string read_bytes(const std::filesystem::path& path) {
  std::ifstream in = open_file(path);
  std::error_code error;
  if (std::filesystem::file_size(path, error) > kMostBytes)
    throw InvalidInput(fmt::format("{}: larger than 1 MiB, too large for such a file", path.string()));
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

IniFile IniFile::read(const std::filesystem::path& path, std::span<const IniKey> keys) {
  return parse(read_bytes(path), path.string(), keys);
}

IniFile IniFile::parse(std::string_view text, std::string_view name, std::span<const IniKey> keys) {
  IniFile file;
  file.name_ = name;
  file.keys_ = keys;
  std::string section;
  for (int number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view all = trim(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (all.empty() || all.front() == '#') continue;

    const std::size_t hash = std::min(all.find('#'), all.size());
    const std::string_view content = trim(all.substr(0, hash));
    const std::string_view source = hash < all.size() ? trim(all.substr(hash + 1)) : "";
    const std::string where = fmt::format("{}:{}", name, number);
    if (content.front() == '[' && content.back() == ']') {
      section = trim(content.substr(1, content.size() - 2));
      const bool known = std::any_of(keys.begin(), keys.end(), [&](const IniKey& k) { return k.section == section; });
      if (!known) (void)look_up(section, "", keys, where);
      continue;
    }
    const std::size_t equals = content.find('=');
    if (equals == std::string_view::npos)
      throw InvalidInput(
          fmt::format("{}: {} is neither '[section]' nor 'key = value  # source'", where, in_quotes(content)));
    if (section.empty())
      throw InvalidInput(fmt::format("{}: {} stands before the first '[section]'", where, in_quotes(content)));
    const IniKey& key = look_up(section, trim(content.substr(0, equals)), keys, where);
    if (const IniLine* other = file.find(key.section, key.name); other && key.kind != IniKey::Kind::kMeasurement)
      throw InvalidInput(fmt::format("{}: '{}' is given twice, first at {}", where, key.name, other->where));
    check_source(file.add({&key, std::string(trim(content.substr(equals + 1))), std::string(source), where, false}));
  }
  return file;
}

const IniKey& key_of_setting(std::string_view setting, std::span<const IniKey> keys) {
  const std::string where = fmt::format("setting {}", in_quotes(setting));
  const std::size_t equals = setting.find('=');
  const std::size_t dot = setting.substr(0, equals).find('.');
  if (equals == std::string_view::npos || dot == std::string_view::npos)
    throw InvalidInput(fmt::format("{}: must be 'section.key=value', for example 'nic.bandwidth_GBps=25'", where));
  return look_up(trim(setting.substr(0, dot)), trim(setting.substr(dot + 1, equals - dot - 1)), keys, where);
}

void IniFile::set(std::string_view setting) {
  const IniKey& key = key_of_setting(setting, keys_);
  std::string replaced;
  std::erase_if(lines_, [&](const IniLine& line) {
    if (line.key == &key) replaced = line.by_setting ? line.replaced : line.value;
    return line.key == &key;
  });
  const std::string_view value = trim(setting.substr(setting.find('=') + 1));
  add({&key, std::string(value), "set for this run", fmt::format("setting {}", in_quotes(setting)), true, 0, replaced});
}

const IniLine& IniFile::add(IniLine line) {
  split_uncertainty(line);
  check_value(line);
  lines_.push_back(std::move(line));
  return lines_.back();
}

void IniFile::require_all() const {
  for (const IniKey& key : keys_)
    if (key.required && !has(key.section, key.name))
      throw InvalidInput(fmt::format("{}: no '{}' in [{}], which must be there", name_, key.name, key.section));
}

const IniLine* IniFile::find(std::string_view section, std::string_view key) const {
  for (const IniLine& line : lines_)
    if (line.key->section == section && (key.empty() || line.key->name == key)) return &line;
  return nullptr;
}

bool IniFile::has(std::string_view section, std::string_view key) const { return find(section, key) != nullptr; }

const IniLine& IniFile::line(std::string_view section, std::string_view key) const {
  if (const IniLine* line = find(section, key)) return *line;
  throw InvalidInput(fmt::format("{}: no '{}' in [{}], which must be there", name_, key, section));
}

const std::string& IniFile::text(std::string_view section, std::string_view key) const {
  return line(section, key).value;
}

double IniFile::number(std::string_view section, std::string_view key) const {
  const IniLine& l = line(section, key);
  return parse_number(l.value, l.where);
}

int IniFile::count(std::string_view section, std::string_view key) const {
  const IniLine& l = line(section, key);
  return parse_count(l.value, l.where, least_of(*l.key));
}

double IniFile::number_or(std::string_view section, std::string_view key, double otherwise) const {
  return has(section, key) ? number(section, key) : otherwise;
}

int IniFile::count_or(std::string_view section, std::string_view key, int otherwise) const {
  return has(section, key) ? count(section, key) : otherwise;
}

std::vector<std::string> ini_names(const std::filesystem::path& directory) {
  std::error_code error;
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error))
    if (entry.path().extension() == ".ini") names.push_back(entry.path().stem().string());
  if (error) throw InvalidInput(fmt::format("{}: no such directory", directory.string()));
  std::sort(names.begin(), names.end());
  return names;
}

std::filesystem::path find_ini(std::string_view what, const std::string& name_or_path,
                               const std::filesystem::path& directory) {
  if (name_or_path.find('/') != std::string::npos || name_or_path.ends_with(".ini")) {
    if (std::error_code error; std::filesystem::is_regular_file(name_or_path, error)) return name_or_path;
    throw InvalidInput(fmt::format("{} {}: no such file", what, in_quotes(name_or_path)));
  }
  const std::vector<std::string> names = ini_names(directory);
  if (std::binary_search(names.begin(), names.end(), name_or_path)) return directory / (name_or_path + ".ini");
  const std::vector<std::string_view> possible(names.begin(), names.end());
  throw InvalidInput(fmt::format("unknown {} {}: {}", what, in_quotes(name_or_path), advice(name_or_path, possible)));
}

}  // namespace meshattn
