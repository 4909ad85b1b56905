#include "gpu/kernels/layout.h"

#include <algorithm>
#include <array>

namespace meshattn::gpu {

namespace {

struct Format {
  std::int32_t width = 0;  ///< 0: no such matrix
  Dtype dtype = Dtype::kFp32;
};

std::array<Format, 2> formats_of(const Schedule& s, const Value& value) {
  const Format row{s.problem.shape.head_dim, value.dtype}, number{1, Dtype::kFp32};
  switch (value.tensor) {
    case Tensor::kO:
      return {row, number};
    case Tensor::kDelta:
      return {number, number};
    case Tensor::kKV:
    case Tensor::kDKV:
      return {row, row};
    case Tensor::kQ:
    case Tensor::kDO:
    case Tensor::kDQ:
      return {row, Format{}};
  }
  return {};
}

}  // namespace

ValueLayout::ValueLayout(const Schedule& s, ValueId v)
    : s_(&s), region_(s.region(v)), kv_(on_kv_side(s.values[v].tensor)) {
  std::int64_t tokens = 0;
  first_tokens_.reserve(region_.cells.size());
  for (Cell cell : region_.cells) {
    first_tokens_.push_back(tokens);
    tokens += tokens_of(cell);
  }
  const std::int32_t heads = region_.heads.end - region_.heads.begin, items = s.problem.shape.batch;
  std::uint64_t offset = s.offset[v];
  const std::array<Format, 2> formats = formats_of(s, s.values[v]);
  for (std::size_t k = 0; k < 2; ++k) {
    matrix_[k] = packed_matrix(offset, items, heads, tokens, formats[k].width, formats[k].dtype);
    offset += static_cast<std::uint64_t>(matrix_[k].row_count()) * matrix_[k].row_bytes();
  }
}

std::int64_t ValueLayout::tokens_of(Cell cell) const {
  return (kv_ ? s_->problem.kv_run(cell) : s_->problem.q_run(cell)).count;
}

std::optional<std::int64_t> ValueLayout::first_token(Cell cell) const {
  const auto at = std::ranges::lower_bound(region_.cells, cell);
  if (at == region_.cells.end() || *at != cell) return std::nullopt;
  return first_tokens_[static_cast<std::size_t>(at - region_.cells.begin())];
}

namespace {

/// Tokens of neighbouring cells that are contiguous in both values.
struct TokenSpan {
  std::int64_t source = 0, made = 0, tokens = 0;
};

/// Appends `next`, or extends the last element if `next` follows it on both sides.
template <typename T, typename Length>
void append(std::vector<T>& all, const T& next, Length T::*length) {
  if (!all.empty() && all.back().source + all.back().*length == next.source &&
      all.back().made + all.back().*length == next.made)
    all.back().*length += next.*length;
  else
    all.push_back(next);
}

std::vector<TokenSpan> token_spans(const ValueLayout& source, const ValueLayout& made) {
  std::vector<TokenSpan> spans;
  for (Cell cell : made.region().cells) {
    const TokenSpan span{source.first_token(cell).value(), made.first_token(cell).value(), made.tokens_of(cell)};
    if (span.tokens > 0) append(spans, span, &TokenSpan::tokens);
  }
  return spans;
}

}  // namespace

std::vector<ByteRun> byte_runs_of(const Schedule& s, TransferId transfer) {
  const ValueLayout source(s, s.transfers[transfer].source), made(s, s.transfers[transfer].made);
  const std::int32_t first_head = made.region().heads.begin - source.region().heads.begin;
  const std::vector<TokenSpan> spans = token_spans(source, made);
  std::vector<ByteRun> runs;
  for (int k = 0; k < made.matrices(); ++k) {
    const MatrixView &from = source.matrix(k), &to = made.matrix(k);
    for (int item = 0; item < to.items; ++item)
      for (int head = 0; head < to.heads; ++head)
        for (const TokenSpan& span : spans) {
          const auto at = [&](const MatrixView& rows, int h, std::int64_t token) {
            return rows.offset + static_cast<std::uint64_t>(rows.row_index(item, h, token)) * rows.row_bytes();
          };
          append(runs,
                 ByteRun{at(from, first_head + head, span.source), at(to, head, span.made),
                         static_cast<std::uint64_t>(span.tokens) * to.row_bytes()},
                 &ByteRun::bytes);
        }
  }
  return runs;
}

}  // namespace meshattn::gpu
