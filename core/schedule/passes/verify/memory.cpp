#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <map>

#include "core/schedule/passes/verify/checks.h"

/// Why values that share bytes are never in use at the same time, for any timing:
/// * On a rank, an op starts after the end of the previous op of its lane, of the makers of the values it reads, and of
///   the ops in its reuse waits. The transitive closure of this is happens-before. It is kept as a vector clock: for
///   each op and lane, the last op of the lane that must have ended when the op starts.
/// * The check walks a rank's list. A value takes its bytes at its first maker. The last maker and readers of the value
///   that held them before, on every lane, must happen before that maker.
/// * It is enough to compare with the last holder: the holder before that one was finished when the last holder was
///   first made, which happened earlier.
/// * Inputs hold their bytes from the start. The bytes of inputs and outputs are never reused.
namespace meshattn::verification {

namespace {

/// The position of an op in the list of its rank, counted from 1; 0 is before the first op.
using Position = std::uint32_t;

/// The last holder of each byte.
class Holders {
 public:
  void clear() { by_begin_.clear(); }

  /// `v` takes begin … end − 1. Calls previous(value) for each value that held some of them.
  template <typename Previous>
  void take(std::uint64_t begin, std::uint64_t end, ValueId v, Previous&& previous) {
    auto it = by_begin_.upper_bound(begin);
    if (it != by_begin_.begin() && std::prev(it)->second.end > begin) --it;
    while (it != by_begin_.end() && it->first < end) {
      const auto [held_begin, held] = *it;
      previous(held.value);
      if (held_begin == begin && held.end == end) {  // the usual case: exactly the same bytes
        it->second.value = v;
        return;
      }
      it = by_begin_.erase(it);
      if (held_begin < begin) by_begin_.insert({held_begin, {begin, held.value}});
      if (held.end > end) by_begin_.insert({end, {held.end, held.value}});
    }
    by_begin_.insert({begin, {end, v}});
  }

 private:
  struct Piece {
    std::uint64_t end;
    ValueId value;
  };
  std::map<std::uint64_t, Piece> by_begin_;
};

class MemoryCheck {
 public:
  MemoryCheck(const Schedule& s, Findings& found);
  void run();

 private:
  void check_size();
  void take_inputs(Rank rank);
  void find_uses(Rank rank);
  void walk(Rank rank);
  void await(Position here, Position before);
  void take(Rank rank, OpId op, Position here, ValueId v);

  [[nodiscard]] std::span<Position> clock(Position p) { return {clock_.data() + p * lanes_, lanes_}; }
  [[nodiscard]] std::span<Position> last_use(ValueId v) { return {last_use_.data() + index_[v] * lanes_, lanes_}; }

