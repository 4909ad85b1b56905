#include "gpu/kernels/bands.h"

#include <gtest/gtest.h>

#include <map>

#include "tests/support/masks.h"

namespace meshattn {
namespace {

using gpu::Band;
using gpu::BandBlock;
using gpu::CellSpan;

/// All cells of a chunk, which are contiguous.
std::vector<CellSpan> chunk(const Problem& p, Rank rank) {
  std::vector<CellSpan> spans;
  for (int piece = 0; piece < p.pieces(); ++piece)
    spans.push_back({static_cast<Cell>(rank * p.pieces() + piece), piece > 0});
  return spans;
}

Problem problem_of(std::int64_t tokens, Mask mask, Partition partition, int ranks) {
  return {{tokens, tokens, 1, 1, 1, 2, Dtype::kBf16}, std::move(mask), partition, Pass::kForward, ranks};
}

/// By (query, key): the number of blocks that have the pair.
std::map<std::pair<std::int64_t, std::int64_t>, int> pairs_of(const std::vector<BandBlock>& blocks) {
  std::map<std::pair<std::int64_t, std::int64_t>, int> pairs;
  for (const BandBlock& b : blocks)
    for (std::int64_t i = 0; i < b.queries; ++i)
      for (std::int64_t j = b.band.keys_begin(i); j < b.band.keys_end(i, b.keys); ++j)
        ++pairs[{b.first_query + i, b.first_key + j}];
  return pairs;
}

/// The same, from the queries of each key, as in the backward pass.
std::map<std::pair<std::int64_t, std::int64_t>, int> pairs_by_key(const std::vector<BandBlock>& blocks) {
  std::map<std::pair<std::int64_t, std::int64_t>, int> pairs;
  for (const BandBlock& b : blocks)
    for (std::int64_t j = 0; j < b.keys; ++j)
      for (std::int64_t i = b.band.queries_begin(j); i < b.band.queries_end(j, b.queries); ++i)
        ++pairs[{b.first_query + i, b.first_key + j}];
  return pairs;
}

std::vector<std::int64_t> positions(const Problem& p, const std::vector<CellSpan>& spans, bool keys) {
  std::vector<std::int64_t> all;
  for (const CellSpan& span : spans) {
    const TokenRun run = keys ? p.kv_run(span.cell) : p.q_run(span.cell);
    for (std::int64_t i = 0; i < run.count; ++i) all.push_back(run.start + i * run.stride);
  }
  return all;
}

/// Every pair that the mask leaves is in exactly one block and no other pair is. The first and last rows and columns of
/// a block have pairs, and no block crosses a gap.
TEST(Bands, AreWhatTheMaskLeaves) {
  std::mt19937 random(1);
  for (int times = 0; times < 400; ++times) {
    const Problem p = testing::random_problem(random, 6);
    SCOPED_TRACE(testing::describe(p));
    const auto any = [&] { return std::uniform_int_distribution<Rank>(0, p.ranks - 1)(random); };
    std::vector<CellSpan> queries = chunk(p, any()), keys = chunk(p, any());
    for (std::vector<CellSpan>* spans : {&queries, &keys})
      for (std::size_t i = 1; i < spans->size(); ++i) (*spans)[i].contiguous = random() % 3 != 0;
    const std::vector<std::int64_t> q = positions(p, queries, false), k = positions(p, keys, true);
    std::map<std::pair<std::int64_t, std::int64_t>, int> should;
    for (std::size_t i = 0; i < q.size(); ++i)
      for (std::size_t j = 0; j < k.size(); ++j) {
        const Interval seen = p.mask.keys_of(q[i]);
        if (seen.begin <= k[j] && k[j] < seen.end) should[{i, j}] = 1;
      }
    const std::vector<BandBlock> blocks = bands_of(p, queries, keys);
    ASSERT_EQ(pairs_of(blocks), should);
    ASSERT_EQ(pairs_by_key(blocks), should);
    for (const BandBlock& b : blocks) {
      for (std::int64_t i : {std::int64_t{0}, b.queries - 1})
        ASSERT_LT(b.band.keys_begin(i), b.band.keys_end(i, b.keys));
      for (std::int64_t j : {std::int64_t{0}, b.keys - 1})
        ASSERT_LT(b.band.queries_begin(j), b.band.queries_end(j, b.queries));
      std::int64_t at = 0;
      for (const CellSpan& span : queries) {
        ASSERT_FALSE(!span.contiguous && b.first_query < at && at < b.first_query + b.queries);
        at += p.q_run(span.cell).count;
      }
      at = 0;
      for (const CellSpan& span : keys) {
        ASSERT_FALSE(!span.contiguous && b.first_key < at && at < b.first_key + b.keys);
        at += p.kv_run(span.cell).count;
      }
    }
  }
}

/// Zigzag on 2 ranks, runs of 4 tokens: rank 0 has runs 0 and 3, rank 1 has runs 1 and 2. A chunk with itself is a
/// triangle of 8. Queries of rank 1 see run 0 of rank 0: 8 × 4. Of the queries of rank 0, run 0 sees no key of rank 1
/// and run 3 sees all: 4 × 8.
TEST(Bands, ZigzagChunksAreOneBlock) {
  const Problem p = problem_of(16, Mask::kCausal, Partition::kZigzag, 2);
  EXPECT_EQ(bands_of(p, chunk(p, 0), chunk(p, 0)), (std::vector{BandBlock{0, 8, 0, 8, {-Band::kUnbounded, 0}}}));
  EXPECT_EQ(bands_of(p, chunk(p, 1), chunk(p, 1)), (std::vector{BandBlock{0, 8, 0, 8, {-Band::kUnbounded, 0}}}));
  EXPECT_EQ(bands_of(p, chunk(p, 1), chunk(p, 0)), (std::vector{BandBlock{0, 8, 0, 4, {}}}));
  EXPECT_EQ(bands_of(p, chunk(p, 0), chunk(p, 1)), (std::vector{BandBlock{4, 4, 0, 8, {}}}));
}

/// The queries of an earlier stripe see one key less of a later one, so that the first query sees none and the block
/// begins with the second.
TEST(Bands, StripedChunksAreTriangles) {
  const Problem p = problem_of(16, Mask::kCausal, Partition::kStriped, 2);
  EXPECT_EQ(bands_of(p, chunk(p, 1), chunk(p, 0)), (std::vector{BandBlock{0, 8, 0, 8, {-Band::kUnbounded, 0}}}));
  EXPECT_EQ(bands_of(p, chunk(p, 0), chunk(p, 1)), (std::vector{BandBlock{1, 7, 0, 7, {-Band::kUnbounded, 0}}}));
}

/// A window of 3 over a chunk of 8 is one band, keys i − 2 to i; the first two queries see fewer. Of the chunk before,
/// the first query sees keys 6 and 7 and the second sees key 7.
TEST(Bands, AWindowIsABand) {
  Mask mask;
  mask.causal = true;
  mask.window = 3;
  const Problem p = problem_of(16, mask, Partition::kContiguous, 2);
  EXPECT_EQ(bands_of(p, chunk(p, 1), chunk(p, 1)), (std::vector{BandBlock{0, 8, 0, 8, {-2, 0}}}));
  EXPECT_EQ(bands_of(p, chunk(p, 1), chunk(p, 0)), (std::vector{BandBlock{0, 2, 6, 2, {0, Band::kUnbounded}}}));
}

/// Documents of 3, 2 and 3 tokens with a causal mask are three triangles.
TEST(Bands, DocumentsAreTriangles) {
  Mask mask;
  mask.causal = true;
  mask.documents = Documents(std::vector<std::int64_t>{3, 2, 3});
  const Problem p = problem_of(8, mask, Partition::kContiguous, 1);
  const Band triangle{-Band::kUnbounded, 0};
  EXPECT_EQ(bands_of(p, chunk(p, 0), chunk(p, 0)),
            (std::vector<BandBlock>{{0, 3, 0, 3, triangle}, {3, 2, 3, 2, triangle}, {5, 3, 5, 3, triangle}}));
}

}  // namespace
}  // namespace meshattn
