#include "core/problem/problem.h"

#include <spdlog/fmt/fmt.h>

#include <numeric>

#include "core/base/invalid_option.h"

namespace meshattn {

TokenRun Problem::run(std::int64_t seq, Cell cell) const {
  if (cuts == 1) return run_of(partition, mask.documents, seq, ranks, cell);
  const auto parts = static_cast<Cell>(cuts);
  return cut_of(run_of(partition, mask.documents, seq, ranks, cell / parts), cuts, cell % parts);
}

TokenRun Problem::q_run(Cell cell) const {
  TokenRun queries = run(shape.seq_q, cell);
  queries.start += shape.seq_kv - shape.seq_q;
  return queries;
}

TokenRun Problem::kv_run(Cell cell) const { return run(shape.seq_kv, cell); }

Block Problem::block(Cell q, Cell kv) const { return block_of(mask, q_run(q), kv_run(kv)); }

namespace {

/// @throws InvalidInput if `tokens` tokens are too few for every rank to get `pieces` pieces.
void check_length(const Problem& p, std::string_view what, std::int64_t tokens, int pieces) {
  const std::int64_t least = static_cast<std::int64_t>(p.ranks) * pieces;
  if (tokens < least)
    throw InvalidInput(fmt::format("a {} of {} is too short for {} ranks, {} partition: at least {} tokens", what,
                                   tokens, p.ranks, name_of(p.partition), least));
}

}  // namespace

void check(const Problem& p) {
  check(p.shape);
  check(p.mask, p.shape);
  constexpr int kMaxRanks = 65'536;
  if (p.ranks < 1 || p.ranks > kMaxRanks)
    throw InvalidInput(fmt::format("ranks must be from 1 to {}, not {}", kMaxRanks, p.ranks));
  if (p.cuts < 1 || p.cuts > kMaxCuts)
    throw InvalidInput(fmt::format("cuts must be from 1 to {}, not {}", kMaxCuts, p.cuts));
  if (!deals_documents(p.partition)) return check_length(p, "sequence", p.shape.seq_q, p.pieces());
  if (p.mask.documents.empty())
    throw InvalidOption(fmt::format("partition {} needs ", name_of(p.partition)), "mask", " documents:FILE");
  const int pieces = p.pieces() / static_cast<int>(p.mask.documents.span_ends().size());
  std::int64_t begin = 0;
  for (std::int64_t end : p.mask.documents.span_ends()) {
    check_length(p, "span of documents", end - begin, pieces);
    begin = end;
  }
}

double total_pairs(const Problem& p) {
  const AttentionShape& s = p.shape;
  return static_cast<double>(block_of(p.mask, {s.seq_kv - s.seq_q, 1, s.seq_q}, {0, 1, s.seq_kv}).pairs);
}

std::vector<Rank> all_ranks(int ranks) {
  std::vector<Rank> all(static_cast<std::size_t>(ranks));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

double chunk_bytes(const Problem& p) {
  const AttentionShape& s = p.shape;
  return static_cast<double>(s.seq_q) / p.ranks * s.batch * s.heads * s.head_dim * size_of(s.dtype);
}

}  // namespace meshattn
