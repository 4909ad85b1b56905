#include "core/problem.h"

#include <spdlog/fmt/fmt.h>

#include "core/error.h"

namespace meshattn {

TokenRun Problem::run(std::int64_t seq, Cell cell) const {
  const auto parts = static_cast<Cell>(cuts);
  return cut_of(run_of(partition, seq, ranks, cell / parts), cuts, cell % parts);
}

TokenRun Problem::q_run(Cell cell) const {
  TokenRun queries = run(shape.seq_q, cell);
  queries.start += shape.seq_kv - shape.seq_q;
  return queries;
}

TokenRun Problem::kv_run(Cell cell) const { return run(shape.seq_kv, cell); }

Block Problem::block(Cell q, Cell kv) const { return block_of(mask, q_run(q), kv_run(kv)); }

void check(const Problem& p) {
  check(p.shape);
  constexpr int kMaxRanks = 65'536;
  if (p.ranks < 1 || p.ranks > kMaxRanks)
    throw InvalidInput(fmt::format("ranks must be from 1 to {}, not {}", kMaxRanks, p.ranks));
  if (p.cuts < 1 || p.cuts > kMaxCuts)
    throw InvalidInput(fmt::format("cuts must be from 1 to {}, not {}", kMaxCuts, p.cuts));
  const std::int64_t least = static_cast<std::int64_t>(p.ranks) * p.pieces();
  if (p.shape.seq_q < least)
    throw InvalidInput(fmt::format("a sequence of {} is too short for {} ranks, {} partition: at least {} tokens",
                                   p.shape.seq_q, p.ranks, name_of(p.partition), least));
}

double total_pairs(const Problem& p) {
  const auto q = static_cast<double>(p.shape.seq_q);
  const auto kv = static_cast<double>(p.shape.seq_kv);
  if (p.mask == Mask::kFull) return q * kv;
  return q * (kv - q) + q * (q + 1) / 2;  // query i of q sees kv − q + i + 1 keys
}

double chunk_bytes(const Problem& p) {
  const AttentionShape& s = p.shape;
  return static_cast<double>(s.seq_q) / p.ranks * s.batch * s.heads * s.head_dim * size_of(s.dtype);
}

}  // namespace meshattn
