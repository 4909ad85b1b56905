#include "tests/support/interpreter.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>
#include <tuple>

namespace meshattn::testing {

namespace {

/// The schedule does something wrong.
struct Wrong : std::runtime_error {
  using std::runtime_error::runtime_error;
};

template <typename... Args>
[[noreturn]] void wrong(fmt::format_string<Args...> what, Args&&... args) {
  throw Wrong(fmt::format(what, std::forward<Args>(args)...));
}

using Place = std::pair<Cell, std::int32_t>;                ///< cell, head
using Contribution = std::tuple<Cell, Cell, std::int32_t>;  ///< q cell, kv cell, query head

/// What a value really holds. Sums: for each place the blocks in it; others: the places that are there.
struct Content {
  Tensor tensor;
  Dtype dtype;
  std::map<Place, std::multiset<Contribution>> at;
};

/// One end of a transfer, as one rank has listed it.
struct End {
  OpId op;
  TransferId transfer;
  bool sends;
  std::size_t partner = SIZE_MAX;  ///< the end that order matches it with
};

struct LaneList {
  Rank rank;
  Lane lane;
  std::vector<OpId> ops;
};

/// What does not change from run to run.
struct Program {
  explicit Program(const Schedule& schedule);

  const Schedule& s;
  std::vector<LaneList> lanes;
  std::vector<Rank> rank_of;
  std::vector<std::vector<OpId>> after;  ///< by op
  std::vector<std::vector<ValueId>> reads, makes;
  std::vector<End> ends;
  std::vector<std::vector<std::size_t>> ends_of;  ///< by op
  std::vector<std::uint64_t> offset, bytes;       ///< by value
  std::vector<std::uint64_t> arena;               ///< by rank

 private:
  void list_op(Rank rank, OpId op, std::map<ValueId, std::vector<OpId>>& makers);
  void match_ends();
  void place_values();
};

Program::Program(const Schedule& schedule) : s(schedule), after(s.ops.size()), ends_of(s.ops.size()) {
  reads.resize(s.ops.size());
  makes.resize(s.ops.size());
  for (Rank rank = 0; rank < s.problem.ranks; ++rank) {
    std::map<Lane, std::vector<OpId>> by_lane;
    std::map<ValueId, std::vector<OpId>> makers;
    for (OpId op = s.ops_begin(rank); op < s.ops_end(rank); ++op) {
      rank_of.push_back(rank);
      by_lane[s.lane(s.ops[op])].push_back(op);
      list_op(rank, op, makers);
    }
    for (auto& [lane, ops] : by_lane) lanes.push_back({rank, lane, std::move(ops)});
  }
  for (const ReuseWait& wait : s.waits) after[wait.op].push_back(wait.after);
  match_ends();
  place_values();
}

void Program::list_op(Rank rank, OpId op, std::map<ValueId, std::vector<OpId>>& makers) {
  const auto here = [&](ValueId v) {
    if (s.values[v].rank != rank) wrong("op {} of rank {} uses value {} of rank {}", op, rank, v, s.values[v].rank);
  };
  const auto read = [&](ValueId v) {
    here(v);
    reads[op].push_back(v);
    for (OpId maker : makers[v])
      if (maker != op) after[op].push_back(maker);
  };
  const auto make = [&](ValueId v) {
    here(v);
    if (std::ranges::find(makes[op], v) == makes[op].end()) makes[op].push_back(v);
  };
  for_each_operand(s, s.ops[op], rank, read, make);
  for (ValueId v : makes[op]) makers[v].push_back(op);
  if (const auto* x = std::get_if<Exchange>(&s.ops[op])) {
    for (TransferId t : s.transfers_of(*x)) {
      const Rank from = s.values[s.transfers[t].source].rank, to = s.values[s.transfers[t].made].rank;
      if (from != rank && to != rank) wrong("op {} of rank {} lists transfer {} of others", op, rank, t);
      for (bool sends : {true, false}) {
        if ((sends ? from : to) != rank) continue;
        ends_of[op].push_back(ends.size());
        ends.push_back({op, t, sends});
      }
    }
  }
}

void Program::match_ends() {
  std::map<std::tuple<Rank, Rank, Lane>, std::vector<std::size_t>> sent, received;
  for (std::size_t i = 0; i < ends.size(); ++i) {
    const Transfer& t = s.transfers[ends[i].transfer];
    (ends[i].sends ? sent : received)[{s.values[t.source].rank, s.values[t.made].rank, t.lane}].push_back(i);
  }
  for (const auto& [channel, out] : sent) {
    const std::vector<std::size_t>& in = received[channel];
    for (std::size_t i = 0; i < std::min(in.size(), out.size()); ++i) {
      ends[in[i]].partner = out[i];
      ends[out[i]].partner = in[i];
    }
  }
}

void Program::place_values() {
  arena.assign(static_cast<std::size_t>(s.problem.ranks), s.offset.empty() ? 0 : s.peak_bytes);
  for (ValueId v = 0; v < s.values.size(); ++v) {
    std::uint64_t& end = arena[static_cast<std::size_t>(s.values[v].rank)];
    bytes.push_back(s.bytes(v));
    offset.push_back(s.offset.empty() ? end : s.offset[v]);
    if (s.offset.empty()) end += bytes[v];
    if (offset[v] + bytes[v] > end) wrong("value {} is outside the arena", v);
  }
}

enum class Timing {
  kRandom,
  kComputeFirst,
  kCommunicationFirst,
  kOneLaneFirst,
  kOneLaneLast,
  kStartsFirst,
  kEndsFirst
};
constexpr int kTimings = 7;

class Run {
 public:
  Run(const Program& program, Timing timing, std::mt19937& random);
  void run();

