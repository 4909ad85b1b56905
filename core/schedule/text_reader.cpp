#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <map>
#include <string>

#include "core/base/enum_names.h"
#include "core/base/error.h"
#include "core/base/text_scanner.h"
#include "core/schedule/text.h"

namespace meshattn {

namespace {

/// Operand lists as found in the text, put where the schedule already has them in this order, else appended, so that
/// rectangles that share rows or columns share their lists again.
template <typename T>
class SharedLists {
 public:
  explicit SharedLists(std::vector<T>& all) : all_(all) {}

  /// @returns the index of the first of `wanted`, which is not empty.
  std::uint32_t place(const std::vector<T>& wanted) {
    const ValueId first_key = key(wanted.front());
    const std::uint32_t known = first_key < last_at_.size() ? last_at_[first_key] : kNone;
    if (known != kNone) {
      const auto [w, a] = std::mismatch(wanted.begin(), wanted.end(), all_.begin() + known, all_.end());
      if (w == wanted.end()) return known;
      if (a == all_.end()) {
        append(w, wanted.end());
        return known;
      }
    }
    const auto first = static_cast<std::uint32_t>(all_.size());
    append(wanted.begin(), wanted.end());
    return first;
  }

 private:
  static ValueId key(ValueId kv) { return kv; }
  static ValueId key(const AttendRow& row) { return row.q; }
  static ValueId key(const BackwardRow& row) { return row.q; }
  static ValueId key(const BackwardColumn& column) { return column.kv; }

  template <typename Iterator>
  void append(Iterator begin, Iterator end) {
    for (; begin != end; ++begin) {
      const ValueId k = key(*begin);
      if (k >= last_at_.size()) last_at_.resize(k + std::size_t{1}, kNone);
      last_at_[k] = static_cast<std::uint32_t>(all_.size());
      all_.push_back(*begin);
    }
  }

  std::vector<T>& all_;
  std::vector<std::uint32_t> last_at_;  // by the first id of an item: where it was last put
};

/// The first word of a mask.
enum class Sight : std::uint8_t { kFull, kCausal, kWindow };
constexpr NameTable<Sight, 3> kSights{{{Sight::kFull, "full"}, {Sight::kCausal, "causal"}, {Sight::kWindow, "window"}}};

class Reader {
 public:
  Reader(std::string_view text, std::string_view file_name) : scan_(text, file_name) {}

  Schedule read();

 private:
  std::uint64_t field(std::string_view name, std::uint64_t most);
  template <typename T>
  T field(std::string_view name, T (*parse)(std::string_view));
  void read_problem();
  void read_mask();
  std::vector<std::int64_t> read_lengths();
  void read_partition();

  void read_value();
  RegionId read_region(Tensor tensor);
  void read_range(std::uint32_t least, std::uint32_t count, std::string_view what);
  RegionId intern_ranges();

  ValueId value() { return static_cast<ValueId>(scan_.id(s_.values.size(), "a value")); }
  /// value() after a mark.
  ValueId value_after(std::string_view mark) { return scan_.expect(mark), value(); }
  /// Items as long as a number comes next: at least one, at most what Attend can count.
  template <typename ReadItem>
  auto list(ReadItem&& read_item);
  AttendRow read_row();
  BackwardRow read_backward_row();
  BackwardColumn read_backward_column();

  void read_rank(Rank rank);
  Op read_op();
  Attend read_attend();
  AttendBackward read_attend_backward();
  Delta read_delta();
  Combine read_combine();
  Exchange read_exchange();
  TransferId read_transfer(Lane lane);
  void read_waits(OpId first);
  void number_transfers_by_made_value();

