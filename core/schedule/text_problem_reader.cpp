#include "core/schedule/text_problem_reader.h"

#include <utility>
#include <vector>

#include "core/base/enum_names.h"

namespace meshattn {

namespace {

/// The first word of a mask.
enum class MaskKind : std::uint8_t { kFull, kCausal, kWindow };
constexpr EnumNames<MaskKind, 3> kMaskKinds{
    {{MaskKind::kFull, "full"}, {MaskKind::kCausal, "causal"}, {MaskKind::kWindow, "window"}}};

/// Reads a line "name word", where `parse` gives the meaning of the word.
template <typename T>
T read_named(TextScanner& scan, std::string_view name, T (*parse)(std::string_view)) {
  scan.expect(name);
  const T value = scan.name(parse);
  scan.next_line();
  return value;
}

/// Reads lengths of documents until they add up to `tokens`.
std::vector<std::int64_t> read_lengths(TextScanner& scan, std::int64_t tokens) {
  auto left = static_cast<std::uint64_t>(tokens);
  std::vector<std::int64_t> lengths;
  do {
    const std::uint64_t length = scan.number(1, left, "a length");
    lengths.push_back(static_cast<std::int64_t>(length));
    left -= length;
  } while (left > 0);
  return lengths;
}

Mask read_mask(TextScanner& scan, std::int64_t tokens) {
  Mask mask;
  scan.expect("mask");
  const MaskKind kind = scan.name(+[](std::string_view name) { return kMaskKinds.parse("mask", name); });
  mask.causal = kind != MaskKind::kFull;
  if (kind == MaskKind::kWindow)
    mask.window = static_cast<std::int64_t>(scan.number(1, static_cast<std::uint64_t>(kMaxTokens), "a window"));
  if (scan.take("documents")) mask.documents = Documents(read_lengths(scan, tokens));
  scan.next_line();
  return mask;
}

void read_partition(TextScanner& scan, Problem& p) {
  scan.expect("partition");
  p.partition = scan.name(&parse_partition);
  if (scan.take("cuts")) p.cuts = static_cast<int>(scan.number(1, kMaxCuts, "a number of cuts"));
  scan.next_line();
}

}  // namespace

std::uint64_t read_field(TextScanner& scan, std::string_view name, std::uint64_t most) {
  scan.expect(name);
  const std::uint64_t value = scan.number(0, most, "a number");
  scan.next_line();
  return value;
}

Problem read_problem(TextScanner& scan) {
  const auto read_int = [&](std::string_view name) { return static_cast<int>(read_field(scan, name, INT32_MAX)); };
  const auto read_length = [&](std::string_view name) {
    return static_cast<std::int64_t>(read_field(scan, name, INT64_MAX));
  };
  Problem p;
  p.ranks = read_int("ranks");
  p.shape.batch = read_int("batch");
  p.shape.seq_q = read_length("seq_q");
  p.shape.seq_kv = read_length("seq_kv");
  p.shape.heads = read_int("heads");
  p.shape.kv_heads = read_int("kv_heads");
  p.shape.head_dim = read_int("head_dim");
  p.shape.dtype = read_named(scan, "dtype", &parse_dtype);
  p.mask = read_mask(scan, p.shape.seq_q);
  read_partition(scan, p);
  p.pass = read_named(scan, "pass", &parse_pass);
  return p;
}

}  // namespace meshattn
