#include "tests/support/interpreter/run.h"

#include <algorithm>

namespace meshattn::testing::interpreter {

Run::Run(const Program& program, Timing timing, std::mt19937& random)
    : p_(program),
      s_(program.s),
      group_(s_.problem.shape.group()),
      timing_(timing),
      random_(random),
      chosen_lane_(p_.lanes.empty() ? 0 : random() % p_.lanes.size()),
      next_(p_.lanes.size()),
      lane_busy_(p_.lanes.size()),
      started_(s_.ops.size()),
      ended_(s_.ops.size()),
      moved_(p_.ends.size()),
      content_(s_.values.size()) {
  for (std::uint64_t size : p_.arena) memory_.emplace_back(size);
}

void Run::add_events(std::size_t lane, std::vector<Event>& events) const {
  if (next_[lane] == p_.lanes[lane].ops.size()) return;
  const OpId op = p_.lanes[lane].ops[next_[lane]];
  if (!lane_busy_[lane]) {
    if (std::ranges::all_of(p_.after[op], [&](OpId before) { return ended_[before]; }))
      events.push_back({Event::Kind::kStart, lane});
    return;
  }
  bool all_moved = true;
  for (std::size_t end : p_.ends_of[op]) {
    all_moved &= moved_[end];
    const std::size_t partner = p_.ends[end].partner;
    if (p_.ends[end].sends && !moved_[end] && partner != SIZE_MAX && started_[p_.ends[partner].op])
      events.push_back({Event::Kind::kMove, lane, end});
  }
  if (all_moved) events.push_back({Event::Kind::kEnd, lane});
}

/// Events of the smallest priority number go first.
int Run::priority(const Event& e) const {
  const bool computes = p_.lanes[e.lane].lane == kComputeLane;
  switch (timing_) {
    case Timing::kRandom:
      return 0;
    case Timing::kComputeFirst:
      return computes ? 0 : 1;
    case Timing::kCommunicationFirst:
      return computes ? 1 : 0;
    case Timing::kOneLaneFirst:
      return e.lane == chosen_lane_ ? 0 : 1;
    case Timing::kOneLaneLast:
      return e.lane == chosen_lane_ ? 1 : 0;
    case Timing::kStartsFirst:
      return e.kind == Event::Kind::kStart ? 0 : 1;
    case Timing::kEndsFirst:
      return e.kind == Event::Kind::kStart ? 1 : 0;
  }
  return 0;
}

void Run::run() {
  give_inputs();
  std::vector<Event> events, best;
  while (true) {
    events.clear();
    best.clear();
    for (std::size_t lane = 0; lane < next_.size(); ++lane) add_events(lane, events);
    if (events.empty()) break;
    int first = INT32_MAX;
    for (const Event& e : events) first = std::min(first, priority(e));
    for (const Event& e : events)
      if (priority(e) == first) best.push_back(e);
    execute(best[random_() % best.size()]);
  }
  for (std::size_t lane = 0; lane < next_.size(); ++lane)
    if (next_[lane] < p_.lanes[lane].ops.size()) wrong("stuck at op {}", p_.lanes[lane].ops[next_[lane]]);
  check_outputs();
}

void Run::execute(const Event& e) {
  const OpId op = op_of(e);
  switch (e.kind) {
    case Event::Kind::kStart:
      start(op);
      lane_busy_[e.lane] = true;
      started_[op] = true;
      return;
    case Event::Kind::kMove:
      move(p_.ends[e.end]);
      moved_[e.end] = moved_[p_.ends[e.end].partner] = true;
      return;
    case Event::Kind::kEnd:
      end(op);
      ended_[op] = true;
      lane_busy_[e.lane] = false;
      ++next_[e.lane];
      return;
  }
}

void Run::write(ValueId v, bool whole) {
  auto& memory = memory_[static_cast<std::size_t>(s_.values[v].rank)];
  std::fill_n(memory.begin() + static_cast<std::ptrdiff_t>(p_.offset[v]), p_.bytes[v], Byte{v, whole});
}

void Run::expect_intact(ValueId v, OpId op) const {
  const auto& memory = memory_[static_cast<std::size_t>(s_.values[v].rank)];
  const auto begin = memory.begin() + static_cast<std::ptrdiff_t>(p_.offset[v]);
  const auto end = begin + static_cast<std::ptrdiff_t>(p_.bytes[v]);
  if (!std::all_of(begin, end, [&](const Byte& b) { return b == Byte{v, true}; }))
    wrong("op {} reads value {}, whose bytes are not intact", op, v);
}

void Run::start(OpId op) {
  for (ValueId v : p_.reads[op]) expect_intact(v, op);
  const bool attends = std::holds_alternative<Attend>(s_.ops[op]) || std::holds_alternative<AttendBackward>(s_.ops[op]);
  for (ValueId v : p_.makes[op]) {
    if (attends && content_[v]) expect_intact(v, op);
    write(v, false);
  }
}

/// The receiver gets the value that its partner sends, even if it expects another.
void Run::move(const End& from) {
  const Transfer &sent = s_.transfers[from.transfer], &received = s_.transfers[p_.ends[from.partner].transfer];
  const Value &meant = s_.values[sent.made], &made = s_.values[received.made];
  expect_intact(sent.source, from.op);
  if (meant.tensor != made.tensor || meant.dtype != made.dtype || meant.region != made.region)
    wrong("value {} arrives where {} is expected", sent.made, received.made);
  Content c = empty(received.made);
  if (content(sent.source).tensor != c.tensor || content(sent.source).dtype != c.dtype)
    wrong("value {} is sent as another tensor or dtype", sent.source);
  for (auto& [row, blocks] : c.at) blocks = at(sent.source, row);
  content_[received.made] = std::move(c);
  write(received.made, false);
}

void Run::end(OpId op) {
  for (ValueId v : p_.reads[op]) expect_intact(v, op);
  std::visit([&](const auto& x) { finish(x); }, s_.ops[op]);
  for (ValueId v : p_.makes[op]) write(v, true);
}

}  // namespace meshattn::testing::interpreter
