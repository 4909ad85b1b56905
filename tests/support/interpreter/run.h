#pragma once

#include <map>
#include <optional>
#include <random>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "tests/support/interpreter/program.h"

namespace meshattn::testing::interpreter {

using Row = std::pair<Cell, std::int32_t>;                  ///< a cell and a head
using Contribution = std::tuple<Cell, Cell, std::int32_t>;  ///< q cell, kv cell, query head

/// The content of a value: its rows and, for partials, the contributions in each row.
struct Content {
  Tensor tensor;
  Dtype dtype;
  std::map<Row, std::multiset<Contribution>> at;
};

/// The events that go first whenever several could happen.
enum class Timing {
  kRandom,
  kComputeFirst,
  kCommunicationFirst,
  kOneLaneFirst,
  kOneLaneLast,
  kStartsFirst,
  kEndsFirst
};
inline constexpr int kTimings = 7;

/// One run of a program under one timing.
class Run {
 public:
  Run(const Program& program, Timing timing, std::mt19937& random);
  /// @throws Wrong at the first error.
  void run();

 private:
  struct Event {
    enum class Kind { kStart, kMove, kEnd } kind;
    std::size_t lane;     ///< index into Program::lanes
    std::size_t end = 0;  ///< sending end, for kMove
  };
  struct Byte {
    ValueId value = kNone;
    bool whole = false;  ///< false while an op writes it
    friend bool operator==(const Byte&, const Byte&) = default;
  };

  [[nodiscard]] OpId op_of(const Event& e) const { return p_.lanes[e.lane].ops[next_[e.lane]]; }
  void add_events(std::size_t lane, std::vector<Event>& events) const;
  [[nodiscard]] int priority(const Event& e) const;
  void execute(const Event& e);

  void start(OpId op);
  void move(const End& from);
  void end(OpId op);
  void write(ValueId v, bool whole);
  void expect_intact(ValueId v, OpId op) const;
  [[nodiscard]] const Content& content(ValueId v) const;
  /// @throws Wrong if v does not have the row.
  const std::multiset<Contribution>& at(ValueId v, Row row) const;
  [[nodiscard]] Content empty(ValueId v) const;
  Content& accumulator(ValueId v, Tensor tensor);
  void contribute(ValueId v, Row row, const Contribution& what);
  template <typename Visit>
  void for_each_block(ValueId q, ValueId kv, ValueId accumulator, Visit&& visit) const;

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
  std::vector<std::size_t> next_;                ///< by lane: index of the op that runs or comes next
  std::vector<bool> lane_busy_;                  ///< by lane
  std::vector<bool> started_, ended_;            ///< by op
  std::vector<bool> moved_;                      ///< by end of a transfer
  std::vector<std::vector<Byte>> memory_;        ///< by rank
  std::vector<std::optional<Content>> content_;  ///< by value
};

}  // namespace meshattn::testing::interpreter
