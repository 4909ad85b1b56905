#include <gtest/gtest.h>

#include <cmath>

#include "core/algorithms/catalogue.h"
#include "core/execution/cpu/executor.h"
#include "core/schedule/passes/assign_memory.h"
#include "core/schedule/passes/prune.h"
#include "core/schedule/passes/verify.h"
#include "core/schedule/text.h"
#include "tests/support/masks.h"
#include "tests/support/plans.h"

namespace meshattn::cpu {
namespace {

/// Sum of all deviations over the largest number; NaN if a number is missing.
double error_of(const std::vector<double>& is, const std::vector<double>& should) {
  double deviation = is.size() == should.size() ? 0 : NAN, greatest = 1e-300;
  for (std::size_t i = 0; i < is.size(); ++i) {
    deviation += std::abs(is[i] - should[i]);
    greatest = std::max(greatest, std::abs(should[i]));
  }
  return deviation / greatest;
}

double error_of(const Tensors& is, const Tensors& should, Pass pass) {
  if (pass == Pass::kForward) return error_of(is.o, should.o) + error_of(is.lse, should.lse);
  return error_of(is.dq, should.dq) + error_of(is.dk, should.dk) + error_of(is.dv, should.dv);
}

/// Every tile of the problem's ranks, in any order: it is proved, equals dense attention, and is the same from its
/// text.
void expect_exact(const Problem& p, std::mt19937& random) {
  Tensors dense = random_tensors(p.shape, 5);
  dense_forward(p.shape, p.mask, dense);
  dense_backward(p.shape, p.mask, dense);
  for (Tile tile : tiles_of(p.ranks)) {
    Schedule s = prune(mesh(p, testing::random_plan(tile, p.pass, random), random() % 2 ? Dtype::kFp32 : Dtype::kBf16));
    assign_memory(s);
    const std::string what = testing::describe(p) + ", tile " + std::to_string(tile.rows);
    for (const Finding& finding : verify(s)) ADD_FAILURE() << what << ": " << finding.what;
    EXPECT_LE(error_of(run(s, dense), dense, p.pass), 1e-12) << what;
    const std::string text = write_text(s);
    const Schedule read = read_text(text, "text");
    EXPECT_EQ(read.problem, p) << what;
    EXPECT_EQ(write_text(read), text) << what;
  }
}

/// Windows shorter and longer than a chunk, documents of many lengths, both, also under the full mask; all partitions,
/// cuts, cached prefixes, lengths that ranks do not divide, prime numbers of ranks.
TEST(CpuMasks, AnyMaskEqualsDenseAttention) {
  std::mt19937 random(9);
  for (int i = 0; i < 500 && !HasFailure(); ++i) expect_exact(testing::random_problem(random, 8), random);
}

/// Queries and keys are partitioned by their own lengths: chunk r of the queries sees more than chunk r of the keys.
TEST(CpuMasks, AttendsACachedPrefix) {
  std::mt19937 random(2);
  for (int ranks : {1, 2, 3, 4, 6})
    for (std::int64_t prefix : {1, 13, 100})
      for (Pass pass : {Pass::kForward, Pass::kBackward})
        for (Partition partition : {Partition::kContiguous, Partition::kStriped, Partition::kZigzag})
          expect_exact({{5L * ranks + 1, 5L * ranks + 1 + prefix, 2, 2, 1, 3, Dtype::kFp32},
                        Mask::kCausal,
                        partition,
                        pass,
                        ranks},
                       random);
}

}  // namespace
}  // namespace meshattn::cpu
