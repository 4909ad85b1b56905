#include "core/schedule/text.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <iterator>
#include <ostream>
#include <sstream>

#include "core/base/error.h"

namespace meshattn {

namespace {

class Writer {
 public:
  Writer(const Schedule& schedule, std::ostream& out) : s_(schedule), out_(out) {}

  void write();

 private:
  template <typename... Args>
  void put(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(buffer_), format, std::forward<Args>(args)...);
  }

  void put_problem();
  void put_mask(const Mask& mask);
  void put_range(std::uint32_t first, std::uint32_t last);
  void put_value(ValueId v);
  void put_op(OpId op, OpId first);
  void put_operands(const Attend& a);
  void put_operands(const AttendBackward& a);
  void put_operands(const Delta& d);
  void put_operands(const Combine& c);
  void put_operands(const Exchange& x);
  void flush();

  const Schedule& s_;
  std::ostream& out_;
  fmt::memory_buffer buffer_;
};

void Writer::put_problem() {
  const Problem& p = s_.problem;
  put("meshattn schedule 1\nranks {}\nbatch {}\nseq_q {}\nseq_kv {}\n", p.ranks, p.shape.batch, p.shape.seq_q,
      p.shape.seq_kv);
  put("heads {}\nkv_heads {}\nhead_dim {}\ndtype {}\n", p.shape.heads, p.shape.kv_heads, p.shape.head_dim,
      name_of(p.shape.dtype));
  put_mask(p.mask);
  put("partition {}", name_of(p.partition));
  if (p.cuts > 1) put(" cuts {}", p.cuts);
  put("\npass {}\npeak_bytes {}\n\n", name_of(p.pass), s_.peak_bytes);
}

void Writer::put_mask(const Mask& mask) {
  if (mask.window > 0)
    put("mask window {}", mask.window);
  else
    put("mask {}", mask.causal ? "causal" : "full");
  if (!mask.documents.empty()) put(" documents");
  for (std::size_t d = 0; d < mask.documents.count(); ++d) {
    const auto [begin, end] = mask.documents.positions(d);
    put(" {}", end - begin);
  }
  put("\n");
}

void Writer::put_range(std::uint32_t first, std::uint32_t last) {
  if (first == last)
    put("{}", first);
  else
    put("{}-{}", first, last);
}

void Writer::put_value(ValueId v) {
  const Value& value = s_.values[v];
  const Region region = s_.region(v);
  put("value {} rank {} {} {} cells ", v, value.rank, name_of(value.tensor), name_of(value.dtype));
  for (std::size_t i = 0, end; i < region.cells.size(); i = end) {
    for (end = i + 1; end < region.cells.size() && region.cells[end] == region.cells[end - 1] + 1;) ++end;
    if (i > 0) put(",");
    put_range(region.cells[i], region.cells[end - 1]);
  }
  put(" heads ");
  put_range(static_cast<std::uint32_t>(region.heads.begin), static_cast<std::uint32_t>(region.heads.end - 1));
  if (!s_.offset.empty()) put(" at {}", s_.offset[v]);
  if (std::ranges::binary_search(s_.inputs, v)) put(" input");
  if (std::ranges::binary_search(s_.outputs, v)) put(" output");
  put("\n");
}

void Writer::put_operands(const Attend& a) {
  put("attend");
  for (const AttendRow& row : s_.rows_of(a)) put(" {}>{}", row.q, row.o);
  put(" x");
  for (ValueId kv : s_.columns_of(a)) put(" {}", kv);
}

void Writer::put_operands(const AttendBackward& a) {
  put("attend_backward");
  for (const BackwardRow& row : s_.rows_of(a)) put(" {},{},{}>{}", row.q, row.d_o, row.delta, row.dq);
  put(" x");
  for (const BackwardColumn& column : s_.columns_of(a)) put(" {}>{}", column.kv, column.dkv);
}

void Writer::put_operands(const Delta& d) { put("delta {},{}>{}", d.o, d.d_o, d.made); }

void Writer::put_operands(const Combine& c) { put("combine {}>{}", fmt::join(s_.sources_of(c), ","), c.made); }

void Writer::put_operands(const Exchange& x) {
  const Lane lane = s_.lane(x);
  put("exchange lane {}:", lane);
  for (TransferId t : s_.transfers_of(x)) {
    const Transfer& transfer = s_.transfers[t];
    if (transfer.lane != lane)
      throw InvalidSchedule(fmt::format("an exchange on lane {} lists transfer {}>{} of lane {}", lane, transfer.source,
                                        transfer.made, transfer.lane));
    put(" {}>{}", transfer.source, transfer.made);
  }
}

void Writer::put_op(OpId op, OpId first) {
  put("{} ", op - first);
  std::visit([this](const auto& o) { put_operands(o); }, s_.ops[op]);
  const char* before = " after";
  for (const ReuseWait& wait : s_.waits_of(op)) {
    if (wait.after < first || wait.after >= op)
      throw InvalidSchedule(fmt::format("op {} waits for op {}, which is no earlier op of its rank", op, wait.after));
    put("{} {}", before, wait.after - first);
    before = "";
  }
  put("\n");
}

void Writer::flush() {
  out_.write(buffer_.data(), static_cast<std::streamsize>(buffer_.size()));
  buffer_.clear();
}

void Writer::write() {
  constexpr std::size_t kFlushAt = 1 << 16;
  put_problem();
  for (ValueId v = 0; v < s_.values.size(); ++v) {
    put_value(v);
    if (buffer_.size() > kFlushAt) flush();
  }
  for (Rank r = 0; r < s_.problem.ranks; ++r) {
    put("\nrank {}\n", r);
    for (OpId op = s_.ops_begin(r); op < s_.ops_end(r); ++op) {
      put_op(op, s_.ops_begin(r));
      if (buffer_.size() > kFlushAt) flush();
    }
  }
  put("end\n");
  flush();
}

}  // namespace

void write_text(const Schedule& schedule, std::ostream& out) { Writer(schedule, out).write(); }

std::string write_text(const Schedule& schedule) {
  std::ostringstream out;
  write_text(schedule, out);
  return std::move(out).str();
}

}  // namespace meshattn