  const Schedule& s_;
  Findings& found_;
  const std::size_t lanes_;
  std::vector<bool> never_reused_;  ///< by value: inputs and outputs
  std::vector<ValueId> inputs_;     ///< ordered by rank
  std::size_t next_input_ = 0;      ///< the first input of the ranks still to be walked
  std::vector<ReuseWait>::const_iterator next_wait_;
  std::vector<std::uint32_t> index_;  ///< by value: its number among the values of its rank, in order of first use
  // State of the walk along one rank:
  Holders holders_;
  std::vector<Position> last_use_;  ///< by value's number and lane: the last op that reads or makes it
  std::vector<Position> maker_;     ///< by value's number: its last contributor so far; 0 for none
  std::vector<Position> clock_;     ///< by position and lane: the vector clock when that op starts
  std::vector<Lane> lane_of_;       ///< by position
};

MemoryCheck::MemoryCheck(const Schedule& s, Findings& found)
    : s_(s),
      found_(found),
      lanes_(static_cast<std::size_t>(s.lanes())),
      never_reused_(s.values.size()),
      inputs_(s.inputs),
      next_wait_(s.waits.begin()),
      index_(s.values.size(), kNone) {
  for (ValueId v : s.inputs) never_reused_[v] = true;
  for (ValueId v : s.outputs) never_reused_[v] = true;
  std::ranges::stable_sort(inputs_, {}, [&](ValueId v) { return s.values[v].rank; });
}

void MemoryCheck::check_size() {
  std::uint64_t largest = 0;
  for (ValueId v = 0; v < s_.values.size() && !found_.full(); ++v) {
    const std::uint64_t bytes = s_.bytes(v);
    if (bytes > s_.peak_bytes || s_.offset[v] > s_.peak_bytes - bytes)
      found_.add({s_.values[v].rank, kNone, v,
                  fmt::format("{} has {} bytes at offset {}, past the end of an arena of {}", describe(s_, v), bytes,
                              s_.offset[v], s_.peak_bytes)});
    else
      largest = std::max(largest, s_.offset[v] + bytes);
  }
  if (found_.empty() && s_.peak_bytes != largest)
    found_.add({0, kNone, kNone, fmt::format("the peak is {} bytes, not {}", largest, s_.peak_bytes)});
}

void MemoryCheck::take_inputs(Rank rank) {
  for (; next_input_ < inputs_.size() && s_.values[inputs_[next_input_]].rank == rank; ++next_input_) {
    const ValueId v = inputs_[next_input_];
    holders_.take(s_.offset[v], s_.offset[v] + s_.bytes(v), v, [&](ValueId other) {
      found_.add({rank, kNone, v,
                  fmt::format("{} shares bytes with {}: both are inputs", describe(s_, v), describe(s_, other))});
    });
  }
}

void MemoryCheck::find_uses(Rank rank) {
  std::uint32_t values = 0;
  last_use_.clear();
  for (OpId op = s_.ops_begin(rank); op < s_.ops_end(rank); ++op) {
    const Position here = op - s_.ops_begin(rank) + 1;
    const Lane lane = lane_of_[here] = s_.lane(s_.ops[op]);
    const auto use = [&](ValueId v) {
      if (index_[v] == kNone) {
        index_[v] = values++;
        last_use_.resize(values * lanes_);
      }
      last_use(v)[lane] = here;
    };
    for_each_operand(s_, s_.ops[op], rank, use, use);
  }
  maker_.assign(values, 0);
}

/// Notes that the op `here` starts after the op `before` has ended, and so after all that ended before that one.
void MemoryCheck::await(Position here, Position before) {
  const std::span<Position> mine = clock(here), theirs = clock(before);
  const Lane lane = lane_of_[before];
  if (before == 0 || mine[lane] >= before) return;
  for (std::size_t l = 0; l < lanes_; ++l) mine[l] = std::max(mine[l], theirs[l]);
  mine[lane] = before;
}

void MemoryCheck::walk(Rank rank) {
  std::vector<Position> last_of_lane(lanes_);  // so far
  for (OpId op = s_.ops_begin(rank); op < s_.ops_end(rank) && !found_.full(); ++op) {
    const Position here = op - s_.ops_begin(rank) + 1;
    await(here, last_of_lane[lane_of_[here]]);
    last_of_lane[lane_of_[here]] = here;
    for (; next_wait_ != s_.waits.end() && next_wait_->op == op; ++next_wait_)
      await(here, next_wait_->after - s_.ops_begin(rank) + 1);
    const auto ignore = [](ValueId) {};
    for_each_operand(
        s_, s_.ops[op], rank, [&](ValueId v) { await(here, maker_[index_[v]]); }, ignore);
    for_each_operand(s_, s_.ops[op], rank, ignore, [&](ValueId v) {
      if (maker_[index_[v]] == 0) take(rank, op, here, v);
      maker_[index_[v]] = here;
    });
  }
}

void MemoryCheck::take(Rank rank, OpId op, Position here, ValueId v) {
  holders_.take(s_.offset[v], s_.offset[v] + s_.bytes(v), v, [&](ValueId before) {
    const auto complain = [&](std::string_view why) {
      found_.add({rank, op, v,
                  fmt::format("op {} of rank {} makes {} in bytes of {}, {}", op, rank, describe(s_, v),
                              describe(s_, before), why)});
    };
    if (never_reused_[before]) return complain("which stays to the end");
    for (std::size_t lane = 0; lane < lanes_; ++lane) {
      const Position last = last_use(before)[lane];
      if (last > clock(here)[lane])
        return complain(fmt::format("which op {} may still use", s_.ops_begin(rank) + last - 1));
    }
  });
}

void MemoryCheck::run() {
  check_size();
  for (Rank rank = 0; rank < s_.problem.ranks && !found_.full(); ++rank) {
    const std::size_t positions = s_.ops_end(rank) - s_.ops_begin(rank) + 1;
    holders_.clear();
    clock_.assign(positions * lanes_, 0);
    lane_of_.assign(positions, kComputeLane);
    take_inputs(rank);
    find_uses(rank);
    walk(rank);
  }
}

}  // namespace

void check_memory(const Schedule& s, Findings& found) {
  if (!s.offset.empty()) MemoryCheck(s, found).run();
}

}  // namespace meshattn::verification
