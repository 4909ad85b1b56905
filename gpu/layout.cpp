#include "gpu/layout.h"

#include <array>

namespace meshattn::gpu {

namespace {

struct Format {
  std::int32_t width = 0;  ///< 0: there is no such matrix
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
  for (Cell cell : region_.cells) tokens += tokens_of(cell);
  const std::int32_t heads = region_.heads.end - region_.heads.begin, items = s.problem.shape.batch;
  std::uint64_t offset = s.offset[v];
  const std::array<Format, 2> formats = formats_of(s, s.values[v]);
  for (std::size_t k = 0; k < 2; ++k) {
    matrix_[k] = packed_rows(offset, items, heads, tokens, formats[k].width, formats[k].dtype);
    offset += static_cast<std::uint64_t>(matrix_[k].count()) * matrix_[k].row_bytes();
  }
}

std::int64_t ValueLayout::tokens_of(Cell cell) const {
  return (kv_ ? s_->problem.kv_run(cell) : s_->problem.q_run(cell)).count;
}

std::optional<std::int64_t> ValueLayout::first_token(Cell cell) const {
  std::int64_t before = 0;
  for (Cell c : region_.cells) {
    if (c == cell) return before;
    before += tokens_of(c);
  }
  return std::nullopt;
}

std::vector<Piece> pieces_of(const Schedule& s, TransferId transfer) {
  const ValueLayout source(s, s.transfers[transfer].source), made(s, s.transfers[transfer].made);
  const std::int32_t first_head = made.region().heads.begin - source.region().heads.begin;
  std::vector<Piece> pieces;
  for (int k = 0; k < made.matrices(); ++k) {
    const Rows &from = source.matrix(k), &to = made.matrix(k);
    for (int item = 0; item < to.items; ++item)
      for (int head = 0; head < to.heads; ++head)
        for (Cell cell : made.region().cells) {
          const auto at = [&](const Rows& rows, int h, std::int64_t token) {
            return rows.offset + static_cast<std::uint64_t>(rows.row(item, h, token)) * rows.row_bytes();
          };
          const Piece piece{at(from, first_head + head, source.first_token(cell).value()),
                            at(to, head, made.first_token(cell).value()),
                            static_cast<std::uint64_t>(made.tokens_of(cell)) * to.row_bytes()};
          if (piece.bytes == 0) continue;
          if (!pieces.empty() && pieces.back().source + pieces.back().bytes == piece.source &&
              pieces.back().made + pieces.back().bytes == piece.made)
            pieces.back().bytes += piece.bytes;
          else
            pieces.push_back(piece);
        }
  }
  return pieces;
}

}  // namespace meshattn::gpu