 private:
  struct Event {
    enum class Kind { kStart, kMove, kEnd } kind;
    std::size_t lane;     ///< index into Program::lanes
    std::size_t end = 0;  ///< sending end, for kMove
  };
  struct Byte {
    ValueId value = kNone;
    bool whole = false;  ///< not amid a write
    friend bool operator==(const Byte&, const Byte&) = default;
  };

  [[nodiscard]] OpId op_of(const Event& e) const { return p_.lanes[e.lane].ops[next_[e.lane]]; }
  void add_events(std::size_t lane, std::vector<Event>& events) const;
  [[nodiscard]] int rank_event(const Event& e) const;
  void happen(const Event& e);

  void start(OpId op);
  void move(const End& from);
  void end(OpId op);
  void write(ValueId v, bool whole);
  void expect_intact(ValueId v, OpId op) const;
  const Content& content(ValueId v) const;
  const std::multiset<Contribution>& at(ValueId v, Place place) const;
  Content empty(ValueId v) const;
  Content& sum(ValueId v, Tensor tensor);
  void contribute(ValueId v, Place place, const Contribution& what);
  template <typename Visit>
  void for_each_block(ValueId q, ValueId kv, ValueId sum, Visit&& visit) const;

  void give_inputs();
  void finish(const Attend& a);
  void finish(const AttendBackward& a);
  void finish(const Delta& d);
  void finish(const Combine& c);
  void finish(const Exchange&) {}
  void check_outputs();

