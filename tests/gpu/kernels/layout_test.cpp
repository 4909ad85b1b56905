#include "gpu/kernels/layout.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/gpu/schedules.h"

namespace meshattn {
namespace {

using testing::schedules_of;

/// The matrices of a value fill its bytes one after the other, and its cells fill the tokens of a matrix.
TEST(ValueLayout, FillsTheBytesOfTheValue) {
  for (const auto& [name, s] : schedules_of(4, Dtype::kBf16)) {
    SCOPED_TRACE(name);
    for (ValueId v = 0; v < s.values.size(); ++v) {
      const gpu::ValueLayout layout(s, v);
      std::uint64_t end = s.offset[v];
      for (int k = 0; k < layout.matrices(); ++k) {
        const gpu::MatrixView& matrix = layout.matrix(k);
        ASSERT_EQ(matrix.offset, end);
        end += static_cast<std::uint64_t>(matrix.row_count()) * matrix.row_bytes();
      }
      ASSERT_EQ(end, s.offset[v] + s.bytes(v));
      std::int64_t tokens = 0;
      for (Cell cell : s.region(v).cells) {
        ASSERT_EQ(layout.first_token(cell), tokens);
        tokens += layout.tokens_of(cell);
      }
      ASSERT_EQ(layout.matrix(0).tokens, tokens);
      const Cell other = static_cast<Cell>(s.region(v).cells.back() + 1);
      ASSERT_EQ(layout.first_token(other), std::nullopt);
    }
  }
}

/// Runs are ascending in the source and fill the value made. A whole value is one run; a range of its heads is one for
/// each of two matrices and two batch items.
TEST(ByteRuns, FillTheValueMade) {
  for (const auto& [name, s] : schedules_of(4, Dtype::kBf16)) {
    SCOPED_TRACE(name);
    for (TransferId t = 0; t < s.transfers.size(); ++t) {
      const auto [source, made, lane] = s.transfers[t];
      const std::vector<gpu::ByteRun> runs = gpu::byte_runs_of(s, t);
      std::uint64_t bytes = 0, source_end = s.offset[source], made_end = s.offset[made];
      for (const gpu::ByteRun& run : runs) {
        ASSERT_GE(run.source, source_end);
        ASSERT_EQ(run.made, made_end);
        source_end = run.source + run.bytes;
        made_end = run.made + run.bytes;
        bytes += run.bytes;
      }
      ASSERT_EQ(bytes, s.bytes(made));
      ASSERT_LE(source_end, s.offset[source] + s.bytes(source));
      if (s.values[source].region == s.values[made].region) {
        ASSERT_EQ(runs.size(), 1u);
      }
      if (std::ranges::equal(s.region(source).cells, s.region(made).cells)) {
        ASSERT_LE(runs.size(), 4u);
      }
    }
  }
}

}  // namespace
}  // namespace meshattn