  TextScanner scan_;
  Schedule s_;
  std::vector<std::uint32_t> ranges_;  ///< of the region being read: first and last cell …, first and last head
  std::map<std::vector<std::uint32_t>, RegionId> regions_;
  std::uint64_t cells_stored_ = 0;
  bool has_offsets_ = false;
  std::vector<TransferId> transfer_of_;  ///< by made value
  SharedLists<AttendRow> rows_{s_.rows};
  SharedLists<ValueId> columns_{s_.columns};
  SharedLists<BackwardRow> backward_rows_{s_.backward_rows};
  SharedLists<BackwardColumn> backward_columns_{s_.backward_columns};
};

std::uint64_t Reader::field(std::string_view name, std::uint64_t most) {
  scan_.expect(name);
  const std::uint64_t value = scan_.number(0, most, "a number");
  scan_.next_line();
  return value;
}

template <typename T>
T Reader::field(std::string_view name, T (*parse)(std::string_view)) {
  scan_.expect(name);
  const T value = scan_.name(parse);
  scan_.next_line();
  return value;
}

void Reader::read_problem() {
  Problem& p = s_.problem;
  const std::size_t begin = scan_.position();
  const auto small = [this](std::string_view name) { return static_cast<int>(field(name, INT32_MAX)); };
  p.ranks = small("ranks");
  p.shape.batch = small("batch");
  p.shape.seq_q = static_cast<std::int64_t>(field("seq_q", INT64_MAX));
  p.shape.seq_kv = static_cast<std::int64_t>(field("seq_kv", INT64_MAX));
  p.shape.heads = small("heads");
  p.shape.kv_heads = small("kv_heads");
  p.shape.head_dim = small("head_dim");
  p.shape.dtype = field("dtype", &parse_dtype);
  read_mask();
  read_partition();
  p.pass = field("pass", &parse_pass);
  s_.peak_bytes = field("peak_bytes", UINT64_MAX);
  try {
    check(p);
  } catch (const InvalidInput& e) {
    scan_.reject(begin, e.what());
  }
}

void Reader::read_mask() {
  Mask& mask = s_.problem.mask;
  scan_.expect("mask");
  const Sight sight = scan_.name(+[](std::string_view name) { return kSights.parse("mask", name); });
  mask.causal = sight != Sight::kFull;
  if (sight == Sight::kWindow)
    mask.window = static_cast<std::int64_t>(scan_.number(1, static_cast<std::uint64_t>(kMaxTokens), "a window"));
  if (scan_.take("documents")) mask.documents = Documents(read_lengths());
  scan_.next_line();
}

/// Lengths that make up the sequence.
std::vector<std::int64_t> Reader::read_lengths() {
  auto left = static_cast<std::uint64_t>(s_.problem.shape.seq_q);
  std::vector<std::int64_t> lengths;
  do {
    const std::uint64_t length = scan_.number(1, left, "a length");
    lengths.push_back(static_cast<std::int64_t>(length));
    left -= length;
  } while (left > 0);
  return lengths;
}

void Reader::read_partition() {
  scan_.expect("partition");
  s_.problem.partition = scan_.name(&parse_partition);
  if (scan_.take("cuts")) s_.problem.cuts = static_cast<int>(scan_.number(1, kMaxCuts, "a number of cuts"));
  scan_.next_line();
}

void Reader::read_range(std::uint32_t least, std::uint32_t count, std::string_view what) {
  ranges_.push_back(static_cast<std::uint32_t>(scan_.number(least, count - 1, what)));
  const std::uint32_t first = ranges_.back();
  ranges_.push_back(scan_.take("-") ? static_cast<std::uint32_t>(scan_.number(first, count - 1, what)) : first);
}

RegionId Reader::read_region(Tensor tensor) {
  const AttentionShape& shape = s_.problem.shape;
  const Cell cells = s_.problem.cells();
  ranges_.clear();
  scan_.expect("cells");
  read_range(0, cells, "a cell");
  while (ranges_.back() + 1 < cells && scan_.take(",")) read_range(ranges_.back() + 1, cells, "a cell");
  scan_.expect("heads");
  read_range(0, static_cast<std::uint32_t>(on_kv_side(tensor) ? shape.kv_heads : shape.heads), "a head");
  const auto known = regions_.find(ranges_);
  return known != regions_.end() ? known->second : intern_ranges();
}

RegionId Reader::intern_ranges() {
  constexpr std::uint64_t kMostCells = std::uint64_t{1} << 26;  // of all regions: a short text can name many
  std::vector<Cell> cells;
  for (std::size_t i = 0; i + 2 < ranges_.size(); i += 2)
    for (Cell c = ranges_[i]; c <= ranges_[i + 1]; ++c) cells.push_back(c);
  cells_stored_ += cells.size();
  if (cells_stored_ > kMostCells) scan_.reject(scan_.position(), "the regions have more than 67108864 cells in all");
  const HeadRange heads{static_cast<std::int32_t>(ranges_[ranges_.size() - 2]),
                        static_cast<std::int32_t>(ranges_.back() + 1)};
  return regions_.emplace(ranges_, s_.regions.intern(cells, heads)).first->second;
}

void Reader::read_value() {
  const auto v = static_cast<ValueId>(s_.values.size());
  scan_.expect(std::to_string(v));
  scan_.expect("rank");
  const auto rank = static_cast<Rank>(scan_.id(static_cast<std::uint64_t>(s_.problem.ranks), "a rank"));
  const Tensor tensor = scan_.name(&parse_tensor);
  const Dtype dtype = scan_.name(&parse_dtype);
  const RegionId region = read_region(tensor);
  s_.values.push_back({rank, region, tensor, dtype});
  if (v == 0) has_offsets_ = scan_.next_word() == "at";
  if (has_offsets_) {
    scan_.expect("at");
    s_.offset.push_back(scan_.number(0, UINT64_MAX, "an offset"));
  }
  if (scan_.take("input")) s_.inputs.push_back(v);
  if (scan_.take("output")) s_.outputs.push_back(v);
  scan_.next_line();
}

template <typename ReadItem>
auto Reader::list(ReadItem&& read_item) {
  std::vector<decltype(read_item())> items;
  do {
    if (items.size() == UINT16_MAX) scan_.fail("at most 65535 rows or columns");
    items.push_back(read_item());
  } while (scan_.at_number());
  return items;
}

AttendRow Reader::read_row() {
  const ValueId q = value();
  return {q, value_after(">")};
}

BackwardRow Reader::read_backward_row() {
  const ValueId q = value(), d_o = value_after(","), delta = value_after(",");
  return {q, d_o, delta, value_after(">")};
}

BackwardColumn Reader::read_backward_column() {
  const ValueId kv = value();
  return {kv, value_after(">")};
}

Attend Reader::read_attend() {
  const auto rows = list([this] { return read_row(); });
  scan_.expect("x");
  const auto columns = list([this] { return value(); });
  return {rows_.place(rows), columns_.place(columns), static_cast<std::uint16_t>(rows.size()),
          static_cast<std::uint16_t>(columns.size())};
}

AttendBackward Reader::read_attend_backward() {
  const auto rows = list([this] { return read_backward_row(); });
  scan_.expect("x");
  const auto columns = list([this] { return read_backward_column(); });
  return {backward_rows_.place(rows), backward_columns_.place(columns), static_cast<std::uint16_t>(rows.size()),
          static_cast<std::uint16_t>(columns.size())};
}

Delta Reader::read_delta() {
  const ValueId o = value(), d_o = value_after(",");
  return {o, d_o, value_after(">")};
}

Combine Reader::read_combine() {
  const std::size_t first = s_.combine_sources.size();
  do s_.combine_sources.push_back(value());
  while (scan_.take(","));
  const auto count = static_cast<std::uint32_t>(s_.combine_sources.size() - first);
  return {static_cast<std::uint32_t>(first), count, value_after(">")};
}

Exchange Reader::read_exchange() {
  scan_.expect("lane");
  const auto lane = static_cast<Lane>(scan_.number(0, UINT8_MAX, "a lane"));
  scan_.expect(":");
  const std::size_t first = s_.exchange_transfers.size();
  while (scan_.at_number()) s_.exchange_transfers.push_back(read_transfer(lane));
  return {static_cast<std::uint32_t>(first), static_cast<std::uint32_t>(s_.exchange_transfers.size() - first)};
}

TransferId Reader::read_transfer(Lane lane) {
  const std::size_t begin = scan_.position();
  const ValueId source = value(), made = value_after(">");
  TransferId& known = transfer_of_[made];
  if (known == kNone) {
    known = static_cast<TransferId>(s_.transfers.size());
    s_.transfers.push_back({source, made, lane});
  }
  const Transfer& first = s_.transfers[known];
  if (first.source != source || first.lane != lane)
    scan_.fail_at(begin, fmt::format("{}>{} on lane {}, as another exchange says", first.source, made, first.lane));
  return known;
}

void Reader::read_waits(OpId first) {
  const auto op = static_cast<OpId>(s_.ops.size() - 1);
  if (!scan_.take("after")) return;
  do s_.waits.push_back({op, first + static_cast<OpId>(scan_.id(op - first, "an op"))});
  while (scan_.at_number());
}

Op Reader::read_op() {
  if (scan_.take("attend")) return read_attend();
  if (scan_.take("attend_backward")) return read_attend_backward();
  if (scan_.take("delta")) return read_delta();
  if (scan_.take("combine")) return read_combine();
  if (scan_.take("exchange")) return read_exchange();
  scan_.fail("an op (attend, attend_backward, delta, combine or exchange)");
}

void Reader::read_rank(Rank rank) {
  scan_.expect("rank");
  scan_.expect(std::to_string(rank));
  scan_.next_line();
  const auto first = static_cast<OpId>(s_.ops.size());
  while (scan_.at_number()) {
    scan_.expect(std::to_string(s_.ops.size() - first));
    s_.ops.push_back(read_op());
    read_waits(first);
    scan_.next_line();
  }
  s_.first_op.push_back(static_cast<std::uint32_t>(s_.ops.size()));
}

void Reader::number_transfers_by_made_value() {
  std::vector<Transfer> ordered;
  std::vector<TransferId> new_id(s_.transfers.size());
  for (TransferId t : transfer_of_) {
    if (t == kNone) continue;
    new_id[t] = static_cast<TransferId>(ordered.size());
    ordered.push_back(s_.transfers[t]);
  }
  s_.transfers = std::move(ordered);
  for (TransferId& t : s_.exchange_transfers) t = new_id[t];
}

Schedule Reader::read() {
  scan_.skip_empty_lines();
  scan_.expect("meshattn");
  scan_.expect("schedule");
  scan_.expect("1");
  scan_.next_line();
  read_problem();
  while (scan_.take("value")) read_value();
  transfer_of_.assign(s_.values.size(), kNone);
  s_.first_op.push_back(0);
  for (Rank r = 0; r < s_.problem.ranks; ++r) read_rank(r);
  scan_.expect("end");
  scan_.next_line();
  scan_.expect_end();
  number_transfers_by_made_value();
  return std::move(s_);
}

}  // namespace

Schedule read_text(std::string_view text, std::string_view file_name) {
  if (text.size() > UINT32_MAX)  // every id is a number of 32 bits, and each takes a byte
    throw InvalidInput(fmt::format("{}: a schedule of {} bytes is too large: at most 4 GiB", file_name, text.size()));
  return Reader(text, file_name).read();
}

}  // namespace meshattn
