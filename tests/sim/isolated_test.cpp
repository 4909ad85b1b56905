#include <gtest/gtest.h>
#include <pthread.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "tests/sim/simulated_messages.h"

namespace meshattn {
namespace {

using testing::cluster;
using testing::expect_ends;
using testing::failure;
using testing::MessageSchedule;

TEST(Isolated, ChildThatDiesIsAFailure) {
  static int how = 0;
  pthread_atfork(nullptr, nullptr, [] {
    if (how == 1) raise(SIGKILL);
    if (how == 2) _Exit(7);
  });
  MessageSchedule m(2);
  m.send(0, 1, 10);
  const Schedule s = m.finish();
  how = 1;
  EXPECT_EQ(failure(s, cluster()), "the simulation was killed by SIGKILL");
  how = 2;
  EXPECT_EQ(failure(s, cluster()), "the simulation left with status 7");
  how = 0;
  expect_ends(s, cluster(), {102e-6});
}

/// Output that the parent had buffered before the fork must not appear twice.
TEST(Isolated, ChildDoesNotRepeatTheParentsOutput) {
  MessageSchedule m(2);
  m.send(0, 1, 10);
  const Schedule s = m.finish();
  ::testing::internal::CaptureStdout();
  std::printf("once\n");
  expect_ends(s, cluster(), {102e-6});
  EXPECT_EQ(::testing::internal::GetCapturedStdout(), "once\n");
}

TEST(IsolatedDeathTest, SecondSimulationInOneProcessIsRefused) {
  MessageSchedule m(2);
  m.send(0, 1, 10);
  const Schedule s = m.finish();
  const Network network(cluster(), 2);
  const CostModel cost(cluster().gpu, s.problem);
  const auto twice = [&] {
    const double first = sim::simulate(s, network, cost.times(s)).makespan_s;
    try {
      (void)sim::simulate(s, network, cost.times(s));
    } catch (const SimulationError& e) {
      std::fprintf(stderr, "%.0f us, then: %s", first * 1e6, e.what());
      std::_Exit(0);
    }
    std::_Exit(1);
  };
  EXPECT_EXIT(twice(), ::testing::ExitedWithCode(0), "102 us, then: a second simulation in one process");
}

}  // namespace
}  // namespace meshattn
