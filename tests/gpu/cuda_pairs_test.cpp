// Tests that need several devices in one process. Skipped without them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "gpu/kernels/value_conversion.h"
#include "tests/gpu/cuda_fixture.h"
#include "tests/gpu/schedules.h"

namespace meshattn {
namespace {

using gpu::Job;
using gpu::Kernels;
using gpu::RunOptions;
using testing::Cuda;
using testing::run_on_one;
using testing::schedule_of;

class CudaPairs : public Cuda {
 protected:
  void SetUp() override { need(2); }
};

/// A device for each rank.
RunOptions a_device_each(gpu::Transport transport) {
  RunOptions options;
  options.transport = transport;
  options.warm_ups = 1;
  options.repeats = 2;
  return options;
}

/// Copies between two devices and NCCL give the results of copies within one device.
TEST_F(CudaPairs, EveryTransportGivesTheSameNumbers) {
  const Problem p{{1024, 1024, 1, 8, 2, 64, Dtype::kBf16}, Mask::kCausal, Partition::kZigzag, Pass::kForward, 2};
  const cpu::Tensors given = gpu::rounded(p.shape, cpu::random_tensors(p.shape, 1));
  for (std::string_view algorithm : {"ring", "ulysses"}) {
    const Schedule s = schedule_of(p, algorithm);
    const cpu::Tensors one = run_on_one(s, given, Kernels::kRepeatable);
    for (gpu::Transport transport : {gpu::Transport::kCopies, gpu::Transport::kNccl}) {
      RunOptions options = a_device_each(transport);
      options.kernels = Kernels::kRepeatable;
      EXPECT_TRUE(gpu::run(s, given, options, Job::alone(0)).outputs.o == one.o) << algorithm;
    }
  }
}

/// The inputs are random, O and the log-sum-exp included.
void expect_same_by_nccl(const Schedule& s) {
  const Problem& p = s.problem;
  cpu::Tensors given = gpu::rounded(p.shape, cpu::random_tensors(p.shape, 1));
  given.o = given.d_o;
  given.lse.assign(given.q.size() / static_cast<std::size_t>(p.shape.head_dim), 7.0);
  const cpu::Tensors one = run_on_one(s, given, Kernels::kRepeatable);
  RunOptions options = a_device_each(gpu::Transport::kNccl);
  options.kernels = Kernels::kRepeatable;
  const cpu::Tensors by_nccl = gpu::run(s, given, options, Job::alone(0)).outputs;
  for (auto part : {&cpu::Tensors::o, &cpu::Tensors::dq, &cpu::Tensors::dk, &cpu::Tensors::dv})
    EXPECT_TRUE(by_nccl.*part == one.*part) << name_of(p.pass);
}

/// Schedules with one communication lane and with two (one per slice of the heads), forward and backward.
std::vector<Schedule> one_and_two_lanes(int ranks, std::string_view algorithm, Options options) {
  std::vector<Schedule> all;
  for (int slices : {1, 2})
    for (Pass pass : {Pass::kForward, Pass::kBackward}) {
      options.slices = slices;
      const std::int64_t tokens = 512L * ranks;
      all.push_back(
          schedule_of({{tokens, tokens, 1, 8, 2, 64, Dtype::kBf16}, Mask::kCausal, Partition::kZigzag, pass, ranks},
                      algorithm, options));
    }
  return all;
}

TEST_F(CudaPairs, NcclOnTwoLanesGivesTheSameNumbers) {
  for (const Schedule& s : one_and_two_lanes(2, "ring", {})) expect_same_by_nccl(s);
}

class CudaFour : public Cuda {
 protected:
  void SetUp() override { need(4); }
};

TEST_F(CudaFour, NcclOnLanesOfAMeshGivesTheSameNumbers) {
  for (const Schedule& s : one_and_two_lanes(4, "mesh", {.tile = Tile{2, 2}})) expect_same_by_nccl(s);
}

/// The schedules above have one and two communication lanes. Needs no device.
TEST(CudaLanesOnPaper, AreTwoForTwoSlices) {
  const std::vector<Schedule> rings = one_and_two_lanes(2, "ring", {});
  const std::vector<Schedule> meshes = one_and_two_lanes(4, "mesh", {.tile = Tile{2, 2}});
  for (std::size_t i : {0, 1}) EXPECT_LT(rings[i].lanes(), 3);
  for (std::size_t i : {2, 3}) {
    EXPECT_GE(rings[i].lanes(), 3);  // one of them computes
    EXPECT_GE(meshes[i].lanes(), 3);
  }
}

/// Rank 1 omits its last exchange, so that NCCL would wait for ever.
TEST_F(CudaPairs, AMissingExchangeIsAborted) {
  const Problem p{{512, 512, 1, 4, 4, 64, Dtype::kBf16}, Mask::kFull, Partition::kContiguous, Pass::kBackward, 2};
  Schedule s = schedule_of(p, "ring");
  std::vector<OpId> exchanges;
  for (OpId op = s.ops_begin(1); op < s.ops_end(1); ++op)
    if (std::holds_alternative<Exchange>(s.ops[op])) exchanges.push_back(op);
  ASSERT_GE(exchanges.size(), 2u);
  std::get<Exchange>(s.ops[exchanges.back()]).count = 0;
  RunOptions options = a_device_each(gpu::Transport::kNccl);
  options.timeout_s = 5;
  cpu::Tensors given = cpu::random_tensors(p.shape, 1);
  given.o = given.d_o;
  given.lse.assign(given.q.size() / 64, std::log(512.0));
  try {
    (void)gpu::run(s, given, options, Job::alone(0));
    FAIL() << "ended";
  } catch (const DeviceError& e) {
    EXPECT_THAT(e.what(), ::testing::HasSubstr("pending: rank 0 at op "));
  }
}

}  // namespace
}  // namespace meshattn
