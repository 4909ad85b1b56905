#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <deque>

#include "core/schedule/passes/verify/checks.h"

/// Why there is no deadlock, in whatever order the lanes are served:
/// * The check lets every rank execute its whole list, one op after another. An exchange blocks until all its transfers
///   are done; a transfer needs both of its exchanges to have started. The result does not depend on the order in which
///   ranks take turns: an exchange that can end remains able to end.
/// * If this walk ends, the following graph has no cycle, because the walk visits it in topological order. Its nodes
///   are the start and the end of each op. Its edges are: start → end; end of an op → start of the next op in the list;
///   start of an exchange → end of each exchange that shares a transfer with it.
/// * With lanes, an op waits for the end of the previous op of its lane, of the makers of the values it reads and of
///   the ops in its reuse waits, and for the start of its partners' exchanges. All but the last point backwards in the
///   list of its rank (`check_dataflow`, `check_structure`), so they are paths of this graph.
/// * Hence at any moment the unfinished op that comes first in topological order can proceed.
namespace meshattn::verification {

namespace {

class ProgressCheck {
 public:
  ProgressCheck(const Schedule& s, Findings& found);

  /// Each transfer is in exactly one exchange of its sender and one of its receiver.
  void check_both_ends();
  /// Both ends list the transfers between two ranks on a lane in the same order, which alone matches them.
  void check_order();
  void check_deadlock();

  /// True if `check_both_ends` found each transfer once at either end.
  [[nodiscard]] bool sound() const { return sound_; }

 private:
  struct Ends {
    Rank from;
    Rank to;
    // Index among all listed transfers, in listed order; kNone if no exchange of the rank lists it.
    std::uint32_t sent = kNone;
    std::uint32_t received = kNone;
  };

  template <typename Visit>
  void for_each_transfer(Visit&& visit) const;
  void record(std::uint32_t& end, std::uint32_t index, Rank rank, OpId op, TransferId t, std::string_view what);
  bool start(Rank rank, const Exchange& exchange);
  void advance(Rank rank);
  void report_stuck(Rank rank);

