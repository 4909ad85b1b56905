#include "gpu/device/device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>

#include <set>
#include <tuple>

#include "core/base/error.h"
#include "gpu/kernels/value_conversion.h"
#include "tests/gpu/device/mock_device.h"
#include "tests/gpu/schedules.h"
#include "tests/support/masks.h"
#include "tests/support/proof.h"

namespace meshattn {
namespace {

using gpu::Program;
using testing::MockDevice;
using testing::schedule_of;
using testing::schedules_of;

enum class Transport { kCopies, kGroups };

void issue_to(MockDevice& device, const Schedule& s, const std::vector<Program>& programs, Transport transport) {
  if (transport == Transport::kCopies) return gpu::issue_copies(s, programs, device);
  for (const Program& program : programs) gpu::issue_groups(program, device);
}

struct Case {
  int ranks;
  Transport transport;
};

class OnMock : public ::testing::TestWithParam<Case> {};

/// Every algorithm gives the results of dense attention, in any order of the streams: to 1e-5 in fp32.
TEST_P(OnMock, EveryScheduleEndsAsDenseAttention) {
  std::mt19937 random(1);
  for (const auto& [name, s] : schedules_of(GetParam().ranks, Dtype::kFp32)) {
    SCOPED_TRACE(name);
    const cpu::Tensors dense = testing::dense_tensors(s.problem.shape, s.problem.mask);
    MockDevice device(s, dense);
    issue_to(device, s, gpu::issue(s), GetParam().transport);
    ASSERT_EQ(device.run(random), "");
    ASSERT_LE(testing::error_of(device.outputs(), dense, s.problem.pass), 1e-5);
  }
}

/// In 16 bits the error against dense attention of the rounded inputs is the rounding of the outputs, half a unit in
/// the last place: at most 2^-8 of the largest number in bf16 (8 bits) and 2^-11 in fp16 (11 bits), plus the error of
/// fp32.
TEST_P(OnMock, HalfPrecisionIsRoundedOnce) {
  std::mt19937 random(2);
  for (const auto& [dtype, tolerance] : {std::pair{Dtype::kBf16, 0x1p-8}, {Dtype::kFp16, 0x1p-11}})
    for (const auto& [name, s] : schedules_of(GetParam().ranks, dtype)) {
      if (!name.starts_with("mesh") && !name.starts_with("ring")) continue;
      SCOPED_TRACE(name);
      const AttentionShape& shape = s.problem.shape;
      cpu::Tensors dense = gpu::rounded(shape, cpu::random_tensors(shape, 7));
      cpu::dense_forward(shape, s.problem.mask, dense);
      dense = gpu::rounded(shape, std::move(dense));  // a backward pass is given O in its dtype
      cpu::dense_backward(shape, s.problem.mask, dense);
      MockDevice device(s, dense);
      issue_to(device, s, gpu::issue(s), GetParam().transport);
      ASSERT_EQ(device.run(random), "");
      ASSERT_LE(testing::error_of(device.outputs(), dense, s.problem.pass), 1.01 * tolerance);
    }
}

INSTANTIATE_TEST_SUITE_P(Ranks, OnMock,
                         ::testing::Values(Case{2, Transport::kCopies}, Case{4, Transport::kCopies},
                                           Case{8, Transport::kCopies}, Case{2, Transport::kGroups},
                                           Case{4, Transport::kGroups}, Case{8, Transport::kGroups}),
                         [](const auto& c) {
                           return fmt::format("{}{}", c.param.transport == Transport::kCopies ? "copies" : "groups",
                                              c.param.ranks);
                         });

/// Windows, documents, cached prefixes, any partition and lengths that do not divide evenly, on a mesh.
TEST(OnMockMasks, EndAsDenseAttention) {
  std::mt19937 random(3);
  for (int i = 0; i < 300; ++i) {
    Problem p = testing::random_problem(random, 6);
    p.shape.dtype = Dtype::kFp32;
    const int rows = p.ranks % 2 == 0 && i % 2 == 0 ? 2 : 1;
    for (Pass pass : {Pass::kForward, Pass::kBackward}) {
      p.pass = pass;
      SCOPED_TRACE(testing::describe(p));
      const Schedule s = schedule_of(p, "mesh", {.tile = Tile{rows, p.ranks / rows}});
      const cpu::Tensors dense = testing::dense_tensors(p.shape, p.mask);
      MockDevice device(s, dense);
      gpu::issue_copies(s, gpu::issue(s), device);
      ASSERT_EQ(device.run(random), "");
      ASSERT_LE(testing::error_of(device.outputs(), dense, pass), 1e-5);
    }
  }
}

Schedule ring_of_two() {
  return schedule_of({{16, 16, 1, 2, 2, 2, Dtype::kFp32}, Mask::kFull, Partition::kContiguous, Pass::kForward, 2},
                     "ring");
}

/// Each wait, left out, makes some run fail: a value is read too early or overwritten too early, or an exchange begins
/// or ends too early.
TEST(OnMockBroken, AMissingWaitSpoilsARun) {
  const Problem p{{32, 32, 1, 4, 2, 2, Dtype::kFp32}, Mask::kFull, Partition::kContiguous, Pass::kForward, 4};
  const Schedule s = schedule_of(p, "mesh", {.tile = Tile{2, 2}});
  const cpu::Tensors dense = testing::dense_tensors(p.shape, p.mask);
  const std::vector<Program> programs = gpu::issue(s);
  std::mt19937 random(3);
  for (Transport transport : {Transport::kCopies, Transport::kGroups}) {
    MockDevice whole(s, dense);
    issue_to(whole, s, programs, transport);
    ASSERT_GT(whole.waits(), 10u);
    std::size_t seen = 0;
    for (std::size_t k = 0; k < whole.waits(); ++k) {
      bool spoilt = false;
      for (int times = 0; times < 400 && !spoilt; ++times) {
        MockDevice device(s, dense);
        device.leave_out(k);
        issue_to(device, s, programs, transport);
        spoilt = !device.run(random).empty() || !(testing::error_of(device.outputs(), dense, p.pass) <= 1e-5);
      }
      seen += spoilt ? 1 : 0;
    }
    EXPECT_EQ(seen, whole.waits());
  }
}

/// A stream is told to wait for a mark at most once.
TEST(IssuedCopies, NoWaitIsGivenTwice) {
  class Waits final : public gpu::Device {
   public:
    std::multiset<std::tuple<Rank, Lane, gpu::Mark>> given;
    void launch(Rank, Lane, OpId) override {}
    void copy(Rank, Lane, const gpu::Message&) override {}
    void exchange(Rank, Lane, OpId, std::span<const gpu::Message>) override {}
    void mark(Rank, Lane, gpu::Mark) override {}
    void wait(Rank rank, Lane lane, gpu::Mark mark) override { given.emplace(rank, lane, mark); }
  };
  for (const auto& [name, s] : schedules_of(4, Dtype::kFp32)) {
    Waits device;
    gpu::issue_copies(s, gpu::issue(s), device);
    for (const auto& wait : device.given)
      ASSERT_EQ(device.given.count(wait), 1u)
          << name << ": rank " << std::get<0>(wait) << " waits twice for op " << std::get<2>(wait).op;
  }
}

TEST(OnMockBroken, AMissingExchangeIsStuck) {
  const Schedule s = ring_of_two();
  const cpu::Tensors dense = testing::dense_tensors(s.problem.shape, s.problem.mask);
  std::vector<Program> programs = gpu::issue(s);
  std::erase_if(programs[1].commands, [](const gpu::Command& c) { return !std::holds_alternative<gpu::Launch>(c); });
  std::mt19937 random(5);
  MockDevice groups(s, dense);
  issue_to(groups, s, programs, Transport::kGroups);
  EXPECT_THAT(groups.run(random), ::testing::HasSubstr("rank 0 is stuck"));
  MockDevice copies(s, dense);
  try {
    issue_to(copies, s, programs, Transport::kCopies);
    FAIL() << "was issued";
  } catch (const InvalidSchedule& e) {
    EXPECT_THAT(e.what(), ::testing::HasSubstr("rank 0 at op 0: exchange on lane 1 (KV from 1, KV to 1)"));
  }
}

TEST(OnMockBroken, AWaitForWhatIsNotIssuedIsSeen) {
  const Schedule s = ring_of_two();
  std::vector<Program> programs = gpu::issue(s);
  std::vector<gpu::Command>& commands = programs[0].commands;
  const auto wait = std::ranges::find_if(commands, [](const auto& c) { return std::holds_alternative<gpu::Wait>(c); });
  ASSERT_NE(wait, commands.end());
  std::rotate(commands.begin(), wait, wait + 1);
  std::mt19937 random(5);
  MockDevice device(s, testing::dense_tensors(s.problem.shape, s.problem.mask));
  issue_to(device, s, programs, Transport::kGroups);
  EXPECT_THAT(device.run(random), ::testing::HasSubstr("before it is issued"));
}

}  // namespace
}  // namespace meshattn
