#include "core/report/chrome_trace.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "core/base/format.h"

namespace meshattn {

namespace {

/// The data that one rank sends, or receives, within an exchange.
struct Traffic {
  std::vector<Tensor> tensors;
  std::vector<Rank> peers;
  std::uint64_t bytes = 0;

  void add(Tensor tensor, Rank peer, std::uint64_t more) {
    if (std::ranges::find(tensors, tensor) == tensors.end()) tensors.push_back(tensor);
    if (std::ranges::find(peers, peer) == peers.end()) peers.push_back(peer);
    bytes += more;
  }
};

std::string joined(const Traffic& traffic) {
  std::string names;
  for (Tensor t : traffic.tensors) names.append(names.empty() ? "" : "+").append(name_of(t));
  return fmt::format("{} {}", names, bytes_text(static_cast<double>(traffic.bytes)));
}

/// Writes the events of one rank, one per line. Perfetto keeps process 0 and thread 0 for the idle task: rank r is
/// process r + 1 and lane l its thread l + 1. With several traces, rank r has processes r·traces + 1 and following.
class RankWriter {
 public:
  RankWriter(std::ostream& out, const Schedule& s, const NamedTrace& trace, Rank rank, int process)
      : out_(out), s_(s), name_(trace.name), trace_(trace.trace), rank_(rank), pid_(process + 1) {}

  void name_tracks(const Network& network, int lanes, bool first);
  void event(OpId op);

 private:
  [[nodiscard]] int pid() const { return pid_; }
  [[nodiscard]] std::string title(const Op& op, const Traffic& sent, const Traffic& received) const;
  void traffic_of(const Op& op, Traffic& sent, Traffic& received) const;

  std::ostream& out_;
  const Schedule& s_;
  const std::string& name_;
  const Trace& trace_;
  Rank rank_;
  int pid_;
};

void RankWriter::name_tracks(const Network& network, int lanes, bool first) {
  out_ << fmt::format(
      "{}{{\"ph\":\"M\",\"name\":\"process_name\",\"pid\":{},\"args\":{{\"name\":\"{}rank {} (node {}, gpu {})\"}}}}",
      first ? "\n" : ",\n", pid(), name_.empty() ? "" : name_ + ": ", rank_, network.node_of(rank_),
      network.gpu_of(rank_) % network.gpus_per_node());
  out_ << fmt::format(",\n{{\"ph\":\"M\",\"name\":\"process_sort_index\",\"pid\":{},\"args\":{{\"sort_index\":{}}}}}",
                      pid(), pid() - 1);
  for (int lane = 0; lane < lanes; ++lane)
    out_ << fmt::format(
        ",\n{{\"ph\":\"M\",\"name\":\"thread_name\",\"pid\":{},\"tid\":{},\"args\":{{\"name\":\"{}\"}}}}", pid(),
        lane + 1, lane == kComputeLane ? "compute" : fmt::format("communication {}", lane));
}

void RankWriter::traffic_of(const Op& op, Traffic& sent, Traffic& received) const {
  const auto* exchange = std::get_if<Exchange>(&op);
  if (exchange == nullptr) return;
  for (TransferId t : s_.transfers_of(*exchange)) {
    const ValueId made = s_.transfers[t].made;
    const Rank from = s_.values[s_.transfers[t].source].rank, to = s_.values[made].rank;
    if (from == rank_) sent.add(s_.values[made].tensor, to, s_.bytes(made));
    if (to == rank_) received.add(s_.values[made].tensor, from, s_.bytes(made));
  }
}

std::string RankWriter::title(const Op& op, const Traffic& sent, const Traffic& received) const {
  if (const auto* a = std::get_if<Attend>(&op))
    return fmt::format("attend {}x{} blocks", a->row_count, a->column_count);
  if (const auto* b = std::get_if<AttendBackward>(&op))
    return fmt::format("attend backward {}x{} blocks", b->row_count, b->column_count);
  if (const auto* c = std::get_if<Combine>(&op)) return fmt::format("combine {}", name_of(s_.values[c->made].tensor));
  if (std::holds_alternative<Delta>(op)) return "delta";
  std::string text = fmt::format("exchange {}", joined(sent.tensors.empty() ? received : sent));
  if (!sent.peers.empty()) text += fmt::format(" to {}", fmt::join(sent.peers, ", "));
  if (!received.peers.empty()) text += fmt::format(" from {}", fmt::join(received.peers, ", "));
  return text;
}

void RankWriter::event(OpId id) {
  const Op& op = s_.ops[id];
  Traffic sent, received;
  traffic_of(op, sent, received);
  std::vector<ValueId> reads, makes;
  for_each_operand(
      s_, op, rank_, [&](ValueId v) { reads.push_back(v); }, [&](ValueId v) { makes.push_back(v); });
  // Both ends in whole nanoseconds, so that neighbours on a track never overlap by rounding.
  const double start_us = std::round(trace_.start_s[id] * 1e9) / 1e3;
  const double end_us = std::round(trace_.end_s[id] * 1e9) / 1e3;
  fmt::memory_buffer text;
  fmt::format_to(std::back_inserter(text),
                 ",\n{{\"ph\":\"X\",\"name\":\"{}\",\"pid\":{},\"tid\":{},\"ts\":{:.3f},\"dur\":{:.3f},\"args\":{{"
                 "\"op\":{},\"reads\":[{}],\"makes\":[{}]",
                 title(op, sent, received), pid(), s_.lane(op) + 1, start_us, end_us - start_us, id,
                 fmt::join(reads, ","), fmt::join(makes, ","));
  if (std::holds_alternative<Exchange>(op))
    fmt::format_to(std::back_inserter(text), ",\"bytes_sent\":{},\"bytes_received\":{}", sent.bytes, received.bytes);
  fmt::format_to(std::back_inserter(text), "}}}}");
  out_.write(text.data(), static_cast<std::streamsize>(text.size()));
}

}  // namespace

void write_chrome_trace(std::ostream& out, const Schedule& s, const Network& network, const Trace& trace,
                        std::span<const Rank> ranks) {
  const NamedTrace only{"", trace};
  write_chrome_trace(out, s, network, std::span(&only, 1), ranks);
}

void write_chrome_trace(std::ostream& out, const Schedule& s, const Network& network,
                        std::span<const NamedTrace> traces, std::span<const Rank> ranks) {
  out << "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[";
  const int lanes = s.lanes(), several = static_cast<int>(traces.size());
  bool first = true;
  for (Rank r : ranks)
    for (int k = 0; k < several; ++k) {
      RankWriter rank(out, s, traces[static_cast<std::size_t>(k)], r, several * r + k);
      rank.name_tracks(network, lanes, std::exchange(first, false));
      for (OpId op = s.ops_begin(r); op < s.ops_end(r); ++op) rank.event(op);
    }
  out << "\n]}\n";
}

}  // namespace meshattn