  const Schedule& s_;
  Findings& found_;
  std::vector<Ends> ends_;
  bool sound_ = true;
  // State of the walk of check_deadlock:
  std::vector<OpId> at_;                ///< by rank: its first op that has not ended
  std::vector<std::uint32_t> missing_;  ///< by rank: transfers of its exchange whose other end has not started
  std::vector<bool> started_;           ///< by transfer: one of its exchanges has started
  std::deque<Rank> ready_;
};

ProgressCheck::ProgressCheck(const Schedule& s, Findings& found) : s_(s), found_(found) {
  ends_.reserve(s.transfers.size());
  for (const Transfer& t : s.transfers) ends_.push_back({s.values[t.source].rank, s.values[t.made].rank});
}

/// Calls visit(rank, op, transfer) for each transfer of each exchange in listed order.
template <typename Visit>
void ProgressCheck::for_each_transfer(Visit&& visit) const {
  for_each_op(s_, found_, [&](Rank rank, OpId op, const Op& step) {
    if (const auto* x = std::get_if<Exchange>(&step))
      for (TransferId t : s_.transfers_of(*x)) visit(rank, op, t);
  });
}

void ProgressCheck::record(std::uint32_t& end, std::uint32_t index, Rank rank, OpId op, TransferId t,
                           std::string_view what) {
  if (end != kNone) {
    found_.add({rank, op, s_.transfers[t].made,
                fmt::format("transfer {} of {} is {} twice by rank {}, the second time by op {}", t,
                            describe(s_, s_.transfers[t].made), what, rank, op)});
    sound_ = false;
  }
  end = index;
}

void ProgressCheck::check_both_ends() {
  std::uint32_t index = 0;
  for_each_transfer([&](Rank rank, OpId op, TransferId t) {
    Ends& ends = ends_[t];
    if (ends.from == rank) record(ends.sent, index, rank, op, t, "sent");
    if (ends.to == rank) record(ends.received, index, rank, op, t, "received");
    sound_ &= ends.from != ends.to && (ends.from == rank || ends.to == rank);  // otherwise `check_operands` reports it
    ++index;
  });
  for (TransferId t = 0; t < ends_.size() && !found_.full(); ++t) {
    const auto complain = [&](Rank rank, std::string_view what) {
      found_.add({rank, kNone, s_.transfers[t].made,
                  fmt::format("transfer {} of {} is in no exchange of rank {}, which {} it", t,
                              describe(s_, s_.transfers[t].made), rank, what)});
      sound_ = false;
    };
    if (ends_[t].sent == kNone) complain(ends_[t].from, "sends");
    if (ends_[t].received == kNone) complain(ends_[t].to, "receives");
  }
}

void ProgressCheck::check_order() {
  struct Last {
    Rank receiver = -1;
    TransferId transfer = kNone;
  };
  const auto lanes = static_cast<std::size_t>(s_.lanes());
  std::vector<Last> last(static_cast<std::size_t>(s_.problem.ranks) * lanes);  // by sender and lane
  for_each_transfer([&](Rank rank, OpId op, TransferId t) {
    if (ends_[t].to != rank) return;
    Last& before = last[static_cast<std::size_t>(ends_[t].from) * lanes + s_.transfers[t].lane];
    if (before.receiver == rank && ends_[before.transfer].sent > ends_[t].sent)
      found_.add(
          {rank, op, s_.transfers[t].made,
           fmt::format("rank {} receives transfers {} and {} of rank {} on lane {} in another order than they are "
                       "sent in",
                       rank, before.transfer, t, ends_[t].from, s_.transfers[t].lane)});
    before = {rank, t};
  });
}

/// @returns true if the exchange ends at once; otherwise `missing_` of the rank counts the transfers it waits for.
bool ProgressCheck::start(Rank rank, const Exchange& exchange) {
  std::uint32_t& missing = missing_[static_cast<std::size_t>(rank)];
  for (TransferId t : s_.transfers_of(exchange)) {
    if (!started_[t]) {
      started_[t] = true;
      ++missing;
      continue;
    }
    // The other rank is still at its exchange, which cannot end without this transfer.
    const Rank other = ends_[t].from == rank ? ends_[t].to : ends_[t].from;
    if (--missing_[static_cast<std::size_t>(other)] > 0) continue;
    ++at_[static_cast<std::size_t>(other)];
    ready_.push_back(other);
  }
  return missing == 0;
}

/// Executes ops of a rank until an exchange blocks it or its list ends.
void ProgressCheck::advance(Rank rank) {
  for (OpId& at = at_[static_cast<std::size_t>(rank)]; at < s_.ops_end(rank); ++at) {
    const auto* x = std::get_if<Exchange>(&s_.ops[at]);
    if (x != nullptr && !start(rank, *x)) return;
  }
}

void ProgressCheck::check_deadlock() {
  at_.assign(s_.first_op.begin(), s_.first_op.end() - 1);
  missing_.assign(at_.size(), 0);
  started_.assign(s_.transfers.size(), false);
  for (Rank rank = 0; rank < s_.problem.ranks; ++rank) ready_.push_back(rank);
  for (; !ready_.empty(); ready_.pop_front()) advance(ready_.front());
  for (Rank rank = 0; rank < s_.problem.ranks && !found_.full(); ++rank)
    if (at_[static_cast<std::size_t>(rank)] != s_.ops_end(rank)) report_stuck(rank);
}

void ProgressCheck::report_stuck(Rank rank) {
  const OpId op = at_[static_cast<std::size_t>(rank)];
  for (TransferId t : s_.transfers_of(std::get<Exchange>(s_.ops[op]))) {
    const Rank other = ends_[t].from == rank ? ends_[t].to : ends_[t].from;
    // The other rank has reached the transfer only if its current exchange lists it.
    const OpId stuck = at_[static_cast<std::size_t>(other)];
    if (stuck == s_.ops_end(other)) continue;
    const std::span<const TransferId> there = s_.transfers_of(std::get<Exchange>(s_.ops[stuck]));
    if (std::ranges::find(there, t) != there.end()) continue;
    found_.add({rank, op, s_.transfers[t].made,
                fmt::format("deadlock: op {} of rank {} waits for {} of rank {}, which waits at op {}", op, rank,
                            describe(s_, s_.transfers[t].made), other, stuck)});
    return;
  }
}

}  // namespace

void check_progress(const Schedule& s, Findings& found) {
  ProgressCheck check(s, found);
  check.check_both_ends();
  if (!check.sound() || found.full()) return;
  check.check_order();
  check.check_deadlock();
}

}  // namespace meshattn::verification
