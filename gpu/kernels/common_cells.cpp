#include "gpu/kernels/common_cells.h"

#include <algorithm>

namespace meshattn::gpu {

CommonCells::CommonCells(const Schedule& s, const std::vector<ValueId>& values)
    : CommonCells(s, values, s.region(values.front()).cells) {}

CommonCells::CommonCells(const Schedule& s, const std::vector<ValueId>& values, std::span<const Cell> cells) {
  for (ValueId v : values) values_.emplace_back(s, v);
  for (Cell cell : cells) add(cell);
}

void CommonCells::add(Cell cell) {
  std::vector<std::int64_t> at;
  for (const ValueLayout& value : values_) {
    const auto first = value.first_token(cell);
    if (!first) return;
    at.push_back(*first);
  }
  bool contiguous = !spans_.empty();
  for (std::size_t v = 0; contiguous && v < at.size(); ++v)
    contiguous = at[v] == at_.back()[v] + values_[v].tokens_of(spans_.back().cell);
  spans_.push_back({cell, contiguous});
  first_.push_back(tokens_);
  at_.push_back(std::move(at));
  tokens_ += values_.front().tokens_of(cell);
}

std::int64_t CommonCells::token_in(std::size_t v, std::int64_t token) const {
  const auto span = static_cast<std::size_t>(std::ranges::upper_bound(first_, token) - first_.begin()) - 1;
  return at_[span][v] + token - first_[span];
}

}  // namespace meshattn::gpu
