#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/schedule/passes/assign_memory.h"
#include "core/schedule/schedule_builder.h"
#include "gpu/issue/issue.h"
#include "tests/gpu/device/mock_device.h"
#include "tests/support/proof.h"

namespace meshattn {
namespace {

/// 9 query heads on 3 key/value heads, on one rank.
Problem grouped(Pass pass) {
  return {{8, 8, 2, 9, 3, 4, Dtype::kFp32}, Mask::kCausal, Partition::kContiguous, pass, 1};
}

/// Attention of a range of query heads, which may begin and end within a group, with all key/value heads.
Schedule of_heads(HeadRange heads, Pass pass) {
  ScheduleBuilder b(grouped(pass));
  const Cell cell = 0;
  const RegionId rows = b.region(std::span(&cell, 1), heads), columns = b.region(std::span(&cell, 1), {0, 3});
  const ValueId q = b.input(0, Tensor::kQ, rows, Dtype::kFp32), kv = b.input(0, Tensor::kKV, columns, Dtype::kFp32);
  if (pass == Pass::kForward) {
    const AttendRow row{.q = q, .o = b.declare(0, Tensor::kO, rows, Dtype::kFp32)};
    b.attend(0, std::span(&row, 1), std::span(&kv, 1));
    b.output(row.o);
  } else {
    const ValueId o = b.input(0, Tensor::kO, rows, Dtype::kFp32), d_o = b.input(0, Tensor::kDO, rows, Dtype::kFp32);
    const ValueId delta = b.delta(o, d_o);
    const BackwardRow row{.q = q, .d_o = d_o, .delta = delta, .dq = b.declare(0, Tensor::kDQ, rows, Dtype::kFp32)};
    const BackwardColumn column{.kv = kv, .dkv = b.declare(0, Tensor::kDKV, columns, Dtype::kFp32)};
    b.attend_backward(0, std::span(&row, 1), std::span(&column, 1));
    b.output(row.dq);
    b.output(column.dkv);
  }
  Schedule s = b.finish();
  assign_memory(s);
  return s;
}

/// Dense attention in which only these heads contribute to dK and dV: dO is zero in the others.
cpu::Tensors dense_of(HeadRange heads, const Problem& p) {
  cpu::Tensors t = cpu::random_tensors(p.shape, 5);
  const auto width = static_cast<std::size_t>(p.shape.head_dim), all = static_cast<std::size_t>(p.shape.heads);
  for (std::size_t i = 0; i < t.d_o.size(); ++i) {
    const auto head = static_cast<std::int32_t>(i / width % all);
    if (head < heads.begin || head >= heads.end) t.d_o[i] = 0;
  }
  cpu::dense_forward(p.shape, p.mask, t);
  cpu::dense_backward(p.shape, p.mask, t);
  return t;
}

/// Expects that `is` has the numbers of these heads, and no others.
void expect_rows(const std::vector<double>& is, const std::vector<double>& should, HeadRange heads, int width) {
  ASSERT_EQ(is.size(), should.size());
  for (std::size_t i = 0; i < is.size(); ++i) {
    const auto head = static_cast<std::int32_t>(i / static_cast<std::size_t>(width) % 9);
    if (head < heads.begin || head >= heads.end)
      EXPECT_TRUE(std::isnan(is[i]));
    else
      EXPECT_NEAR(is[i], should[i], 1e-5);
  }
}

/// The number of ranges: the part of a group at the begin, all whole groups, the part of a group at the end.
std::size_t pieces(HeadRange heads) {
  const std::int32_t first_whole = (heads.begin + 2) / 3, last_whole = heads.end / 3;
  if (first_whole > last_whole) return 1;  // within one group
  return static_cast<std::size_t>((heads.begin % 3 > 0) + (first_whole < last_whole) + (heads.end % 3 > 0));
}

TEST(CallsHeads, MayBeginAndEndWithinAGroup) {
  std::mt19937 random(1);
  for (std::int32_t begin = 0; begin < 9; ++begin)
    for (std::int32_t end = begin + 1; end <= 9; ++end)
      for (Pass pass : {Pass::kForward, Pass::kBackward}) {
        SCOPED_TRACE(::testing::Message() << "heads " << begin << " to " << end << ' ' << name_of(pass));
        const HeadRange heads{begin, end};
        const Schedule s = of_heads(heads, pass);
        const cpu::Tensors dense = dense_of(heads, s.problem);
        testing::MockDevice device(s, dense);
        gpu::issue_copies(s, gpu::issue(s), device);
        ASSERT_EQ(device.run(random), "");
        const cpu::Tensors made = device.outputs();
        if (pass == Pass::kForward) {
          expect_rows(made.o, dense.o, heads, 4);
          expect_rows(made.lse, dense.lse, heads, 1);
        } else {
          expect_rows(made.dq, dense.dq, heads, 4);
          EXPECT_LE(testing::error_of(made.dk, dense.dk), 1e-5);
          EXPECT_LE(testing::error_of(made.dv, dense.dv), 1e-5);
        }
      }
}

/// A group is cut only where a range begins or ends within it.
TEST(CallsHeads, AreCutOnlyWhereTheyMustBe) {
  for (std::int32_t begin = 0; begin < 9; ++begin)
    for (std::int32_t end = begin + 1; end <= 9; ++end) {
      const gpu::Calls calls(of_heads({begin, end}, Pass::kForward), 0);
      std::size_t attends = 0;
      for (const gpu::Call& call : calls.all())
        if (const auto* attend = std::get_if<gpu::AttendCall>(&call)) {
          ++attends;
          EXPECT_EQ(attend->q.heads % attend->k.heads, 0);
        }
      EXPECT_EQ(attends, pieces({begin, end})) << begin << " to " << end;
    }
}

}  // namespace
}  // namespace meshattn
