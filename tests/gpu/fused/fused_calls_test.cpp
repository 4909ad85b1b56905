#include "gpu/fused/fused_calls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "gpu/issue/issue.h"
#include "gpu/kernels/cpu_kernels.h"
#include "gpu/kernels/value_conversion.h"
#include "tests/gpu/device/mock_device.h"
#include "tests/gpu/schedules.h"
#include "tests/support/proof.h"

namespace meshattn {
namespace {

using gpu::FusedKey;
using gpu::MatrixView;
using Bounds = FusedKey::Bounds;

/// The key describes the matrices completely, but for their offsets.
void expect_described(const FusedKey& key, const MatrixView& q, const MatrixView& k, const MatrixView& o,
                      const MatrixView& lse) {
  EXPECT_EQ(std::tuple(key.items, key.heads, key.kv_heads, key.queries, key.keys, key.width),
            std::tuple(q.items, q.heads, k.heads, q.tokens, k.tokens, q.width));
  EXPECT_EQ(key.q, gpu::strides_of(q));
  EXPECT_EQ(key.k, gpu::strides_of(k));
  EXPECT_EQ(key.o, gpu::strides_of(o));
  EXPECT_EQ(key.lse, gpu::strides_of(lse));
  EXPECT_EQ(key.heads % key.kv_heads, 0);
  for (const MatrixView& rows : {q, k, o}) EXPECT_EQ(rows.offset % 16, 0u);
}

/// Runs fused calls, with the reference kernels in place of fused ones. Scratch memory is NaN before each call.
class FusedOnCpu {
 public:
  FusedOnCpu(std::uint64_t scratch, bool repeatable) : scratch_(scratch), repeatable_(repeatable) {}

  void operator()(const gpu::Call& call, std::byte* arena) {
    std::fill_n(arena + scratch_, kScratch, std::byte{0xFF});
    const gpu::FusedCall made = gpu::fused(call, scratch_, repeatable_);
    for (const gpu::FusedKernel& kernel : made.kernels) run(kernel, arena);
    if (made.kernels.empty()) gpu::run_on_cpu(call, arena);
    fused_ += made.kernels.size();
    ASSERT_LE(made.scratch_bytes, kScratch);
    const std::span rest(arena + scratch_ + made.scratch_bytes, kScratch - made.scratch_bytes);
    EXPECT_TRUE(std::ranges::all_of(rest, [](std::byte b) { return b == std::byte{0xFF}; })) << "beyond scratch memory";
  }
  [[nodiscard]] std::size_t fused() const { return fused_; }

  static constexpr std::uint64_t kScratch = 1 << 18;

 private:
  void run(const gpu::FusedKernel& kernel, std::byte* arena) const {
    if (kernel.prologue) gpu::run_on_cpu(*kernel.prologue, arena);
    std::visit([&](const auto& call) { run(kernel, call, arena); }, kernel.call);
    for (const gpu::CombineCall& sum : kernel.epilogue) gpu::run_on_cpu(sum, arena);
  }
  void run(const gpu::FusedKernel& kernel, const gpu::AttendCall& call, std::byte* arena) const {
    expect_described(kernel.key, call.q, call.k, call.o, call.lse);
    EXPECT_FALSE(call.merge);
    gpu::run_on_cpu(call, arena);
  }
  /// Computes delta from the surrogate O, in memory behind all scratch memory.
  void run(const gpu::FusedKernel& kernel, gpu::BackwardCall call, std::byte* arena) const {
    const FusedKey& key = kernel.key;
    expect_described(key, call.q, call.k, kernel.prologue->made, call.lse);
    EXPECT_EQ(key.d_o, gpu::strides_of(call.d_o));
    EXPECT_EQ(key.dq, gpu::strides_of(call.dq));
    EXPECT_EQ(key.dk, gpu::strides_of(call.dk));
    EXPECT_EQ(gpu::strides_of(call.dk), gpu::strides_of(call.dv));
    EXPECT_EQ(key.heads, key.kv_heads);
    EXPECT_FALSE(call.add_dq || call.add_dkv);
    if (!key.repeatable)
      std::fill_n(arena + kernel.dq_sum, gpu::dq_sum_bytes(key), std::byte{0x7F});  // as a sum of dq leaves it
    const MatrixView& q = call.q;
    const auto numbers = [&](std::uint64_t at) {
      return gpu::packed_matrix(at, q.items, q.heads, q.tokens, 1, Dtype::kFp32);
    };
    const std::uint64_t free = scratch_ + kScratch, lse = free + 4 * static_cast<std::uint64_t>(q.row_count());
    call.delta = numbers(free);
    gpu::run_on_cpu(gpu::DeltaCall{kernel.prologue->made, call.lse, call.d_o, numbers(lse), call.delta}, arena);
    gpu::run_on_cpu(call, arena);
  }

