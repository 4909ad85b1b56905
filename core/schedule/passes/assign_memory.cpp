#include "core/schedule/passes/assign_memory.h"

#include <algorithm>

#include "core/schedule/passes/arena.h"

namespace meshattn {

namespace {

/// A place in a rank's list, counted from 1; 0 is before the first op.
using Place = std::uint32_t;

/// Walks the list of one rank after the other and gives values their bytes.
class Allocator {
 public:
  /// Without planned times bytes are used again as soon as the list allows.
  Allocator(Schedule& schedule, const Trace* planned);
  void run();

 private:
  [[nodiscard]] std::span<Place> last_use(ValueId v) { return {last_use_.data() + v * lanes_, lanes_}; }
  [[nodiscard]] std::span<Place> known(Place p) { return {known_.data() + p * lanes_, lanes_}; }

  void learn_lifetimes();
  void walk(Rank rank);
  void visit(const Op& op, Rank rank, Place here);
  void wait_for(Place here, Lane lane, Place ended);
  void take(ValueId v, double time);
  void place(ValueId v, Place here);
  [[nodiscard]] double planned_end(ValueId v);
  void free_dead(const Op& op, Rank rank, Place here);

  Schedule& s_;
  const Trace* planned_;
  std::size_t lanes_;
  // By value (made_first_, made_last_) and by value and lane (last_use_).
  std::vector<Place> made_first_;
  std::vector<Place> made_last_;
  std::vector<Place> last_use_;
  std::vector<bool> stays_;  ///< inputs and outputs: never freed
  // Of the rank being walked.
  Arena arena_;
  OpId first_op_ = 0;
  std::vector<Place> known_;    ///< by place and lane: ops of that lane that have surely ended when the op here starts
  std::vector<Lane> lane_of_;   ///< by place
  std::vector<Place> in_lane_;  ///< by lane: the last op so far
  std::vector<ValueId> previous_;
};

Allocator::Allocator(Schedule& schedule, const Trace* planned)
    : s_(schedule),
      planned_(planned),
      lanes_(static_cast<std::size_t>(schedule.lanes())),
      made_first_(schedule.values.size()),
      made_last_(schedule.values.size()),
      last_use_(schedule.values.size() * lanes_),
      stays_(schedule.values.size()) {
  s_.waits.clear();
  s_.offset.assign(s_.values.size(), 0);
  s_.peak_bytes = 0;
  for (ValueId v : s_.inputs) stays_[v] = true;
  for (ValueId v : s_.outputs) stays_[v] = true;
}

void Allocator::learn_lifetimes() {
  for (Rank rank = 0; rank < s_.problem.ranks; ++rank) {
    for (OpId op = s_.ops_begin(rank); op < s_.ops_end(rank); ++op) {
      const Place here = op - s_.ops_begin(rank) + 1;
      const Lane lane = s_.lane(s_.ops[op]);
      const auto use = [&](ValueId v) { last_use(v)[lane] = here; };
      for_each_operand(s_, s_.ops[op], rank, use, [&](ValueId v) {
        if (made_first_[v] == 0) made_first_[v] = here;
        made_last_[v] = here;
        use(v);
      });
    }
  }
}

void Allocator::run() {
  learn_lifetimes();
  std::vector<std::vector<ValueId>> inputs(static_cast<std::size_t>(s_.problem.ranks));
  for (ValueId v : s_.inputs) inputs[static_cast<std::size_t>(s_.values[v].rank)].push_back(v);
  for (Rank rank = 0; rank < s_.problem.ranks; ++rank) {
    arena_ = {};
    for (ValueId v : inputs[static_cast<std::size_t>(rank)]) take(v, 0);
    walk(rank);
  }
}

void Allocator::walk(Rank rank) {
  first_op_ = s_.ops_begin(rank);
  const OpId end = s_.ops_end(rank);
  known_.assign((end - first_op_ + 1) * lanes_, 0);
  lane_of_.assign(end - first_op_ + 1, kComputeLane);
  in_lane_.assign(lanes_, 0);
  for (OpId op = first_op_; op < end; ++op) visit(s_.ops[op], rank, op - first_op_ + 1);
}

/// When the op here starts, everything known to the op `ended` of `lane`, and that op itself, has ended.
void Allocator::wait_for(Place here, Lane lane, Place ended) {
  const std::span<Place> mine = known(here), theirs = known(ended);
  for (std::size_t l = 0; l < lanes_; ++l) mine[l] = std::max(mine[l], theirs[l]);
  mine[lane] = std::max(mine[lane], ended);
}

void Allocator::visit(const Op& op, Rank rank, Place here) {
  const Lane lane = s_.lane(op);
  lane_of_[here] = lane;
  if (in_lane_[lane] != 0) wait_for(here, lane, in_lane_[lane]);
  in_lane_[lane] = here;
  const auto ignore = [](ValueId) {};
  const auto await_maker = [&](ValueId v) {
    if (made_last_[v] != 0) wait_for(here, lane_of_[made_last_[v]], made_last_[v]);
  };
  for_each_operand(s_, op, rank, await_maker, ignore);
  for_each_operand(s_, op, rank, ignore, [&](ValueId v) {
    if (made_first_[v] != here) return;
    place(v, here);
    made_first_[v] = 0;  // placed once, however many rows of the op contribute to it
  });
  free_dead(op, rank, here);
}

void Allocator::take(ValueId v, double time) {
  const std::uint64_t bytes = s_.bytes(v);
  s_.offset[v] = arena_.take(bytes, previous_, time);
  s_.peak_bytes = std::max(s_.peak_bytes, s_.offset[v] + bytes);
}

void Allocator::place(ValueId v, Place here) {
  previous_.clear();
  take(v, planned_ == nullptr ? 0 : planned_->start_s[first_op_ + here - 1]);
  for (ValueId before : previous_) {
    for (std::size_t lane = 0; lane < lanes_; ++lane) {
      const Place ended = last_use(before)[lane];
      if (ended <= known(here)[lane]) continue;
      s_.waits.push_back({first_op_ + here - 1, first_op_ + ended - 1});
      wait_for(here, static_cast<Lane>(lane), ended);
    }
  }
}

/// When the last user of v ends.
double Allocator::planned_end(ValueId v) {
  double end = 0;
  if (planned_ == nullptr) return end;
  for (Place use : last_use(v))
    if (use != 0) end = std::max(end, planned_->end_s[first_op_ + use - 1]);
  return end;
}

void Allocator::free_dead(const Op& op, Rank rank, Place here) {
  const auto release = [&](ValueId v) {
    if (stays_[v] || *std::ranges::max_element(last_use(v)) != here) return;
    stays_[v] = true;  // freed once, however often the op names it
    arena_.release(s_.offset[v], s_.bytes(v), v, planned_end(v));
  };
  for_each_operand(s_, op, rank, release, release);
}

}  // namespace

void assign_memory(Schedule& schedule) { Allocator(schedule, nullptr).run(); }

void assign_memory(Schedule& schedule, const Trace& planned) { Allocator(schedule, &planned).run(); }

}  // namespace meshattn
