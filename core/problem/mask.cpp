#include "core/problem/mask.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <limits>

#include "core/base/error.h"
#include "core/problem/attention.h"

namespace meshattn {

namespace {

std::int64_t floor_div(std::int64_t a, std::int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }
std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return a / b + (a % b > 0 ? 1 : 0); }

/// Σ max(0, min(limit, first + i)) over i = 0 … count − 1: keys seen by `count` consecutive queries.
std::int64_t clamped_sum(std::int64_t first, std::int64_t count, std::int64_t limit) {
  const std::int64_t rise_begin = std::clamp<std::int64_t>(1 - first, 0, count);             // first i that sees a key
  const std::int64_t rise_end = std::clamp<std::int64_t>(limit - first, rise_begin, count);  // first i that sees all
  const std::int64_t rising = rise_end - rise_begin;
  const std::int64_t sum_rising = rising * (first + rise_begin) + rising * (rising - 1) / 2;
  return sum_rising + (count - rise_end) * limit;
}

/// The shift for which key j is at least `distance` positions before query i if and only if j ≤ i + shift: from
/// kv.start + j·stride ≤ q.start + i·stride − distance.
std::int64_t shift_of(const TokenRun& q, const TokenRun& kv, std::int64_t distance) {
  return floor_div(q.start - distance - kv.start, q.stride);
}

/// Pairs whose key is at least `distance` positions before the query.
std::int64_t pairs_before(const TokenRun& q, const TokenRun& kv, std::int64_t distance) {
  return clamped_sum(shift_of(q, kv, distance) + 1, q.count, kv.count);
}

/// Pairs of two runs in the same document.
std::int64_t pairs_in_document(const Mask& mask, const TokenRun& q, const TokenRun& kv) {
  if (!mask.causal) return q.count * kv.count;
  return pairs_before(q, kv, 0) - (mask.window > 0 ? pairs_before(q, kv, mask.window) : 0);
}

/// The tokens of a run with these indices.
TokenRun part_of(const TokenRun& run, Interval indices) {
  return {run.start + indices.begin * run.stride, run.stride, indices.end - indices.begin};
}

std::int64_t pairs_of(const Mask& mask, const TokenRun& q, const TokenRun& kv) {
  const Documents& all = mask.documents;
  if (all.empty()) return pairs_in_document(mask, q, kv);
  std::int64_t pairs = 0;
  const auto [begin, end] = q.indices_in({all.positions(all.at(kv.start)).begin, all.positions(all.at(kv.last())).end});
  for (std::int64_t i = begin; i < end;) {
    const Interval document = all.positions(all.at(q.start + i * q.stride));
    const Interval in_document = q.indices_in(document);
    pairs += pairs_in_document(mask, part_of(q, in_document), part_of(kv, kv.indices_in(document)));
    i = in_document.end;
  }
  return pairs;
}

}  // namespace

Interval TokenRun::indices_in(Interval positions) const {
  const auto index = [this](std::int64_t position) {
    return std::clamp<std::int64_t>(ceil_div(position - start, stride), 0, count);
  };
  return {index(positions.begin), index(positions.end)};
}

Documents::Documents(std::span<const std::int64_t> lengths) {
  ends_.reserve(lengths.size());
  std::int64_t end = 0;
  for (std::int64_t length : lengths) {
    if (length < 1) throw InvalidInput(fmt::format("a document must have at least 1 token, not {}", length));
    if (length > std::numeric_limits<std::int64_t>::max() - end) throw InvalidInput("the documents are too long");
    ends_.push_back(end += length);
  }
  constexpr std::int64_t kMostSpans = 16;
  const std::int64_t least = ceil_div(tokens(), kMostSpans);
  std::int64_t begin = 0;
  for (std::int64_t document_end : ends_)
    if (document_end - begin >= least) span_ends_.push_back(begin = document_end);
  if (!span_ends_.empty()) span_ends_.back() = tokens();
}

std::size_t Documents::at(std::int64_t position) const {
  return static_cast<std::size_t>(std::ranges::upper_bound(ends_, position) - ends_.begin());
}

Interval Mask::keys_of(std::int64_t q) const {
  Interval keys{0, std::numeric_limits<std::int64_t>::max()};
  if (!documents.empty()) keys = documents.positions(documents.at(q));
  if (causal) keys.end = q + 1;
  if (window > 0) keys.begin = std::max(keys.begin, q - window + 1);
  return keys;
}

std::string name_of(const Mask& mask) {
  const std::string simple = mask.window > 0 ? fmt::format("window:{}", mask.window) : mask.causal ? "causal" : "full";
  if (mask.documents.empty()) return simple;
  const std::string documents = fmt::format("documents ({})", mask.documents.count());
  return simple == "causal" ? documents : simple + "+" + documents;
}

void check(const Mask& mask, const AttentionShape& shape) {
  if (mask.window < 0 || mask.window > kMaxTokens)
    throw InvalidInput(fmt::format("a window must have from 1 to {} tokens, not {}", kMaxTokens, mask.window));
  if (mask.window > 0 && !mask.causal) throw InvalidInput("a window needs a causal mask");
  const std::int64_t prefix = shape.seq_kv - shape.seq_q;
  if (mask.window > 0 && prefix >= mask.window)
    throw InvalidInput(
        fmt::format("a cached prefix of {} tokens, but a window of {} sees only the last {}: cache only these", prefix,
                    mask.window, mask.window - 1));
  if (mask.documents.empty()) return;
  if (prefix > 0)
    throw InvalidInput(fmt::format("{} keys for {} queries: documents need as many keys as queries, no cached prefix",
                                   shape.seq_kv, shape.seq_q));
  if (mask.documents.tokens() != shape.seq_q)
    throw InvalidInput(fmt::format("documents of {} tokens in all: must be the {} of the sequence",
                                   mask.documents.tokens(), shape.seq_q));
}

Block block_of(const Mask& mask, const TokenRun& q, const TokenRun& kv) {
  if (q.count == 0 || kv.count == 0) return {};
  const std::int64_t all = q.count * kv.count;
  if (mask.is_full()) return {Block::Kind::kFull, 0, all};
  const bool plain = mask.window == 0 && mask.documents.empty();
  const std::int64_t causal = mask.causal ? pairs_before(q, kv, 0) : all;
  const std::int64_t pairs = plain || causal == 0 ? causal : pairs_of(mask, q, kv);
  if (pairs == 0) return {};
  if (pairs == all) return {Block::Kind::kFull, 0, all};
  // A window and documents only remove pairs from the causal ones: an equal number means the same pairs.
  if (mask.causal && pairs == causal) return {Block::Kind::kCausal, shift_of(q, kv, 0), pairs};
  return {Block::Kind::kPartial, 0, pairs};
}

}  // namespace meshattn
