// What needs a device: skipped without one, unless MESHATTN_REQUIRE_GPU=1.

#include "gpu/cuda.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>

#include <cmath>
#include <cstdlib>

#include "core/error.h"
#include "gpu/deviation.h"
#include "gpu/run.h"
#include "gpu/value_bytes.h"
#include "tests/gpu/schedules.h"
#include "tests/support/proof.h"

namespace meshattn {
namespace {

using gpu::Job;
using gpu::Kernels;
using gpu::RunOptions;
using testing::schedule_of;

class Cuda : public ::testing::Test {
 protected:
  /// At least so many devices, or skips.
  static void need(int devices) {
    std::string why;
    int count = 0;
    gpu::prepare_environment();
    try {
      count = gpu::device_count();
    } catch (const InvalidInput& e) {
      why = fmt::format(": {}", e.what());
    }
    if (count >= devices) return;
    if (const char* required = std::getenv("MESHATTN_REQUIRE_GPU");
        required != nullptr && *required == '1' && count == 0)
      FAIL() << "MESHATTN_REQUIRE_GPU=1" << why;
    GTEST_SKIP() << "NOT TESTED, needs " << devices << (devices == 1 ? " GPU" : " GPUs") << why;
  }
  void SetUp() override { need(1); }
};

/// Whatever is run first: NCCL reads it once. Needs no device.
TEST(Environment, IsSetOnceForAllRunsAndObeysTheUser) {
  unsetenv("NCCL_LAUNCH_ORDER_IMPLICIT");
  setenv("CUDA_DEVICE_MAX_CONNECTIONS", "7", 1);
  gpu::prepare_environment();
  EXPECT_STREQ(std::getenv("NCCL_LAUNCH_ORDER_IMPLICIT"), "1");
  EXPECT_STREQ(std::getenv("CUDA_DEVICE_MAX_CONNECTIONS"), "7");
  unsetenv("CUDA_DEVICE_MAX_CONNECTIONS");
  gpu::prepare_environment();
  EXPECT_STREQ(std::getenv("CUDA_DEVICE_MAX_CONNECTIONS"), "32");
}

RunOptions all_on_one(const Schedule& s, Kernels kernels) {
  RunOptions options;
  options.kernels = kernels;
  options.ranks_per_device = s.problem.ranks;
  options.warm_ups = 0;
  options.repeats = 1;
  return options;
}

/// Outputs of a schedule whose ranks share the first device.
cpu::Tensors run_on_one(const Schedule& s, const cpu::Tensors& given, Kernels kernels) {
  return gpu::run(s, given, all_on_one(s, kernels), Job::alone(0)).outputs;
}

std::vector<gpu::Deviation> deviations(const Schedule& s, const cpu::Tensors& is, const cpu::Tensors& should) {
  return gpu::deviations(s, all_ranks(s.problem.ranks), is, should, Job::alone(0), gpu::deadline_in(1));
}

/// Every algorithm and choice, the reference kernels in fp32, against dense attention in double on the CPU.
TEST_F(Cuda, EveryAlgorithmEndsAsDenseAttention) {
  for (int ranks : {2, 4, 8})
    for (const auto& [name, s] : testing::schedules_of(ranks, Dtype::kFp32)) {
      const cpu::Tensors dense = testing::dense_tensors(s.problem.shape, s.problem.mask);
      for (const gpu::Deviation& d : deviations(s, run_on_one(s, dense, Kernels::kReference), dense))
        EXPECT_LE(d.relative, 1e-5) << d.tensor << " of " << name;
    }
}

struct Case {
  int ranks;
  Mask mask;
  Partition partition;
  int kv_heads;
  Dtype dtype;
};

/// A pass on one rank, whose inputs are rounded, with what the reference kernels make of them in fp32.
cpu::Tensors yardstick(Problem p, cpu::Tensors given) {
  p.ranks = p.cuts = 1;
  p.partition = Partition::kContiguous;
  p.shape.dtype = Dtype::kFp32;
  const cpu::Tensors made = run_on_one(schedule_of(p, "ring"), given, Kernels::kReference);
  for (auto part : {&cpu::Tensors::o, &cpu::Tensors::lse, &cpu::Tensors::dq, &cpu::Tensors::dk, &cpu::Tensors::dv})
    if (!(made.*part).empty()) given.*part = made.*part;
  return given;
}

/// cuDNN's kernels, 256 tokens a rank: O within 3e-3 and gradients within 1e-2, and no more than 1.1 times what the
/// same kernels are off on one rank. Two runs of the repeatable ones give the same bits.
void expect_right(const Case& c, const Choices& choices, std::string_view algorithm) {
  const std::int64_t tokens = 256L * c.ranks;
  Problem p{{tokens, tokens, 1, 8, c.kv_heads, 64, c.dtype}, c.mask, c.partition, Pass::kForward, c.ranks};
  cpu::Tensors given = yardstick(p, gpu::rounded(p.shape, cpu::random_tensors(p.shape, 1)));
  for (Pass pass : {Pass::kForward, Pass::kBackward}) {
    p.pass = pass;
    if (pass == Pass::kBackward) given = yardstick(p, gpu::rounded(p.shape, std::move(given)));
    const Schedule s = schedule_of(p, algorithm, choices);
    Problem whole = p;
    whole.ranks = whole.cuts = 1;
    whole.partition = Partition::kContiguous;
    const Schedule dense = schedule_of(whole, "ring");
    for (Kernels kernels : {Kernels::kFast, Kernels::kRepeatable}) {
      if (kernels == Kernels::kRepeatable && c.partition != Partition::kZigzag) continue;
      const cpu::Tensors outputs = run_on_one(s, given, kernels);
      const auto of_dense = deviations(dense, run_on_one(dense, given, kernels), given);
      const auto ours = deviations(s, outputs, given);
      ASSERT_EQ(ours.size(), of_dense.size());
      for (std::size_t i = 0; i < ours.size(); ++i) {
        const std::string what = fmt::format("{} {} on {}, {} {}, {} key/value heads", ours[i].tensor, algorithm,
                                             c.ranks, name_of(c.mask), name_of(c.partition), c.kv_heads);
        EXPECT_LE(ours[i].relative, ours[i].tensor.starts_with("d") ? 1e-2 : 3e-3) << what;
        if (ours[i].tensor != "lse") {
          EXPECT_LE(ours[i].relative, 1.1 * of_dense[i].relative) << what;
        }
      }
      if (kernels != Kernels::kRepeatable) continue;
      const cpu::Tensors again = run_on_one(s, given, kernels);
      for (auto part : {&cpu::Tensors::o, &cpu::Tensors::dq, &cpu::Tensors::dk, &cpu::Tensors::dv})
        EXPECT_TRUE(outputs.*part == again.*part) << algorithm << " on " << c.ranks;
    }
  }
}

class CudaAccuracy : public Cuda, public ::testing::WithParamInterface<int> {};

TEST_P(CudaAccuracy, IsThatOfDenseAttention) {
  const int n = GetParam();
  const std::pair<Mask, Partition> masks[] = {
      {Mask::kFull, Partition::kContiguous}, {Mask::kCausal, Partition::kZigzag}, {Mask::kCausal, Partition::kStriped}};
  for (const auto& [mask, partition] : masks)
    for (int kv_heads : {8, 2}) {
      // cuDNN takes a second for each new plan: types and tiles take turns.
      const Case c{n, mask, partition, kv_heads, kv_heads == 8 ? Dtype::kBf16 : Dtype::kFp16};
      expect_right(c, {}, "ring");
      const int rows = partition == Partition::kStriped ? n : 2;
      expect_right(c, {.tile = Tile{rows, n / rows}}, "mesh");
    }
}

INSTANTIATE_TEST_SUITE_P(Ranks, CudaAccuracy, ::testing::Values(2, 4, 8, 16));

/// Ops of one lane follow each other, and what a reuse wait orders is in that order: within the resolution of events.
TEST_F(Cuda, TimesObeyTheSchedule) {
  const Problem p{{4096, 4096, 1, 8, 2, 64, Dtype::kBf16}, Mask::kCausal, Partition::kZigzag, Pass::kForward, 4};
  const Schedule s = schedule_of(p, "mesh", {.tile = Tile{2, 2}});
  const cpu::Tensors given = gpu::rounded(p.shape, cpu::random_tensors(p.shape, 1));
  RunOptions options = all_on_one(s, Kernels::kFast);
  options.repeats = 3;
  const gpu::RunResult result = gpu::run(s, given, options, Job::alone(0));
  EXPECT_EQ(result.makespans_s.size(), 3u);
  constexpr double kResolution = 5e-6;  // of events 0.5 µs, and of where each rank's clock is set
  std::vector<double> lane_end(static_cast<std::size_t>(4 * s.lanes()));
  for (Rank rank = 0; rank < 4; ++rank)
    for (OpId op = s.ops_begin(rank); op < s.ops_end(rank); ++op) {
      double& before = lane_end[static_cast<std::size_t>(rank * s.lanes() + s.lane(s.ops[op]))];
      EXPECT_GE(result.trace.start_s[op], before - kResolution);
      EXPECT_GE(result.trace.end_s[op], result.trace.start_s[op] - kResolution);
      before = result.trace.end_s[op];
      for (const ReuseWait& wait : s.waits_of(op))
        EXPECT_GE(result.trace.start_s[op], result.trace.end_s[wait.after] - kResolution);
    }
}

/// 16 K queries × 16 K keys × 8 heads × 64 numbers by the reference kernels is 0.55 TFLOP, far more than 20 ms.
TEST_F(Cuda, WhatDoesNotEndInTimeIsGivenUp) {
  const Problem p{{16384, 16384, 1, 8, 8, 64, Dtype::kBf16}, Mask::kFull, Partition::kContiguous, Pass::kForward, 2};
  const Schedule s = schedule_of(p, "ring");
  RunOptions options = all_on_one(s, Kernels::kReference);
  options.timeout_s = 1e-3;
  try {
    (void)gpu::run(s, cpu::random_tensors(p.shape, 1), options, Job::alone(0));
    FAIL() << "ended";
  } catch (const DeviceError& e) {
    EXPECT_THAT(e.what(), ::testing::HasSubstr("timed out; pending: rank 0 at op "));
    EXPECT_THAT(e.what(), ::testing::HasSubstr("rank 1 at op "));
  }
}

class CudaPairs : public Cuda {
 protected:
  void SetUp() override { need(2); }
};

RunOptions two_devices(gpu::Transport transport) {
  RunOptions options;
  options.transport = transport;
  options.warm_ups = 1;
  options.repeats = 2;
  return options;
}

/// Two devices of one process: peers' copies and NCCL give what copies on one device give.
TEST_F(CudaPairs, EveryTransportGivesTheSameNumbers) {
  const Problem p{{1024, 1024, 1, 8, 2, 64, Dtype::kBf16}, Mask::kCausal, Partition::kZigzag, Pass::kForward, 2};
  const cpu::Tensors given = gpu::rounded(p.shape, cpu::random_tensors(p.shape, 1));
  for (std::string_view algorithm : {"ring", "ulysses"}) {
    const Schedule s = schedule_of(p, algorithm);
    const cpu::Tensors one = run_on_one(s, given, Kernels::kRepeatable);
    for (gpu::Transport transport : {gpu::Transport::kCopies, gpu::Transport::kNccl}) {
      RunOptions options = two_devices(transport);
      options.kernels = Kernels::kRepeatable;
      EXPECT_TRUE(gpu::run(s, given, options, Job::alone(0)).outputs.o == one.o) << algorithm;
    }
  }
}

/// Rank 1 leaves its last exchange out, after connections were made: NCCL would wait for ever.
TEST_F(CudaPairs, AMissingExchangeIsGivenUp) {
  const Problem p{{512, 512, 1, 4, 4, 64, Dtype::kBf16}, Mask::kFull, Partition::kContiguous, Pass::kBackward, 2};
  Schedule s = schedule_of(p, "ring");
  std::vector<OpId> exchanges;
  for (OpId op = s.ops_begin(1); op < s.ops_end(1); ++op)
    if (std::holds_alternative<Exchange>(s.ops[op])) exchanges.push_back(op);
  ASSERT_GE(exchanges.size(), 2u);
  std::get<Exchange>(s.ops[exchanges.back()]).count = 0;
  RunOptions options = two_devices(gpu::Transport::kNccl);
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
