#include "core/partition.h"

#include <gtest/gtest.h>

#include <set>

#include "core/problem.h"

namespace meshattn {
namespace {

constexpr Partition kAll[] = {Partition::kContiguous, Partition::kStriped, Partition::kZigzag};

TEST(Partition, EveryTokenIsInExactlyOneCell) {
  for (Partition partition : kAll)
    for (int ranks : {1, 2, 3, 8})
      for (std::int64_t seq : {std::int64_t{16}, std::int64_t{17}, std::int64_t{61}}) {
        std::multiset<std::int64_t> seen;
        for (Cell cell = 0; cell < static_cast<Cell>(ranks * pieces_of(partition)); ++cell) {
          const TokenRun run = run_of(partition, seq, ranks, cell);
          EXPECT_GE(run.count, 1);
          for (std::int64_t i = 0; i < run.count; ++i) seen.insert(run.start + i * run.stride);
        }
        EXPECT_EQ(seen.size(), static_cast<std::size_t>(seq));
        for (std::int64_t t = 0; t < seq; ++t) EXPECT_EQ(seen.count(t), 1u) << name_of(partition) << " token " << t;
      }
}

TEST(Mask, BlocksCountThePairsThatTheDefinitionLeaves) {
  for (Partition partition : kAll)
    for (Mask mask : {Mask::kFull, Mask::kCausal})
      for (int ranks : {1, 2, 3, 5})
        for (auto [seq_q, seq_kv] : {std::pair{std::int64_t{10}, std::int64_t{10}}, {11, 11}, {13, 31}}) {
          const Problem p{{seq_q, seq_kv, 1, 1, 1, 4, Dtype::kBf16}, mask, partition, Pass::kForward, ranks};
          double sum = 0;
          for (Cell q = 0; q < p.cells(); ++q)
            for (Cell kv = 0; kv < p.cells(); ++kv) {
              const TokenRun qr = p.q_run(q), kr = p.kv_run(kv);
              const Block block = p.block(q, kv);
              std::int64_t pairs = 0;
              for (std::int64_t i = 0; i < qr.count; ++i)
                for (std::int64_t j = 0; j < kr.count; ++j) {
                  const bool seen = mask == Mask::kFull || kr.start + j * kr.stride <= qr.start + i * qr.stride;
                  pairs += seen;
                  if (block.kind == Block::Kind::kCausal) {
                    EXPECT_EQ(seen, j <= i + block.shift);
                  }
                }
              EXPECT_EQ(block.pairs, pairs);
              EXPECT_EQ(block.kind == Block::Kind::kEmpty, pairs == 0);
              EXPECT_EQ(block.kind == Block::Kind::kFull, pairs == qr.count * kr.count);
              sum += static_cast<double>(pairs);
            }
          EXPECT_EQ(sum, total_pairs(p));
        }
}

}  // namespace
}  // namespace meshattn
