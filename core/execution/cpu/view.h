#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "core/schedule/schedule.h"

namespace meshattn::cpu {

/// Bytes of the schedule's arena for one number here: the size of a bf16. So values that share bytes in the schedule
/// share numbers here, in any precision.
inline constexpr std::uint64_t kBytesPerNumber = 2;

/// The rows of one cell of a value: batch items × tokens × heads.
template <typename T>
class CellView {
 public:
  CellView(T* payload, T* statistics, std::size_t row_width, std::size_t matrix_width, std::size_t statistics_width,
           std::int64_t tokens, HeadRange heads)
      : payload_(payload),
        statistics_(statistics),
        row_width_(row_width),
        matrix_width_(matrix_width),
        statistics_width_(statistics_width),
        tokens_(tokens),
        heads_(heads) {}

  [[nodiscard]] std::int64_t tokens() const { return tokens_; }
  [[nodiscard]] HeadRange heads() const { return heads_; }

  /// head_dim numbers: a row of Q, K, O, dO, dQ or dK.
  [[nodiscard]] T* row(int b, std::int64_t i, int h) const { return payload_ + index(b, i, h) * row_width_; }
  /// head_dim numbers: the row of V or dV that belongs to it.
  [[nodiscard]] T* v_row(int b, std::int64_t i, int h) const { return row(b, i, h) + matrix_width_; }
  /// Log-sum-exp of a row of O or of delta.
  [[nodiscard]] T& lse(int b, std::int64_t i, int h) const { return statistics_[index(b, i, h) * statistics_width_]; }
  /// rowsum(dO∘O), the second half of a row of delta.
  [[nodiscard]] T& delta(int b, std::int64_t i, int h) const {
    return statistics_[index(b, i, h) * statistics_width_ + statistics_width_ / 2];
  }

 private:
  [[nodiscard]] std::size_t index(int b, std::int64_t i, int h) const {
    return static_cast<std::size_t>((b * tokens_ + i) * (heads_.end - heads_.begin) + h - heads_.begin);
  }

  T* payload_;
  T* statistics_;
  std::size_t row_width_;         ///< numbers from row to row; twice head_dim for fp32 values
  std::size_t matrix_width_;      ///< numbers from K to V
  std::size_t statistics_width_;  ///< numbers from one row's log-sum-exp to the next
  std::int64_t tokens_;
  HeadRange heads_;
};

/// A value in its rank's arena: its cells one after another, all of K before V, all of O before its log-sum-exp.
template <typename T>
class View {
 public:
  View(const Schedule& s, ValueId v, T* arena)
      : schedule_(&s), value_(s.values[v]), begin_(arena + s.offset[v] / kBytesPerNumber) {
    const auto numbers = [](std::uint64_t bytes) { return static_cast<std::size_t>(bytes / kBytesPerNumber); };
    rows_ = s.rows_in(v);
    size_ = numbers(s.bytes(v));
    payload_ = numbers(s.payload_bytes(v));
    row_width_ = numbers(static_cast<std::uint64_t>(s.problem.shape.head_dim * size_of(value_.dtype)));
  }

  [[nodiscard]] Tensor tensor() const { return value_.tensor; }
  [[nodiscard]] Region region() const { return schedule_->regions[value_.region]; }
  [[nodiscard]] bool has_v_rows() const { return on_kv_side(value_.tensor); }
  [[nodiscard]] bool has_lse() const { return value_.tensor == Tensor::kO || value_.tensor == Tensor::kDelta; }

  [[nodiscard]] TokenRun run(Cell cell) const {
    return has_v_rows() ? schedule_->problem.kv_run(cell) : schedule_->problem.q_run(cell);
  }

  /// The rows of a cell, if the value has it.
  [[nodiscard]] std::optional<CellView<T>> find(Cell wanted) const {
    const Region r = region();
    const std::int64_t rows_per_token = schedule_->problem.shape.batch * (r.heads.end - r.heads.begin);
    std::size_t before = 0;
    for (Cell cell : r.cells) {
      const std::int64_t tokens = run(cell).count;
      if (cell == wanted) {
        const std::size_t statistics_width = rows_ == 0 ? 0 : (size_ - payload_) / rows_;
        return CellView<T>(begin_ + before * row_width_, begin_ + payload_ + before * statistics_width, row_width_,
                           payload_ / 2, statistics_width, tokens, r.heads);
      }
      before += static_cast<std::size_t>(tokens * rows_per_token);
    }
    return std::nullopt;
  }

  /// Calls f(cell, its view, batch item, token, head) for every row.
  template <typename F>
  void for_each_row(F&& f) const {
    for (Cell cell : region().cells) {
      const CellView<T> view = *find(cell);
      for (int b = 0; b < schedule_->problem.shape.batch; ++b)
        for (std::int64_t i = 0; i < view.tokens(); ++i)
          for (int h = view.heads().begin; h < view.heads().end; ++h) f(cell, view, b, i, h);
    }
  }

  /// Sets the value to an empty sum: zeros, and for O the log-sum-exp of no keys.
  void clear_sum() const {
    const auto d = static_cast<std::size_t>(schedule_->problem.shape.head_dim);
    for_each_row([&](Cell, const CellView<T>& rows, int b, std::int64_t i, int h) {
      std::fill_n(rows.row(b, i, h), d, T{0});
      if (has_v_rows()) std::fill_n(rows.v_row(b, i, h), d, T{0});
      if (has_lse()) rows.lse(b, i, h) = -std::numeric_limits<T>::infinity();
    });
  }

  /// Fills the value with NaN, so that a read of data that was not made yet shows in the result.
  void poison() const { std::fill_n(begin_, size_, std::numeric_limits<T>::quiet_NaN()); }

 private:
  const Schedule* schedule_;
  Value value_;
  T* begin_;
  std::uint64_t rows_;
  std::size_t size_;
  std::size_t payload_;
  std::size_t row_width_;
};

/// Calls f(cell view of a, cell view of b, batch item, token, head) for every row that both values have.
template <typename T, typename F>
void for_each_common_row(const View<T>& a, const View<T>& b, F&& f) {
  const HeadRange heads = common(a.region().heads, b.region().heads);
  b.for_each_row([&](Cell cell, const CellView<T>& in_b, int batch, std::int64_t i, int h) {
    if (h < heads.begin || h >= heads.end) return;
    if (const auto in_a = a.find(cell)) f(*in_a, in_b, batch, i, h);
  });
}

}  // namespace meshattn::cpu
