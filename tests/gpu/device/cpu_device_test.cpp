#include "gpu/device/cpu_device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "tests/gpu/schedules.h"
#include "tests/support/proof.h"

namespace meshattn {
namespace {

using testing::schedule_of;

Problem problem_of(Pass pass, int ranks) {
  return {{64, 64, 2, 4, 2, 8, Dtype::kFp32}, Mask::kCausal, Partition::kZigzag, pass, ranks};
}

/// A stream that never ends is an error that names the first unfinished op of every rank.
TEST(CpuDevice, GivesUpAtTheDeadline) {
  const Schedule s = schedule_of(problem_of(Pass::kForward, 2), "ring");
  const cpu::Tensors given = testing::dense_tensors(s.problem.shape, s.problem.mask);
  gpu::CpuDevice device(s, &given);
  device.wait(0, 0, {s.ops_end(0) - 1, gpu::Mark::Point::kEnd});
  try {
    device.finish(gpu::deadline_in(0.05));
    FAIL() << "ended";
  } catch (const DeviceError& e) {
    EXPECT_THAT(e.what(), ::testing::HasSubstr("timed out; pending: rank 0 at op 0: "));
  }
}

}  // namespace
}  // namespace meshattn
