#include "core/cluster/measurement_lines.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <iterator>
#include <sstream>
#include <string>

#include "core/base/error.h"
#include "core/base/numbers.h"

namespace meshattn {

namespace {

std::vector<std::string> words_of(const IniLine& line) {
  std::istringstream in(line.value);
  return {std::istream_iterator<std::string>(in), {}};
}

}  // namespace

AttentionPoint parse_point(const IniLine& line) {
  std::vector<std::string> words = words_of(line);
  const std::string& where = line.where;
  const bool batched = words.size() > 4 && words[3] == "batch";
  const std::string batch = batched ? words[4] : "1";
  if (batched) words.erase(words.begin() + 3, words.begin() + 5);
  const bool shaped = words.size() == 13 && words[3] == "q" && words[5] == "kv" && words[7] == "heads" &&
                      words[9] == "dim" && words[12] == "TFLOPs" && words[8].find('/') != std::string::npos;
  if (!shaped)
    throw InvalidInput(
        fmt::format("{}: point '{}': write it as 'forward full bf16 q 4096 kv 4096 heads 64/8 dim 128 "
                    "671 TFLOPs', with 'batch 2' before 'q' for 2 batch items",
                    where, printable(line.value)));
  const auto count = [&](std::string_view word, std::string_view what) {
    return parse_count(word, fmt::format("{}: {} of the point", where, what));
  };
  const std::size_t slash = words[8].find('/');
  AttentionPoint point;
  point.pass = with_location(where, [&] { return parse_pass(printable(words[0])); });
  point.mask = with_location(where, [&] { return parse_kernel_mask(printable(words[1])); });
  point.dtype = with_location(where, [&] { return parse_dtype(printable(words[2])); });
  point.q_tokens = count(words[4], "q");
  point.kv_tokens = count(words[6], "kv");
  point.heads = count(std::string_view(words[8]).substr(0, slash), "heads");
  point.kv_heads = count(std::string_view(words[8]).substr(slash + 1), "kv heads");
  point.head_dim = count(words[10], "dim");
  point.batch = count(batch, "batch");
  const double rate = parse_number(words[11], fmt::format("{}: rate of the point", where));
  if (!(rate >= 1e-6 && rate <= 1e6))
    throw InvalidInput(
        fmt::format("{}: a rate of '{}' TFLOPs: from 1e-6 to 1e6 is possible", where, printable(words[11])));
  point.flops_per_s = rate * 1e12;
  point.source = line.source;
  return point;
}

void add_tail(const IniLine& line, GpuProfile& gpu) {
  const std::vector<std::string> words = words_of(line);
  if (words.size() != 2)
    throw InvalidInput(fmt::format("{}: tail '{}': write it as 'forward 2.1'", line.where, printable(line.value)));
  const Pass pass = with_location(line.where, [&] { return parse_pass(printable(words[0])); });
  const double waves = parse_number(words[1], fmt::format("{}: waves of the tail", line.where));
  if (!(waves >= 0 && waves <= 1000))
    throw InvalidInput(
        fmt::format("{}: a tail of '{}' waves: from 0 to 1000 is possible", line.where, printable(words[1])));
  if (!gpu.tails.emplace(pass, waves).second)
    throw InvalidInput(fmt::format("{}: a second tail of {} kernels", line.where, name_of(pass)));
}

std::vector<StartupPoint> startups_of(const IniFile& file, std::string_view section) {
  std::vector<StartupPoint> startups;
  double scale = 1;
  if (file.has(section, "startup_us"))
    if (const IniLine& least = file.line(section, "startup_us"); !least.replaced.empty())
      if (const double before = parse_number(least.replaced, least.where); before > 0)
        scale = file.number(section, "startup_us") / before;
  for (const IniLine& line : file.lines()) {
    if (line.key->section != section || line.key->name != "startup") continue;
    const std::vector<std::string> words = words_of(line);
    if (words.size() != 4 || words[1] != "bytes" || words[3] != "us")
      throw InvalidInput(
          fmt::format("{}: startup '{}': write it as '1000000 bytes 15.3 us'", line.where, printable(line.value)));
    const auto number = [&](const std::string& word, double most) {
      const double x = parse_number(word, fmt::format("{}: '{}' of the start-up", line.where, printable(word)));
      if (!(x >= 1e-3 && x <= most))
        throw InvalidInput(fmt::format("{}: '{}': from 0.001 to {} is possible", line.where, printable(word), most));
      return x;
    };
    startups.push_back({number(words[0], 1e15), number(words[2], 1e12) * 1e-6 * (line.by_setting ? 1 : scale)});
    for (std::size_t i = 0; i + 1 < startups.size(); ++i)
      if (startups[i].bytes == startups.back().bytes)
        throw InvalidInput(fmt::format("{}: a second start-up of messages of {} bytes", line.where, words[0]));
  }
  std::ranges::sort(startups, {}, &StartupPoint::bytes);
  return startups;
}

}  // namespace meshattn
