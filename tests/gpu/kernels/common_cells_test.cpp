#include "gpu/kernels/common_cells.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/gpu/schedules.h"

namespace meshattn {
namespace {

/// For the two values of each transfer: every token is found in both, and the runs are contiguous in both and complete.
TEST(CommonCells, FindEveryTokenInEveryValue) {
  for (const auto& [name, s] : testing::schedules_of(4, Dtype::kBf16)) {
    SCOPED_TRACE(name);
    for (const Transfer& transfer : s.transfers) {
      const std::vector<ValueId> values{transfer.made, transfer.source};
      const gpu::CommonCells common(s, values);
      const gpu::ValueLayout made(s, transfer.made), source(s, transfer.source);
      ASSERT_EQ(common.spans().size(), s.region(transfer.made).cells.size());
      std::int64_t tokens = 0;
      for (const gpu::CellSpan& span : common.spans())
        for (std::int64_t i = 0; i < made.tokens_of(span.cell); ++i, ++tokens) {
          ASSERT_EQ(common.token_in(0, tokens), *made.first_token(span.cell) + i);
          ASSERT_EQ(common.token_in(1, tokens), *source.first_token(span.cell) + i);
        }
      std::int64_t end = 0;
      common.for_each_run([&](std::int64_t first, std::int64_t count) {
        ASSERT_EQ(first, end);
        end += count;
        for (std::size_t v : {0, 1})
          for (std::int64_t i = 0; i < count; ++i)
            ASSERT_EQ(common.token_in(v, first + i), common.token_in(v, first) + i);
      });
      ASSERT_EQ(end, tokens);
    }
  }
}

}  // namespace
}  // namespace meshattn
