// The deviation of fused kernels from dense attention. Skipped without a device.

#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>

#include "gpu/kernels/value_conversion.h"
#include "tests/gpu/cuda_fixture.h"
#include "tests/gpu/schedules.h"

namespace meshattn {
namespace {

using gpu::Kernels;
using testing::Cuda;
using testing::deviations;
using testing::run_on_one;
using testing::schedule_of;

Problem on_one_rank(Problem p) {
  p.ranks = p.cuts = 1;
  p.partition = Partition::kContiguous;
  return p;
}

/// Adds the results of the reference kernels, in fp32 on one rank, to rounded inputs.
cpu::Tensors yardstick(const Problem& problem, cpu::Tensors given) {
  Problem p = on_one_rank(problem);
  p.shape.dtype = Dtype::kFp32;
  const cpu::Tensors made = run_on_one(schedule_of(p, "ring"), given, Kernels::kReference);
  for (auto part : {&cpu::Tensors::o, &cpu::Tensors::lse, &cpu::Tensors::dq, &cpu::Tensors::dk, &cpu::Tensors::dv})
    if (!(made.*part).empty()) given.*part = made.*part;
  return given;
}

/// O deviates by at most 3e-3, gradients by at most 1e-2, and all by at most 1.1 times the deviation on one rank.
void expect_near(const Schedule& s, const cpu::Tensors& outputs, const cpu::Tensors& given, Kernels kernels,
                 const std::string& what) {
  const Schedule dense = schedule_of(on_one_rank(s.problem), "ring");
  const auto of_dense = deviations(dense, run_on_one(dense, given, kernels), given);
  const auto ours = deviations(s, outputs, given);
  ASSERT_EQ(ours.size(), of_dense.size());
  for (std::size_t i = 0; i < ours.size(); ++i) {
    EXPECT_LE(ours[i].relative, ours[i].tensor.starts_with("d") ? 1e-2 : 3e-3) << ours[i].tensor << what;
    if (ours[i].tensor != "lse") {
      EXPECT_LE(ours[i].relative, 1.1 * of_dense[i].relative) << ours[i].tensor << what;
    }
  }
}

/// Runs cuDNN's kernels in both passes. Two runs of the repeatable kernels give the same bits.
void expect_right(Problem p, const Options& options, std::string_view algorithm, std::span<const Kernels> all_kernels) {
  cpu::Tensors given = yardstick(p, gpu::rounded(p.shape, cpu::random_tensors(p.shape, 1)));
  for (Pass pass : {Pass::kForward, Pass::kBackward}) {
    p.pass = pass;
    if (pass == Pass::kBackward) given = yardstick(p, gpu::rounded(p.shape, std::move(given)));
    const Schedule s = schedule_of(p, algorithm, options);
    const std::string what =
        fmt::format(" {} {} on {}, {} {}, {} of {} tokens, {} items, {} key/value heads of {}", name_of(pass),
                    algorithm, p.ranks, name_of(p.mask), name_of(p.partition), p.shape.seq_q, p.shape.seq_kv,
                    p.shape.batch, p.shape.kv_heads, p.shape.head_dim);
    for (Kernels kernels : all_kernels) {
      const cpu::Tensors outputs = run_on_one(s, given, kernels);
      expect_near(s, outputs, given, kernels, what);
      if (kernels != Kernels::kRepeatable) continue;
      const cpu::Tensors again = run_on_one(s, given, kernels);
      for (auto part : {&cpu::Tensors::o, &cpu::Tensors::dq, &cpu::Tensors::dk, &cpu::Tensors::dv})
        EXPECT_TRUE(outputs.*part == again.*part) << what;
    }
  }
}

class CudaAccuracy : public Cuda, public ::testing::WithParamInterface<int> {};

/// 256 tokens per rank.
TEST_P(CudaAccuracy, IsThatOfDenseAttention) {
  const int n = GetParam();
  const std::int64_t tokens = 256L * n;
  const std::pair<Mask, Partition> masks[] = {
      {Mask::kFull, Partition::kContiguous}, {Mask::kCausal, Partition::kZigzag}, {Mask::kCausal, Partition::kStriped}};
  for (const auto& [mask, partition] : masks)
    for (int kv_heads : {8, 2}) {
      // cuDNN takes a second for each new plan, so not every dtype is combined with every tile.
      const Dtype dtype = kv_heads == 8 ? Dtype::kBf16 : Dtype::kFp16;
      const Problem p{{tokens, tokens, 1, 8, kv_heads, 64, dtype}, mask, partition, Pass::kForward, n};
      const std::vector<Kernels> kernels = partition == Partition::kZigzag
                                               ? std::vector{Kernels::kFast, Kernels::kRepeatable}
                                               : std::vector{Kernels::kFast};
      expect_right(p, {}, "ring", kernels);
      const int rows = partition == Partition::kStriped ? n : 2;
      expect_right(p, {.tile = Tile{rows, n / rows}}, "mesh", kernels);
    }
}

INSTANTIATE_TEST_SUITE_P(Ranks, CudaAccuracy, ::testing::Values(2, 4, 8, 16));

/// Other shapes and masks, on four ranks.
struct Kind {
  const char* name;
  Problem problem;
};

Mask documents_of(std::initializer_list<std::int64_t> lengths) {
  Mask mask = Mask::kCausal;
  mask.documents = Documents(std::vector<std::int64_t>(lengths));
  return mask;
}

std::vector<Kind> kinds() {
  const auto problem = [](const AttentionShape& shape, Mask mask, Partition partition) {
    return Problem{shape, std::move(mask), partition, Pass::kForward, 4};
  };
  const Dtype bf16 = Dtype::kBf16;
  return {{"HeadsOf128", problem({2048, 2048, 1, 8, 2, 128, bf16}, Mask::kCausal, Partition::kZigzag)},
          {"TwoItems", problem({1024, 1024, 2, 8, 8, 64, bf16}, Mask::kCausal, Partition::kZigzag)},
          {"TwoItemsOfGroups", problem({1024, 1024, 2, 8, 2, 64, bf16}, Mask::kCausal, Partition::kZigzag)},
          {"Window", problem({2048, 2048, 1, 8, 2, 64, bf16}, Mask{true, 700, {}}, Partition::kContiguous)},
          {"WindowZigzag", problem({2048, 2048, 1, 8, 2, 64, bf16}, Mask{true, 700, {}}, Partition::kZigzag)},
          {"Documents", problem({2048, 2048, 1, 8, 2, 64, bf16}, documents_of({1200, 848}), Partition::kContiguous)},
          {"DocumentsZigzag",
           problem({2048, 2048, 1, 8, 2, 64, bf16}, documents_of({1024, 1024}), Partition::kDocumentZigzag)},
          {"CachedPrefix", problem({1024, 3072, 1, 8, 2, 64, bf16}, Mask::kCausal, Partition::kZigzag)},
          {"CachedPrefixInAWindow", problem({1024, 1536, 1, 8, 2, 64, bf16}, Mask{true, 700, {}}, Partition::kZigzag)}};
}

class CudaKinds : public Cuda, public ::testing::WithParamInterface<Kind> {};

TEST_P(CudaKinds, AreAsNearAsDenseAttention) {
  const std::vector<Kernels> kernels{Kernels::kFast};
  expect_right(GetParam().problem, {}, "ring", kernels);
  expect_right(GetParam().problem, {.tile = Tile{2, 2}}, "mesh", kernels);
}

INSTANTIATE_TEST_SUITE_P(Kinds, CudaKinds, ::testing::ValuesIn(kinds()),
                         [](const auto& kind) { return std::string(kind.param.name); });

/// Their schedules can be made. Needs no device.
TEST(CudaKindsOnPaper, CanBePlanned) {
  for (const Kind& kind : kinds())
    for (Pass pass : {Pass::kForward, Pass::kBackward}) {
      Problem p = kind.problem;
      p.pass = pass;
      EXPECT_NO_THROW((void)schedule_of(p, "ring")) << kind.name;
      EXPECT_NO_THROW((void)schedule_of(p, "mesh", {.tile = Tile{2, 2}})) << kind.name;
      EXPECT_NO_THROW((void)schedule_of(on_one_rank(p), "ring")) << kind.name;
    }
}

}  // namespace
}  // namespace meshattn
