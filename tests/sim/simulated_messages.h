#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <variant>
#include <vector>

#include "core/base/error.h"
#include "core/execution/cost_model.h"
#include "sim/simulator.h"
#include "tests/support/message_schedule.h"

/// Schedules of messages on a small cluster, simulated.
namespace meshattn::testing {

inline constexpr Lane kFirst = 1, kSecond = 2;
inline constexpr double kNanosecond = 1e-9;

/// Nodes of two GPUs: 100 GB/s and 2 µs in the node, a NIC of 50 GB/s for each GPU and 5 µs between nodes. A block of
/// 1e12 flops takes 1 s.
inline Cluster cluster() {
  Cluster c;
  c.node = {.gpus = 2,
            .link_bytes_per_s = 100e9,
            .link_startup_s = 2e-6,
            .gpus_per_nic = 1,
            .nic_bytes_per_s = 50e9,
            .nic_startup_s = 5e-6};
  c.gpu.attention_flops_per_s = 1e12;
  return c;
}

inline std::variant<Trace, sim::Failure> try_simulate(const Schedule& schedule, const Cluster& c) {
  const int ranks = schedule.problem.ranks;
  return sim::simulate_isolated(schedule, Network(c, ranks), CostModel(c.gpu, schedule.problem).times(schedule));
}

inline Trace simulate(const Schedule& schedule, const Cluster& c) {
  const auto result = try_simulate(schedule, c);
  if (const auto* failure = std::get_if<sim::Failure>(&result)) throw SimulationError(failure->reason);
  return std::get<Trace>(result);
}

inline std::string failure(const Schedule& schedule, const Cluster& c) {
  const auto result = try_simulate(schedule, c);
  const auto* failure = std::get_if<sim::Failure>(&result);
  return failure == nullptr ? "no failure" : failure->reason;
}

/// The exchange of a rank that contains a transfer.
inline OpId exchange_of(const Schedule& s, TransferId t, Rank rank) {
  for (OpId op = s.ops_begin(rank); op < s.ops_end(rank); ++op)
    if (const auto* x = std::get_if<Exchange>(&s.ops[op]))
      if (std::ranges::count(s.transfers_of(*x), t) > 0) return op;
  throw InvalidSchedule("no such exchange");
}

/// End of each transfer at its receiver, if each has an exchange of its own.
inline std::vector<double> ends(const Schedule& s, const Trace& trace) {
  std::vector<double> ends;
  for (TransferId t = 0; t < s.transfers.size(); ++t)
    ends.push_back(trace.end_s[exchange_of(s, t, s.values[s.transfers[t].made].rank)]);
  return ends;
}

inline void expect_ends(const Schedule& s, const Cluster& c, const std::vector<double>& expected) {
  const std::vector<double> found = ends(s, simulate(s, c));
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], kNanosecond) << "message " << i;
}

}  // namespace meshattn::testing
