#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <map>
#include <string>

#include "core/base/error.h"
#include "core/base/text_scanner.h"
#include "core/schedule/shared_lists.h"
#include "core/schedule/text.h"
#include "core/schedule/text_problem_reader.h"

namespace meshattn {

namespace {

class Reader {
 public:
  Reader(std::string_view text, std::string_view file_name) : scan_(text, file_name) {}

  Schedule read();

 private:
  void read_header();
  void read_value();
  RegionId read_region(Tensor tensor);
  void read_range(std::uint32_t least, std::uint32_t count, std::string_view what);
  RegionId intern_ranges();

  ValueId value() { return static_cast<ValueId>(scan_.id(s_.values.size(), "a value")); }
  /// Expects a mark, then a value.
  ValueId value_after(std::string_view mark) { return scan_.expect(mark), value(); }
  /// Reads items while a number comes next: at least one, at most as many as Attend can count.
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
  std::vector<std::uint32_t> ranges_;  ///< of the region being read: first, last of each range of cells, then of heads
  std::map<std::vector<std::uint32_t>, RegionId> regions_;  ///< by their ranges
  std::uint64_t cells_stored_ = 0;                          ///< of all regions
  bool has_offsets_ = false;
  std::vector<TransferId> transfer_of_;  ///< by made value
  SharedLists<AttendRow> rows_{s_.rows};
  SharedLists<ValueId> columns_{s_.columns};
  SharedLists<BackwardRow> backward_rows_{s_.backward_rows};
  SharedLists<BackwardColumn> backward_columns_{s_.backward_columns};
};

/// Reads everything before the values.
void Reader::read_header() {
  scan_.skip_empty_lines();
  scan_.expect("meshattn");
  scan_.expect("schedule");
  scan_.expect("1");
  scan_.next_line();
  const std::size_t begin = scan_.position();
  s_.problem = read_problem(scan_);
  s_.peak_bytes = read_field(scan_, "peak_bytes", UINT64_MAX);
  try {
    check(s_.problem);
  } catch (const InvalidInput& e) {
    scan_.reject(begin, e.what());
  }
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
  constexpr std::uint64_t kMaxCells = std::uint64_t{1} << 26;  // of all regions: a short text can name very many
  std::vector<Cell> cells;
  for (std::size_t i = 0; i + 2 < ranges_.size(); i += 2)
    for (Cell c = ranges_[i]; c <= ranges_[i + 1]; ++c) cells.push_back(c);
  cells_stored_ += cells.size();
  if (cells_stored_ > kMaxCells) scan_.reject(scan_.position(), "the regions have more than 67108864 cells in all");
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
  return {rows_.find_or_append(rows), columns_.find_or_append(columns), static_cast<std::uint16_t>(rows.size()),
          static_cast<std::uint16_t>(columns.size())};
}

AttendBackward Reader::read_attend_backward() {
  const auto rows = list([this] { return read_backward_row(); });
  scan_.expect("x");
  const auto columns = list([this] { return read_backward_column(); });
  return {backward_rows_.find_or_append(rows), backward_columns_.find_or_append(columns),
          static_cast<std::uint16_t>(rows.size()), static_cast<std::uint16_t>(columns.size())};
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
  read_header();
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
  if (text.size() > UINT32_MAX)  // ids have 32 bits, and every id takes at least one byte
    throw InvalidInput(fmt::format("{}: a schedule of {} bytes is too large: at most 4 GiB", file_name, text.size()));
  return Reader(text, file_name).read();
}

}  // namespace meshattn