  std::uint64_t scratch_;
  bool repeatable_;
  std::size_t fused_ = 0;
};

/// Every algorithm by fused calls. Delta is computed from a surrogate O rounded to 16 bits, an error of 2^-9 of it in
/// bf16; so results may have twice the rounding error of 16-bit outputs.
TEST(FusedCalls, EveryScheduleEndsAsDenseAttention) {
  std::mt19937 random(1);
  for (bool repeatable : {false, true})
    for (int ranks : {2, 4})
      for (const auto& [name, s] : testing::schedules_of(ranks, Dtype::kBf16, 8)) {
        SCOPED_TRACE(name);
        const AttentionShape& shape = s.problem.shape;
        cpu::Tensors dense = gpu::rounded(shape, cpu::random_tensors(shape, 7));
        cpu::dense_forward(shape, s.problem.mask, dense);
        dense = gpu::rounded(shape, std::move(dense));
        cpu::dense_backward(shape, s.problem.mask, dense);
        const std::uint64_t scratch = (s.peak_bytes + 255) / 256 * 256;
        auto kernels = std::make_shared<FusedOnCpu>(scratch, repeatable);
        testing::MockDevice device(
            s, dense, [kernels](const gpu::Call& call, std::byte* arena) { (*kernels)(call, arena); },
            256 + 2 * FusedOnCpu::kScratch);
        gpu::issue_copies(s, gpu::issue(s), device);
        ASSERT_EQ(device.run(random), "");
        ASSERT_LE(testing::error_of(device.outputs(), dense, s.problem.pass), 0x1p-7);
        ASSERT_GT(kernels->fused(), 0u);
      }
}

/// 6 query heads, 2 key/value heads, 2 items. Backward takes a kernel for each item, in which the 2 groups of 3 heads
/// are items.
TEST(FusedCalls, GroupedHeadsAreItemsOfTheirOwn) {
  const MatrixView q = gpu::packed_matrix(0, 2, 6, 16, 8, Dtype::kBf16),
                   k = gpu::packed_matrix(8192, 2, 2, 16, 8, Dtype::kBf16);
  gpu::BackwardCall call{};
  call.q = call.d_o = q;
  call.k = call.v = k;
  call.lse = call.delta = gpu::packed_matrix(16384, 2, 6, 16, 1, Dtype::kFp32);
  call.dq = gpu::packed_matrix(20480, 2, 6, 16, 8, Dtype::kFp32);
  call.dk = call.dv = gpu::packed_matrix(40960, 2, 2, 16, 8, Dtype::kFp32);
  const std::vector<gpu::FusedKernel> kernels = gpu::fused(call, 65536, false).kernels;
  ASSERT_EQ(kernels.size(), 2u);
  for (std::size_t item = 0; item < 2; ++item) {
    const gpu::FusedKernel& b = kernels[item];
    EXPECT_EQ(std::tuple(b.key.items, b.key.heads, b.key.kv_heads), std::tuple(2, 3, 3));
    EXPECT_EQ(std::get<gpu::BackwardCall>(b.call).q.offset, item * 6 * 16 * 8 * 2);
    EXPECT_EQ(b.key.k.head, 0);  // shared by the group
    ASSERT_EQ(b.epilogue.size(), 2u);
    EXPECT_EQ(b.epilogue[0].summands.size(), 3u);
    EXPECT_EQ(b.epilogue[0].made.offset, call.dk.offset + item * 2 * 16 * 8 * 4);
  }
}

/// Ranges of bytes in scratch memory, which begins at kFree.
constexpr std::uint64_t kFree = 1 << 20;
using Bytes = std::pair<std::uint64_t, std::uint64_t>;

void take(std::vector<Bytes>& taken, std::uint64_t begin, std::uint64_t bytes) {
  if (begin >= kFree && bytes > 0) taken.emplace_back(begin, begin + bytes);
}

void take(std::vector<Bytes>& taken, const MatrixView& rows) {
  take(taken, rows.offset, static_cast<std::uint64_t>(rows.row_count()) * rows.row_bytes());
}

/// The scratch memory of a kernel. Its parts must be disjoint: cuDNN may write one result before it has read all
/// inputs.
std::vector<Bytes> scratch_of(const gpu::FusedKernel& kernel) {
  std::vector<Bytes> taken;
  if (const auto* a = std::get_if<gpu::AttendCall>(&kernel.call))
    for (const MatrixView* rows : {&a->o, &a->lse}) take(taken, *rows);
  if (const auto* b = std::get_if<gpu::BackwardCall>(&kernel.call)) {
    for (const MatrixView* rows : {&kernel.prologue->made, &b->dq, &b->dk, &b->dv}) take(taken, *rows);
    if (!kernel.key.repeatable) take(taken, kernel.dq_sum, gpu::dq_sum_bytes(kernel.key));
  }
  return taken;
}

void expect_apart(std::vector<Bytes> taken, std::size_t pieces, std::uint64_t scratch_bytes) {
  ASSERT_EQ(taken.size(), pieces);
  std::ranges::sort(taken);
  for (std::size_t i = 0; i + 1 < taken.size(); ++i) EXPECT_LE(taken[i].second, taken[i + 1].first);
  EXPECT_LE(taken.back().second, kFree + scratch_bytes);
  for (const Bytes& bytes : taken) EXPECT_EQ(bytes.first % 16, 0u);
}

TEST(FusedCalls, ScratchMemoryOfAKernelIsDisjoint) {
  const auto rows = [](std::int32_t heads, std::int32_t width, Dtype dtype) {
    return gpu::packed_matrix(0, 2, heads, 16, width, dtype);
  };
  for (std::int32_t kv_heads : {6, 2}) {
    gpu::BackwardCall b{};
    b.q = b.d_o = rows(6, 8, Dtype::kBf16);
    b.k = b.v = rows(kv_heads, 8, Dtype::kBf16);
    b.lse = b.delta = rows(6, 1, Dtype::kFp32);
    b.dq = rows(6, 8, Dtype::kFp32);
    b.dk = b.dv = rows(kv_heads, 8, Dtype::kFp32);
    b.add_dq = b.add_dkv = true;
    for (bool repeatable : {false, true}) {
      const gpu::FusedCall made = gpu::fused(b, kFree, repeatable);
      for (const gpu::FusedKernel& kernel : made.kernels)  // O', dq, dk, dv, and the sum of dq
        expect_apart(scratch_of(kernel), repeatable ? 4 : 5, made.scratch_bytes);
    }
    const gpu::AttendCall a{b.q, b.k, b.v, b.dq, b.lse, {}, true};
    const gpu::FusedCall made = gpu::fused(a, kFree, false);
    expect_apart(scratch_of(made.kernels.at(0)), 2, made.scratch_bytes);
  }
}

/// A row whose dO is zero needs no surrogate: it is zero, not NaN.
TEST(Surrogates, AreZeroWhereDOIs) {
  std::vector<float> arena{3, 4, 0, 0, /* delta */ 50, 7, /* made */ NAN, NAN, NAN, NAN};
  const MatrixView d_o = gpu::packed_matrix(0, 1, 1, 2, 2, Dtype::kFp32),
                   delta = gpu::packed_matrix(16, 1, 1, 2, 1, Dtype::kFp32);
  const MatrixView made = gpu::packed_matrix(24, 1, 1, 2, 2, Dtype::kFp32);
  gpu::run_on_cpu(gpu::SurrogateCall{d_o, delta, made}, reinterpret_cast<std::byte*>(arena.data()));
  EXPECT_THAT(std::span(arena).subspan(6), ::testing::ElementsAre(6, 8, 0, 0));  // 3·6 + 4·8 = 50
}

/// cuDNN sums dq in fp32 in blocks of 128 rows and 16 numbers.
TEST(FusedCalls, TheSumOfDqHasWholeBlocks) {
  FusedKey key;
  key.items = 2;
  key.heads = 3;
  key.queries = 129;
  key.width = 72;
  EXPECT_EQ(gpu::dq_sum_bytes(key), 2u * 3 * 256 * 80 * 4);
}

TEST(FusedCalls, UnsupportedShapesHaveNoKernels) {
  gpu::AttendCall call{};
  for (const auto& [width, dtype, taken] : {std::tuple{128, Dtype::kBf16, true},
                                            {128, Dtype::kFp16, true},
                                            {128, Dtype::kFp32, false},
                                            {12, Dtype::kBf16, false},
                                            {264, Dtype::kBf16, false}}) {
    call.q = call.k = call.v = gpu::packed_matrix(0, 1, 2, 64, width, dtype);
    EXPECT_EQ(!gpu::fused(call, 0, false).kernels.empty(), taken) << width;
  }
}

TEST(Bounds, AreTheEndsThatABandHas) {
  using gpu::Band;
  EXPECT_EQ(gpu::bounds_of({}), Bounds::kFull);
  EXPECT_EQ(gpu::bounds_of({-Band::kUnbounded, 0}), Bounds::kCausal);
  EXPECT_EQ(gpu::bounds_of({-Band::kUnbounded, 5}), Bounds::kUpper);
  EXPECT_EQ(gpu::bounds_of({-3, Band::kUnbounded}), Bounds::kLower);
  EXPECT_EQ(gpu::bounds_of({-3, 0}), Bounds::kBoth);
}

}  // namespace
}  // namespace meshattn
