#include "tests/support/masks.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "core/base/error.h"

namespace meshattn::testing {

namespace {

std::int64_t pick(std::mt19937& random, std::int64_t least, std::int64_t most) {
  return std::uniform_int_distribution<std::int64_t>(least, most)(random);
}

Problem any_problem(std::mt19937& random, int most_ranks) {
  Problem p;
  p.ranks = static_cast<int>(pick(random, 1, most_ranks));
  p.cuts = static_cast<int>(std::max<std::int64_t>(1, pick(random, -1, 3)));
  p.pass = pick(random, 0, 1) == 0 ? Pass::kForward : Pass::kBackward;
  p.partition = static_cast<Partition>(pick(random, 0, static_cast<int>(Partition::kDocumentZigzag)));
  const std::int64_t seq = pick(random, p.ranks, 12L * p.ranks + 20);
  const auto group = static_cast<int>(pick(random, 1, 3)), kv_heads = static_cast<int>(pick(random, 1, 4));
  p.shape = {seq, seq, 1, group * kv_heads, kv_heads, 2, Dtype::kBf16};
  p.mask.causal = pick(random, 0, 3) > 0;
  if (p.mask.causal && pick(random, 0, 1) == 0) p.mask.window = pick(random, 1, seq);
  if (pick(random, 0, 1) == 0)
    p.mask.documents = random_documents(seq, random);
  else if (pick(random, 0, 1) == 0)
    p.shape.seq_kv += pick(random, 0, p.mask.window > 0 ? p.mask.window - 1 : 2 * seq);
  return p;
}

}  // namespace

Documents random_documents(std::int64_t tokens, std::mt19937& random) {
  const std::int64_t longest = pick(random, 1, tokens);
  std::vector<std::int64_t> lengths;
  for (std::int64_t left = tokens; left > 0; left -= lengths.back())
    lengths.push_back(pick(random, 1, std::min(longest, left)));
  return Documents(lengths);
}

Problem random_problem(std::mt19937& random, int most_ranks) {
  while (true) {
    const Problem p = any_problem(random, most_ranks);
    try {
      check(p);
      return p;
    } catch (const InvalidInput&) {  // too short, or document zigzag without documents
    }
  }
}

std::string describe(const Problem& p) {
  std::string documents;
  for (std::size_t d = 0; d < p.mask.documents.count(); ++d)
    documents += fmt::format(" {}", p.mask.documents.positions(d).end);
  return fmt::format("{} {} over {} ranks, {} cuts, {} of {} tokens, {}; documents end at{}", name_of(p.mask),
                     name_of(p.partition), p.ranks, p.cuts, p.shape.seq_q, p.shape.seq_kv, name_of(p.pass), documents);
}

}  // namespace meshattn::testing
