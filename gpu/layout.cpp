#include "gpu/layout.h"

#include <algorithm>
#include <array>
#include <span>

namespace meshattn::gpu {

namespace {

/// Bytes of a row in each matrix of a value; 0: there is no second one.
std::array<std::uint64_t, 2> row_bytes(const Schedule& s, const Value& value) {
  const auto row = static_cast<std::uint64_t>(s.problem.shape.head_dim) * size_of(value.dtype);
  switch (value.tensor) {
    case Tensor::kO:
      return {row, 4};
    case Tensor::kDelta:
      return {4, 4};
    case Tensor::kKV:
    case Tensor::kDKV:
      return {row, row};
    case Tensor::kQ:
    case Tensor::kDO:
    case Tensor::kDQ:
      return {row, 0};
  }
  return {};
}

/// Where the rows of a value are.
class Rows {
 public:
  Rows(const Schedule& s, ValueId v)
      : s_(s),
        region_(s.region(v)),
        row_bytes_(row_bytes(s, s.values[v])),
        kv_(on_kv_side(s.values[v].tensor)),
        offset_(s.offset[v]) {
    for (Cell cell : region_.cells) tokens_ += tokens_of(cell);
  }

  [[nodiscard]] std::uint64_t tokens_of(Cell cell) const {
    return static_cast<std::uint64_t>((kv_ ? s_.problem.kv_run(cell) : s_.problem.q_run(cell)).count);
  }
  /// Of the first token of a cell in a matrix, a batch item and a head.
  [[nodiscard]] std::uint64_t at(std::size_t matrix, int item, int head, Cell cell) const {
    const auto heads = static_cast<std::uint64_t>(region_.heads.end - region_.heads.begin);
    const auto batch = static_cast<std::uint64_t>(s_.problem.shape.batch);
    std::uint64_t row =
        (static_cast<std::uint64_t>(item) * heads + static_cast<std::uint64_t>(head - region_.heads.begin)) * tokens_;
    for (Cell before : region_.cells) {
      if (before == cell) break;
      row += tokens_of(before);
    }
    return offset_ + (matrix == 0 ? 0 : batch * heads * tokens_ * row_bytes_[0]) + row * row_bytes_[matrix];
  }
  [[nodiscard]] const Region& region() const { return region_; }
  [[nodiscard]] const std::array<std::uint64_t, 2>& bytes() const { return row_bytes_; }

 private:
  const Schedule& s_;
  Region region_;
  std::array<std::uint64_t, 2> row_bytes_;
  bool kv_;
  std::uint64_t offset_;
  std::uint64_t tokens_ = 0;
};

}  // namespace

std::vector<Piece> pieces_of(const Schedule& s, TransferId transfer) {
  const Rows source(s, s.transfers[transfer].source), made(s, s.transfers[transfer].made);
  std::vector<Piece> pieces;
  for (std::size_t matrix = 0; matrix < 2; ++matrix)
    for (int item = 0; item < s.problem.shape.batch; ++item)
      for (int head = made.region().heads.begin; head < made.region().heads.end; ++head)
        for (Cell cell : made.region().cells) {
          const Piece piece{source.at(matrix, item, head, cell), made.at(matrix, item, head, cell),
                            made.tokens_of(cell) * made.bytes()[matrix]};
          if (piece.bytes == 0) continue;
          if (!pieces.empty() && pieces.back().source + pieces.back().bytes == piece.source &&
              pieces.back().made + pieces.back().bytes == piece.made)
            pieces.back().bytes += piece.bytes;
          else
            pieces.push_back(piece);
        }
  return pieces;
}

}  // namespace meshattn::gpu
