#include "core/problem/mask.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "core/base/error.h"
#include "core/problem/problem.h"
#include "tests/support/masks.h"

namespace meshattn {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;
using Lengths = std::vector<std::int64_t>;

/// The definition: causal, within the window, in the same document.
bool sees(const Mask& mask, std::int64_t q, std::int64_t k) {
  if (mask.causal && k > q) return false;
  if (mask.window > 0 && k <= q - mask.window) return false;
  for (std::size_t d = 0; d < mask.documents.count(); ++d) {
    const auto [begin, end] = mask.documents.positions(d);
    if ((begin <= q && q < end) != (begin <= k && k < end)) return false;
  }
  return true;
}

/// Compares a block with the definition, pair by pair. @returns its number of pairs.
std::int64_t expect_as_defined(const Problem& p, Cell q, Cell kv) {
  const TokenRun qr = p.q_run(q), kr = p.kv_run(kv);
  const Block block = p.block(q, kv);
  std::int64_t pairs = 0;
  for (std::int64_t i = 0; i < qr.count; ++i) {
    const Interval seen = kr.indices_in(p.mask.keys_of(qr.start + i * qr.stride));
    for (std::int64_t j = 0; j < kr.count; ++j) {
      const bool pair = sees(p.mask, qr.start + i * qr.stride, kr.start + j * kr.stride);
      pairs += pair;
      EXPECT_EQ(pair, seen.begin <= j && j < seen.end);
      if (block.kind == Block::Kind::kCausal) {
        EXPECT_EQ(pair, j <= i + block.shift);
      }
    }
  }
  EXPECT_EQ(block.pairs, pairs);
  EXPECT_EQ(block.kind == Block::Kind::kEmpty, pairs == 0);
  EXPECT_EQ(block.kind == Block::Kind::kFull, pairs == qr.count * kr.count);
  return pairs;
}

TEST(Mask, BlocksAreWhatTheDefinitionLeaves) {
  std::mt19937 random(3);
  for (int i = 0; i < 1500; ++i) {
    const Problem p = testing::random_problem(random, 6);
    double sum = 0;
    for (Cell q = 0; q < p.cells(); ++q)
      for (Cell kv = 0; kv < p.cells(); ++kv) sum += static_cast<double>(expect_as_defined(p, q, kv));
    EXPECT_EQ(sum, total_pairs(p));
    if (HasFailure()) FAIL() << testing::describe(p);
  }
}

/// A window gives every query W keys, but the first W − 1 queries 1 … W − 1. A document of L tokens has L(L+1)/2 pairs.
TEST(Mask, PairsOfAMillionTokensAreCountedInClosedForm) {
  constexpr std::int64_t kTokens = 1 << 20, kWindow = 4096, kLength = kTokens / 64;
  Problem p{{kTokens, kTokens, 1, 1, 1, 1, Dtype::kBf16}, {true, kWindow, {}}};
  EXPECT_EQ(total_pairs(p), 1.0 * kWindow * (kWindow - 1) / 2 + 1.0 * (kTokens - kWindow + 1) * kWindow);
  p.mask = {true, 0, Documents(Lengths(64, kLength))};
  EXPECT_EQ(total_pairs(p), 64.0 * kLength * (kLength + 1) / 2);
  p.mask.causal = false;
  EXPECT_EQ(total_pairs(p), 64.0 * kLength * kLength);
}

TEST(Mask, SaysInShortWhatItIs) {
  const Documents two(Lengths{3, 5});
  EXPECT_EQ(name_of(Mask::kFull), "full");
  EXPECT_EQ(name_of(Mask::kCausal), "causal");
  EXPECT_EQ(name_of(Mask{true, 4096, {}}), "window:4096");
  EXPECT_EQ(name_of(Mask{true, 0, two}), "documents (2)");
  EXPECT_EQ(name_of(Mask{false, 0, two}), "full+documents (2)");
  EXPECT_EQ(name_of(Mask{true, 7, two}), "window:7+documents (2)");
}

TEST(Documents, SpansHaveASixteenthOfTheTokensAndTheRestJoinsTheLast) {
  const auto spans = [](const Lengths& lengths) {
    const Documents d(lengths);
    return Lengths(d.span_ends().begin(), d.span_ends().end());
  };
  EXPECT_THAT(spans({160}), ElementsAre(160));
  EXPECT_THAT(spans({10, 150}), ElementsAre(10, 160));
  EXPECT_THAT(spans({9, 1, 150}), ElementsAre(10, 160));
  EXPECT_THAT(spans({9, 2, 140, 9}), ElementsAre(11, 160));  // 9 are too few for a span
  EXPECT_THAT(spans({}), ElementsAre());
  EXPECT_EQ(Documents(Lengths(1000, 7)).span_ends().size(),
            15u);  // 63 documents exceed 437.5 tokens: 15 spans, 55 documents left
}

std::string refusal(const Mask& mask, std::int64_t seq_q, std::int64_t seq_kv,
                    Partition partition = Partition::kContiguous, int ranks = 2) {
  try {
    check(Problem{{seq_q, seq_kv, 1, 1, 1, 1, Dtype::kBf16}, mask, partition, Pass::kForward, ranks});
    return "";
  } catch (const InvalidInput& error) {
    return error.what();
  }
}

TEST(Mask, WhatDoesNotFitIsRefusedWithTheReason) {
  const Documents d(Lengths{10, 22});
  EXPECT_EQ(refusal({true, 4, d}, 32, 32), "");
  EXPECT_THAT(refusal({true, -1, {}}, 32, 32), HasSubstr("a window must have from 1 to 1073741824 tokens, not -1"));
  EXPECT_THAT(refusal({true, INT64_MAX, {}}, 32, 32), HasSubstr("a window must have from 1 to"));
  EXPECT_THAT(refusal({false, 4, {}}, 32, 32), HasSubstr("a window needs a causal mask"));
  EXPECT_EQ(refusal({true, 4, {}}, 32, 35), "");
  EXPECT_THAT(refusal({true, 4, {}}, 32, 36), HasSubstr("but a window of 4 sees only the last 3"));
  EXPECT_THAT(refusal({true, 0, d}, 32, 40), HasSubstr("40 keys for 32 queries: documents need as many keys"));
  EXPECT_THAT(refusal({true, 0, d}, 33, 33), HasSubstr("documents of 32 tokens in all: must be the 33"));
  EXPECT_EQ(refusal({true, 0, d}, 32, 32, Partition::kDocumentZigzag), "");
  EXPECT_THAT(refusal({true, 0, d}, 32, 32, Partition::kDocumentZigzag, 6),
              HasSubstr("a span of documents of 10 is too short for 6 ranks, document-zigzag partition: at least 12"));
  EXPECT_THAT(
      refusal({true, 0, d}, 32, 32, Partition::kDocumentContiguous, 11),
      HasSubstr("a span of documents of 10 is too short for 11 ranks, document-contiguous partition: at least 11"));
  EXPECT_THAT(refusal(Mask::kCausal, 32, 32, Partition::kDocumentZigzag),
              HasSubstr("document-zigzag needs mask documents:FILE"));
  EXPECT_THAT([] { Documents(Lengths{3, 0}); }, ThrowsMessage<InvalidInput>(HasSubstr("at least 1 token, not 0")));
  EXPECT_THROW(Documents(Lengths{INT64_MAX, 1}), InvalidInput);
}

}  // namespace
}  // namespace meshattn
