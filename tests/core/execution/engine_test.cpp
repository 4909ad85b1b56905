#include "core/execution/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <utility>

#include "core/execution/cost_model.h"
#include "tests/support/message_schedule.h"

namespace meshattn {
namespace {

using ::testing::HasSubstr;
using testing::MessageSchedule;

/// The simplest clock: every message moves at 10 GB/s, whatever else is on its links.
class FixedRateClock {
 public:
  [[nodiscard]] double now() const { return now_s_; }
  void after(double seconds, Event event) { events_.emplace(std::pair{now_s_ + seconds, true}, event); }
  void send(Rank, Rank, double bytes, Event arrived) {
    events_.emplace(std::pair{now_s_ + bytes / 10e9, false}, arrived);
  }
  void set_computing(Rank, bool) {}
  template <typename Handle>
  void run(Handle&& handle) {
    while (!events_.empty()) {
      const auto [key, event] = *events_.begin();
      events_.erase(events_.begin());
      now_s_ = key.first;
      handle(event);
    }
  }

 private:
  std::multimap<std::pair<double, bool>, Event> events_;  ///< by time; arrivals before timers
  double now_s_ = 0;
};

/// Nodes of two GPUs, start-ups of 2 µs in a node and 5 µs between nodes. A block takes 1 s.
Cluster cluster() {
  Cluster c;
  c.node = {.gpus = 2, .link_bytes_per_s = 1e9, .link_startup_s = 2e-6, .nic_bytes_per_s = 1e9, .nic_startup_s = 5e-6};
  c.gpu.attention_flops_per_s = 1e12;
  return c;
}

OpTimes times_of(const Schedule& s) { return CostModel(cluster().gpu, s.problem).times(s); }

Trace run(const Schedule& s, const OpTimes& times, Receive receive = Receive::kEarly) {
  const Network network(cluster(), s.problem.ranks);
  FixedRateClock clock;
  Engine engine(s, network, times, receive, clock);
  Trace trace = engine.run();
  EXPECT_EQ(engine.deadlock(), "");
  return trace;
}

TEST(Engine, TransferWaitsForBothExchangesThenForItsStartup) {
  MessageSchedule m(2);
  m.compute(1);
  m.send(0, 1, 10);
  Schedule s = m.finish();
  const OpId sending = s.ops_begin(0), receiving = s.ops_begin(1) + 1;
  s.waits.push_back({receiving, s.ops_begin(1)});
  const Trace trace = run(s, times_of(s));
  EXPECT_DOUBLE_EQ(trace.start_s[sending], 0);
  EXPECT_DOUBLE_EQ(trace.start_s[receiving], 1);
  EXPECT_DOUBLE_EQ(trace.end_s[sending], 1 + 2e-6 + 1e-3);
  EXPECT_DOUBLE_EQ(trace.end_s[receiving], trace.end_s[sending]);
  EXPECT_DOUBLE_EQ(trace.makespan_s, trace.end_s[sending]);
}

TEST(Engine, ExchangeEndsWithItsLastTransfer) {
  MessageSchedule m(4);
  const TransferId near = m.message(0, 1, 10), far = m.message(0, 2, 30);
  m.exchange(0, {near, far});
  m.exchange(1, {near});
  m.exchange(2, {far});
  const Schedule s = m.finish();
  const Trace trace = run(s, times_of(s));
  EXPECT_DOUBLE_EQ(trace.end_s[s.ops_begin(1)], 2e-6 + 1e-3);
  EXPECT_DOUBLE_EQ(trace.end_s[s.ops_begin(2)], 5e-6 + 3e-3);
  EXPECT_DOUBLE_EQ(trace.end_s[s.ops_begin(0)], 5e-6 + 3e-3);
}

TEST(Engine, ExchangesStartEarlyOrAsListed) {
  MessageSchedule m(2);
  m.compute(0);
  m.send(1, 0, 10);
  const Schedule s = m.finish();
  const OpId receiving = s.ops_begin(0) + 1;
  EXPECT_DOUBLE_EQ(run(s, times_of(s), Receive::kEarly).start_s[receiving], 0);
  EXPECT_DOUBLE_EQ(run(s, times_of(s), Receive::kAsListed).start_s[receiving], 1);
}

/// Hosts take 0.25 s per op, kernels 0.1 s: an op starts when its host begins to issue it and ends when the host has.
TEST(Engine, OpsWaitForTheirHosts) {
  MessageSchedule m(2);
  m.compute(0);
  m.compute(0);
  m.send(0, 1, 10);
  const Schedule s = m.finish();
  OpTimes times = times_of(s);
  times.seconds = {0.1, 0.1, 0, 0};
  times.set_issue_times(s, 0.25);
  const Trace trace = run(s, times);
  EXPECT_DOUBLE_EQ(trace.start_s[1], 0.25);
  EXPECT_DOUBLE_EQ(trace.end_s[0], 0.25);
  EXPECT_DOUBLE_EQ(trace.end_s[1], 0.5);
  EXPECT_DOUBLE_EQ(trace.start_s[2], 0.5);
}

/// The exchange is listed first, but the kernel starts at the same moment and has its last wave at 0.6 s.
TEST(Engine, ExchangesWaitForTheLastWaveOfAKernel) {
  MessageSchedule m(2);
  m.send(0, 1, 10);
  m.compute(0);
  const Schedule s = m.finish();
  OpTimes times = times_of(s);
  EXPECT_DOUBLE_EQ(run(s, times).start_s[s.ops_begin(0)], 0);
  times.last_wave_s.assign(s.ops.size(), 0.6);
  EXPECT_DOUBLE_EQ(run(s, times).start_s[s.ops_begin(0)], 0.6);
}

TEST(Engine, NamesADeadlock) {
  MessageSchedule m(2);
  m.compute(1);
  m.exchange(0, {m.message(0, 1, 1)});
  const Schedule s = m.finish();
  const OpTimes times = times_of(s);
  const Network network(cluster(), 2);
  FixedRateClock clock;
  Engine engine(s, network, times, Receive::kEarly, clock);
  (void)engine.run();
  EXPECT_THAT(engine.deadlock(), HasSubstr("deadlock after 1 s: 1 of 2 ranks are stuck (rank 0 lane 1 in op 0)"));
}

}  // namespace
}  // namespace meshattn