  const Program& p_;
  const Schedule& s_;
  const int group_;
  Timing timing_;
  std::mt19937& random_;
  std::size_t chosen_lane_;
  std::vector<std::size_t> next_;
  std::vector<bool> lane_busy_, started_, ended_, moved_;
  std::vector<std::vector<Byte>> memory_;  ///< by rank
  std::vector<std::optional<Content>> content_;
};

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

/// Smaller goes first.
int Run::rank_event(const Event& e) const {
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
    for (const Event& e : events) first = std::min(first, rank_event(e));
    for (const Event& e : events)
      if (rank_event(e) == first) best.push_back(e);
    happen(best[random_() % best.size()]);
  }
  for (std::size_t lane = 0; lane < next_.size(); ++lane)
    if (next_[lane] < p_.lanes[lane].ops.size()) wrong("stuck at op {}", p_.lanes[lane].ops[next_[lane]]);
  check_outputs();
}

void Run::happen(const Event& e) {
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
    wrong("op {} looks for value {}, which is not there", op, v);
}

const Content& Run::content(ValueId v) const {
  if (!content_[v]) wrong("value {} was never made", v);
  return *content_[v];
}

const std::multiset<Contribution>& Run::at(ValueId v, Place place) const {
  const auto it = content(v).at.find(place);
  if (it == content(v).at.end()) wrong("value {} has no cell {}, head {}", v, place.first, place.second);
  return it->second;
}

/// All places of the value's region, nothing summed up.
Content Run::empty(ValueId v) const {
  Content c{s_.values[v].tensor, s_.values[v].dtype, {}};
  const Region r = s_.region(v);
  for (Cell cell : r.cells)
    for (std::int32_t head = r.heads.begin; head < r.heads.end; ++head) c.at[{cell, head}];
  return c;
}

Content& Run::sum(ValueId v, Tensor tensor) {
  if (s_.values[v].tensor != tensor) wrong("value {} is not {}", v, name_of(tensor));
  if (!content_[v]) content_[v] = empty(v);
  return *content_[v];
}

void Run::contribute(ValueId v, Place place, const Contribution& what) {
  const auto it = content_[v]->at.find(place);
  if (it == content_[v]->at.end()) wrong("value {} has no place for a block of cell {}", v, place.first);
  it->second.insert(what);
}

void Run::start(OpId op) {
  for (ValueId v : p_.reads[op]) expect_intact(v, op);
  const bool attends = std::holds_alternative<Attend>(s_.ops[op]) || std::holds_alternative<AttendBackward>(s_.ops[op]);
  for (ValueId v : p_.makes[op]) {
    if (attends && content_[v]) expect_intact(v, op);
    write(v, false);
  }
}

/// The receiver gets what its partner sends, whatever the two had in mind.
void Run::move(const End& from) {
  const Transfer &sent = s_.transfers[from.transfer], &received = s_.transfers[p_.ends[from.partner].transfer];
  const Value &meant = s_.values[sent.made], &made = s_.values[received.made];
  expect_intact(sent.source, from.op);
  if (meant.tensor != made.tensor || meant.dtype != made.dtype || meant.region != made.region)
    wrong("value {} comes where {} was to come", sent.made, received.made);
  Content c = empty(received.made);
  if (content(sent.source).tensor != c.tensor || content(sent.source).dtype != c.dtype)
    wrong("value {} is sent as another tensor or dtype", sent.source);
  for (auto& [place, blocks] : c.at) blocks = at(sent.source, place);
  content_[received.made] = std::move(c);
  write(received.made, false);
}

void Run::end(OpId op) {
  for (ValueId v : p_.reads[op]) expect_intact(v, op);
  std::visit([&](const auto& x) { finish(x); }, s_.ops[op]);
  for (ValueId v : p_.makes[op]) write(v, true);
}

void Run::give_inputs() {
  for (ValueId v : s_.inputs) {
    const Value& value = s_.values[v];
    const bool forward = s_.problem.pass == Pass::kForward;
    if (value.tensor == Tensor::kDQ || value.tensor == Tensor::kDKV ||
        (forward && value.tensor != Tensor::kQ && value.tensor != Tensor::kKV))
      wrong("nobody has input {}", v);
    if (value.dtype != (value.tensor == Tensor::kDelta ? Dtype::kFp32 : s_.problem.shape.dtype))
      wrong("input {} has another dtype", v);
    const bool may_be_kept = !forward && value.tensor != Tensor::kDO;  // by a forward pass that nobody sees here
    for (Cell cell : s_.region(v).cells)
      if (s_.problem.owner(cell) != value.rank && !may_be_kept) wrong("rank {} does not own input {}", value.rank, v);
    content_[v] = empty(v);
    write(v, true);
  }
  for (ValueId v : s_.inputs) expect_intact(v, kNone);
}

/// Calls visit(q place, kv place) for every query row of a cell of `q` and a head of `sum`, and every key/value row of
/// `kv` that it sees. Both must be there.
template <typename Visit>
void Run::for_each_block(ValueId q, ValueId kv, ValueId sum, Visit&& visit) const {
  const HeadRange heads = s_.region(sum).heads;
  for (Cell i : s_.region(q).cells) {
    for (Cell j : s_.region(kv).cells) {
      if (s_.problem.block(i, j).kind == Block::Kind::kEmpty) continue;
      for (std::int32_t head = heads.begin; head < heads.end; ++head) {
        at(q, {i, head}), at(kv, {j, head / group_});
        visit(Place{i, head}, Place{j, head / group_});
      }
    }
  }
}

void Run::finish(const Attend& a) {
  for (const AttendRow& row : s_.rows_of(a)) sum(row.o, Tensor::kO);
  for (const AttendRow& row : s_.rows_of(a)) {
    for (ValueId kv : s_.columns_of(a)) {
      if (content(row.q).tensor != Tensor::kQ || content(kv).tensor != Tensor::kKV) wrong("no query or no keys");
      for_each_block(row.q, kv, row.o, [&](Place q_place, Place kv_place) {
        contribute(row.o, q_place, {q_place.first, kv_place.first, q_place.second});
      });
    }
  }
}

void Run::finish(const AttendBackward& a) {
  for (const BackwardRow& row : s_.rows_of(a)) sum(row.dq, Tensor::kDQ);
  for (const BackwardColumn& column : s_.columns_of(a)) sum(column.dkv, Tensor::kDKV);
  for (const BackwardRow& row : s_.rows_of(a)) {
    for (const BackwardColumn& column : s_.columns_of(a)) {
      if (content(row.q).tensor != Tensor::kQ || content(column.kv).tensor != Tensor::kKV ||
          content(row.d_o).tensor != Tensor::kDO || content(row.delta).tensor != Tensor::kDelta)
        wrong("operands of a backward block are of other tensors");
      for_each_block(row.q, column.kv, row.dq, [&](Place q_place, Place kv_place) {
        const Contribution block{q_place.first, kv_place.first, q_place.second};
        at(row.d_o, q_place), at(row.delta, q_place);
        contribute(row.dq, q_place, block);
        contribute(column.dkv, kv_place, block);
      });
    }
  }
}

void Run::finish(const Delta& d) {
  Content c = empty(d.made);
  if (c.tensor != Tensor::kDelta || content(d.o).tensor != Tensor::kO || content(d.d_o).tensor != Tensor::kDO)
    wrong("delta of other tensors");
  if (s_.problem.pass == Pass::kForward) wrong("delta in a forward pass");
  for (const auto& [place, none] : c.at) at(d.o, place), at(d.d_o, place);
  content_[d.made] = std::move(c);
}

void Run::finish(const Combine& c) {
  Content merged{s_.values[c.made].tensor, s_.values[c.made].dtype, {}};
  if (!is_partial(merged.tensor)) wrong("value {} cannot be merged", c.made);
  const Content wanted = empty(c.made);
  for (ValueId v : s_.sources_of(c)) {
    if (content(v).tensor != merged.tensor) wrong("value {} is merged into another tensor", v);
    for (const auto& [place, blocks] : content(v).at)
      if (wanted.at.contains(place)) merged.at[place].insert(blocks.begin(), blocks.end());
  }
  content_[c.made] = std::move(merged);
}

void Run::check_outputs() {
  const Problem& p = s_.problem;
  const bool forward = p.pass == Pass::kForward;
  std::map<Tensor, std::map<Place, std::multiset<Contribution>>> wanted, got;
  for (Cell q = 0; q < p.cells(); ++q) {
    for (Cell kv = 0; kv < p.cells(); ++kv) {
      for (std::int32_t head = 0; head < p.shape.heads; ++head) {
        if (p.block(q, kv).kind == Block::Kind::kEmpty) continue;
        wanted[forward ? Tensor::kO : Tensor::kDQ][{q, head}].insert({q, kv, head});
        if (!forward) wanted[Tensor::kDKV][{kv, head / group_}].insert({q, kv, head});
      }
    }
  }
  for (ValueId v : s_.outputs) {
    expect_intact(v, kNone);
    if (content(v).dtype != p.shape.dtype) wrong("output {} has another dtype", v);
    for (const auto& [place, blocks] : content(v).at) {
      if (p.owner(place.first) != s_.values[v].rank) wrong("output {} is not with its owner", v);
      if (!got[content(v).tensor].emplace(place, blocks).second) wrong("a second output of cell {}", place.first);
    }
  }
  for (ValueId v : s_.inputs) expect_intact(v, kNone);
  if (got != wanted) wrong("the outputs are not what they should be");
}

}  // namespace

std::string interpret(const Schedule& schedule, int runs, std::mt19937& random) {
  try {
    const Program program(schedule);
    for (int i = 0; i < runs; ++i) Run(program, static_cast<Timing>(i % kTimings), random).run();
  } catch (const Wrong& what) {
    return what.what();
  }
  return {};
}

}  // namespace meshattn::testing
