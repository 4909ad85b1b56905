#include "core/execution/compute_contention.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "tests/support/message_schedule.h"

namespace meshattn {
namespace {

using testing::MessageSchedule;

/// A clock that is set by hand and records the events that it is asked for.
struct RecordingClock {
  double now_s = 0;
  std::vector<std::pair<double, Event>> asked;

  [[nodiscard]] double now() const { return now_s; }
  void after(double seconds, Event event) { asked.emplace_back(now_s + seconds, event); }
  void send(Rank, Rank, double, Event) {}
  void set_computing(Rank, bool) {}
  template <typename Handle>
  void run(Handle&&) {}

  /// The time of the last event of a kind that was asked for; −1 if there is none.
  [[nodiscard]] double last(Event::Kind kind, Rank rank) const {
    double at_s = -1;
    for (const auto& [time_s, event] : asked)
      if (event.kind == kind && event.id == static_cast<std::uint32_t>(rank)) at_s = time_s;
    return at_s;
  }
};

constexpr auto kEnded = Event::Kind::kComputeEnded;

/// Nodes of two GPUs of 10 SMs. An exchange takes 2 SMs in a node and 1 between nodes; bytes in a port leave 0.85.
Cluster cluster() {
  Cluster c;
  c.node = {.gpus = 2, .link_bytes_per_s = 1e9, .nic_bytes_per_s = 1e9, .link_sms = 2, .nic_sms = 1};
  c.node.compute_efficiency_during_transfers = 0.85;
  c.gpu.sms = 10;
  return c;
}

/// The largest slow-down counts: 1 − 0.2 while both exchanges run, 1 − 0.1 when the one in the node has ended at 0.5 s
/// with 0.6 s of work left.
TEST(ComputeContention, LargestSlowDownCounts) {
  MessageSchedule m(4);
  m.compute(0);
  const TransferId near = m.send(0, 1, 10), far = m.send(0, 2, 10, 2);
  const Schedule s = m.finish();
  OpTimes times;
  times.seconds.assign(s.ops.size(), 1);
  const Network network(cluster(), 4);
  RecordingClock clock;
  ComputeContention contention(s, network, times, clock);
  contention.begin_compute(0, s.ops_begin(0));
  EXPECT_DOUBLE_EQ(clock.last(kEnded, 0), 1);
  contention.begin_transfers(0, std::vector{far});
  EXPECT_DOUBLE_EQ(clock.last(kEnded, 0), 1 / 0.9);
  contention.begin_transfers(0, std::vector{near});
  contention.begin_flow(near);
  EXPECT_DOUBLE_EQ(clock.last(kEnded, 0), 1 / 0.8);
  clock.now_s = 0.5;
  contention.end_transfer(0, near);
  EXPECT_DOUBLE_EQ(clock.last(kEnded, 0), 0.5 + 0.6 / 0.85);
  contention.end_flow(near);
  EXPECT_DOUBLE_EQ(clock.last(kEnded, 0), 0.5 + 0.6 / 0.9);
  clock.now_s = 1;
  EXPECT_FALSE(contention.end_compute(0)) << "the first event is out of date";
  clock.now_s = 0.5 + 0.6 / 0.9;
  EXPECT_TRUE(contention.end_compute(0));
}

/// Three ranks on two processors: the third that starts slows all to 2/3, and the first that ends frees the others.
TEST(ComputeContention, RanksShareProcessors) {
  Cluster c;
  c.node = {.gpus = 3, .link_bytes_per_s = 1e9, .processors = 2};
  MessageSchedule m(3);
  for (Rank rank : {0, 1, 2}) m.compute(rank);
  const Schedule s = m.finish();
  OpTimes times;
  times.seconds = {1, 2, 2};
  const Network network(c, 3);
  RecordingClock clock;
  ComputeContention contention(s, network, times, clock);
  for (Rank rank : {0, 1}) contention.begin_compute(rank, s.ops_begin(rank));
  EXPECT_DOUBLE_EQ(clock.last(kEnded, 0), 1);
  contention.begin_compute(2, s.ops_begin(2));
  EXPECT_DOUBLE_EQ(clock.last(kEnded, 0), 1.5);
  EXPECT_DOUBLE_EQ(clock.last(kEnded, 2), 3);
  clock.now_s = 1.5;
  EXPECT_TRUE(contention.end_compute(0));
  EXPECT_DOUBLE_EQ(clock.last(kEnded, 2), 2.5);
}

TEST(ComputeContention, TellsWhenTheLastWaveBegins) {
  MessageSchedule m(2);
  m.compute(0);
  const Schedule s = m.finish();
  OpTimes times;
  times.seconds = {1};
  times.last_wave_s = {0.6};
  const Network network(cluster(), 2);
  RecordingClock clock;
  ComputeContention contention(s, network, times, clock);
  EXPECT_TRUE(contention.has_begun_last_wave(0)) << "no kernel runs";
  contention.begin_compute(0, s.ops_begin(0));
  EXPECT_FALSE(contention.has_begun_last_wave(0));
  EXPECT_DOUBLE_EQ(clock.last(Event::Kind::kMayStart, 0), 0.6);
  clock.now_s = 0.6;
  EXPECT_TRUE(contention.has_begun_last_wave(0));
}

}  // namespace
}  // namespace meshattn
