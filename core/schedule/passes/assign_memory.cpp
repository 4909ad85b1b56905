#include "core/schedule/passes/assign_memory.h"

#include <algorithm>

#include "core/schedule/passes/arena.h"

namespace meshattn {

namespace {

/// The position of an op in the list of its rank, counted from 1; 0 is before the first op.
using Position = std::uint32_t;

/// Walks the lists of the ranks, one after the other, and gives values their bytes.
class Allocator {
 public:
  /// `planned` may be null: bytes are then reused as soon as the list allows.
  Allocator(Schedule& schedule, const Trace* planned);
  void run();

 private:
  [[nodiscard]] std::span<Position> last_use(ValueId v) { return {last_use_.data() + v * lanes_, lanes_}; }
  [[nodiscard]] std::span<Position> ended_before(Position p) { return {ended_before_.data() + p * lanes_, lanes_}; }

  void find_lifetimes();
  void walk(Rank rank);
  void visit(const Op& op, Rank rank, Position here);
  void wait_for(Position here, Lane lane, Position ended);
  void assign_offset(ValueId v, double time);
  void allocate(ValueId v, Position here);
  [[nodiscard]] double planned_end(ValueId v);
  void free_unused(const Op& op, Rank rank, Position here);

  Schedule& s_;
  const Trace* planned_;
  std::size_t lanes_;
  std::vector<Position> first_made_;  ///< by value: its first contributor; 0 for inputs and once it has bytes
  std::vector<Position> last_made_;   ///< by value: its last contributor; 0 for inputs
  std::vector<Position> last_use_;    ///< by value and lane
  std::vector<bool> no_release_;      ///< by value: inputs and outputs, and values that are free already
  // State of the walk along one rank:
  Arena arena_;
  OpId first_op_ = 0;
  std::vector<Position> ended_before_;  ///< by position and lane: last op of the lane that ends before this one starts
  std::vector<Lane> lane_of_;           ///< by position
  std::vector<Position> last_of_lane_;  ///< by lane: its last op so far
  std::vector<ValueId> previous_;       ///< values that held the bytes of the last allocation
};

Allocator::Allocator(Schedule& schedule, const Trace* planned)
    : s_(schedule),
      planned_(planned),
      lanes_(static_cast<std::size_t>(schedule.lanes())),
      first_made_(schedule.values.size()),
      last_made_(schedule.values.size()),
      last_use_(schedule.values.size() * lanes_),
      no_release_(schedule.values.size()) {
  s_.waits.clear();
  s_.offset.assign(s_.values.size(), 0);
  s_.peak_bytes = 0;
  for (ValueId v : s_.inputs) no_release_[v] = true;
  for (ValueId v : s_.outputs) no_release_[v] = true;
}

void Allocator::find_lifetimes() {
  for (Rank rank = 0; rank < s_.problem.ranks; ++rank) {
    for (OpId op = s_.ops_begin(rank); op < s_.ops_end(rank); ++op) {
      const Position here = op - s_.ops_begin(rank) + 1;
      const Lane lane = s_.lane(s_.ops[op]);
      const auto use = [&](ValueId v) { last_use(v)[lane] = here; };
      for_each_operand(s_, s_.ops[op], rank, use, [&](ValueId v) {
        if (first_made_[v] == 0) first_made_[v] = here;
        last_made_[v] = here;
        use(v);
      });
    }
  }
}

void Allocator::run() {
  find_lifetimes();
  std::vector<std::vector<ValueId>> inputs(static_cast<std::size_t>(s_.problem.ranks));
  for (ValueId v : s_.inputs) inputs[static_cast<std::size_t>(s_.values[v].rank)].push_back(v);
  for (Rank rank = 0; rank < s_.problem.ranks; ++rank) {
    arena_ = {};
    for (ValueId v : inputs[static_cast<std::size_t>(rank)]) assign_offset(v, 0);
    walk(rank);
  }
}

void Allocator::walk(Rank rank) {
  first_op_ = s_.ops_begin(rank);
  const OpId end = s_.ops_end(rank);
  ended_before_.assign((end - first_op_ + 1) * lanes_, 0);
  lane_of_.assign(end - first_op_ + 1, kComputeLane);
  last_of_lane_.assign(lanes_, 0);
  for (OpId op = first_op_; op < end; ++op) visit(s_.ops[op], rank, op - first_op_ + 1);
}

/// Notes that the op `here` starts after the op `ended` of `lane`, and so after all that ended before that one.
void Allocator::wait_for(Position here, Lane lane, Position ended) {
  const std::span<Position> mine = ended_before(here), theirs = ended_before(ended);
  for (std::size_t l = 0; l < lanes_; ++l) mine[l] = std::max(mine[l], theirs[l]);
  mine[lane] = std::max(mine[lane], ended);
}

void Allocator::visit(const Op& op, Rank rank, Position here) {
  const Lane lane = s_.lane(op);
  lane_of_[here] = lane;
  if (last_of_lane_[lane] != 0) wait_for(here, lane, last_of_lane_[lane]);
  last_of_lane_[lane] = here;
  const auto ignore = [](ValueId) {};
  const auto await_maker = [&](ValueId v) {
    if (last_made_[v] != 0) wait_for(here, lane_of_[last_made_[v]], last_made_[v]);
  };
  for_each_operand(s_, op, rank, await_maker, ignore);
  for_each_operand(s_, op, rank, ignore, [&](ValueId v) {
    if (first_made_[v] != here) return;
    allocate(v, here);
    first_made_[v] = 0;  // it has its bytes, even if more rows of the op contribute to it
  });
  free_unused(op, rank, here);
}

void Allocator::assign_offset(ValueId v, double time) {
  const std::uint64_t bytes = s_.bytes(v);
  s_.offset[v] = arena_.allocate(bytes, previous_, time);
  s_.peak_bytes = std::max(s_.peak_bytes, s_.offset[v] + bytes);
}

void Allocator::allocate(ValueId v, Position here) {
  previous_.clear();
  assign_offset(v, planned_ == nullptr ? 0 : planned_->start_s[first_op_ + here - 1]);
  for (ValueId before : previous_) {
    for (std::size_t lane = 0; lane < lanes_; ++lane) {
      const Position ended = last_use(before)[lane];
      if (ended <= ended_before(here)[lane]) continue;
      s_.waits.push_back({first_op_ + here - 1, first_op_ + ended - 1});
      wait_for(here, static_cast<Lane>(lane), ended);
    }
  }
}

/// The planned end of the last user of v, seconds.
double Allocator::planned_end(ValueId v) {
  double end = 0;
  if (planned_ == nullptr) return end;
  for (Position use : last_use(v))
    if (use != 0) end = std::max(end, planned_->end_s[first_op_ + use - 1]);
  return end;
}

void Allocator::free_unused(const Op& op, Rank rank, Position here) {
  const auto release = [&](ValueId v) {
    if (no_release_[v] || *std::ranges::max_element(last_use(v)) != here) return;
    no_release_[v] = true;  // it is free now, even if the op names it again
    arena_.release(s_.offset[v], s_.bytes(v), v, planned_end(v));
  };
  for_each_operand(s_, op, rank, release, release);
}

}  // namespace

void assign_memory(Schedule& schedule) { Allocator(schedule, nullptr).run(); }

void assign_memory(Schedule& schedule, const Trace& planned) { Allocator(schedule, &planned).run(); }

}  // namespace meshattn
