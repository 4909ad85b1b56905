#include "core/schedule/schedule_builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/plans.h"

namespace meshattn {
namespace {

using ::testing::ElementsAre;
using testing::small_problem;

/// A builder for four ranks with one Q value per rank, and transfers of Q along a ring on lane 1.
struct Ring {
  ScheduleBuilder b{small_problem(4, Pass::kForward, Mask::kFull, Partition::kZigzag, 4, 2)};
  std::vector<ValueId> q;
  std::vector<TransferId> sent;

  Ring() {
    for (Rank r = 0; r < 4; ++r) q.push_back(b.input(r, Tensor::kQ, b.chunk_region(r, Tensor::kQ), Dtype::kBf16));
    for (Rank r = 0; r < 4; ++r) sent.push_back(b.transfer(q[static_cast<std::size_t>(r)], (r + 1) % 4, 1));
  }
};

TEST(ScheduleBuilder, ChunkRegionsHaveAllPiecesAndHeads) {
  Ring ring;
  ring.b.input(0, Tensor::kKV, ring.b.chunk_region(2, Tensor::kKV), Dtype::kBf16);
  ring.b.input(0, Tensor::kQ, ring.b.chunk_region(1, 2, {1, 3}), Dtype::kBf16);
  const Schedule s = ring.b.finish();
  const auto v = static_cast<ValueId>(s.values.size());
  EXPECT_THAT(s.region(v - 2).cells, ElementsAre(4u, 5u));  // zigzag: two pieces
  EXPECT_EQ(s.region(v - 2).heads, (HeadRange{0, 2}));
  EXPECT_THAT(s.region(v - 1).cells, ElementsAre(2u, 3u, 4u, 5u));
  EXPECT_EQ(s.region(v - 1).heads, (HeadRange{1, 3}));
}

TEST(ScheduleBuilder, ATransferMakesACopyOnTheReceiver) {
  Ring ring;
  const Value made = ring.b.value(ring.b.made(ring.sent[3])), source = ring.b.value(ring.q[3]);
  EXPECT_EQ(made, (Value{0, source.region, source.tensor, source.dtype}));
  const Cell cell = 6;
  const RegionId part = ring.b.region(std::span(&cell, 1), {0, 1});
  EXPECT_EQ(ring.b.value(ring.b.made(ring.b.transfer(ring.q[3], part, 1, 2))).region, part);
}

TEST(ScheduleBuilder, ExchangeAllGivesEveryRankItsTransfersOnce) {
  Ring ring;
  ring.b.exchange_all(ring.sent);                                      // all ranks, two transfers each
  ring.b.exchange_all(std::vector{ring.b.transfer(ring.q[1], 3, 1)});  // ranks 1 and 3 only
  const Schedule s = ring.b.finish();
  const auto transfers = [&](Rank rank, OpId index) {
    const auto list = s.transfers_of(std::get<Exchange>(s.ops[s.ops_begin(rank) + index]));
    return std::vector<TransferId>(list.begin(), list.end());
  };
  EXPECT_THAT(s.first_op, ElementsAre(0u, 1u, 3u, 4u, 6u));
  EXPECT_THAT(transfers(0, 0), ElementsAre(0u, 3u));
  EXPECT_THAT(transfers(1, 0), ElementsAre(0u, 1u));
  EXPECT_THAT(transfers(2, 0), ElementsAre(1u, 2u));
  EXPECT_THAT(transfers(3, 0), ElementsAre(2u, 3u));
  EXPECT_THAT(transfers(1, 1), ElementsAre(4u));
  EXPECT_THAT(transfers(3, 1), ElementsAre(4u));
}

TEST(ScheduleBuilder, CombineHasTheRankAndRegionOfItsFirstSource) {
  Ring ring;
  const ValueId a = ring.b.declare(2, Tensor::kO, ring.b.chunk_region(0, Tensor::kO), Dtype::kFp32);
  const ValueId c = ring.b.declare(2, Tensor::kO, ring.b.chunk_region(1, Tensor::kO), Dtype::kFp32);
  const Value made = ring.b.value(ring.b.combine(std::vector{a, c}, Dtype::kBf16));
  EXPECT_EQ(made, (Value{2, ring.b.value(a).region, Tensor::kO, Dtype::kBf16}));
}

TEST(ScheduleBuilder, FinishListsOpsByRankInTheirOrderAndSortsOutputs) {
  Ring ring;
  for (Rank r : {3, 1}) {
    const ValueId o = ring.b.declare(r, Tensor::kO, ring.b.chunk_region(r, Tensor::kO), Dtype::kFp32);
    ring.b.output(ring.b.combine(std::vector{o}, Dtype::kBf16));
  }
  ring.b.output(ring.q[2]);
  ring.b.exchange(1, std::vector{ring.sent[0]});
  const Schedule s = ring.b.finish();
  EXPECT_TRUE(std::ranges::is_sorted(s.outputs));
  EXPECT_THAT(s.first_op, ElementsAre(0u, 0u, 2u, 2u, 3u));
  EXPECT_EQ(name_of(s.ops[0]), "combine");
  EXPECT_EQ(name_of(s.ops[1]), "exchange");
  EXPECT_EQ(s.values[std::get<Combine>(s.ops[2]).made].rank, 3);
}

}  // namespace
}  // namespace meshattn
