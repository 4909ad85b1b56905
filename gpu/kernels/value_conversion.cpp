#include "gpu/kernels/value_conversion.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <random>

#include "core/execution/cpu/layer.h"
#include "gpu/kernels/layout.h"
#include "gpu/kernels/row_kernels.h"

namespace meshattn::gpu {

namespace {

/// Calls f(k, matrix, item, head, token, row in the layer's tensors) for each row of a value; the offset of the k-th
/// matrix is relative to the value.
template <typename F>
void for_each_row(const Schedule& s, ValueId v, F&& f) {
  const ValueLayout layout(s, v);
  const bool kv = on_kv_side(s.values[v].tensor);
  for (int k = 0; k < layout.matrices(); ++k) {
    MatrixView rows = layout.matrix(k);
    rows.offset -= s.offset[v];
    for (Cell cell : layout.region().cells) {
      const TokenRun run = kv ? s.problem.kv_run(cell) : s.problem.q_run(cell);
      const std::int64_t first = layout.first_token(cell).value();
      for (int item = 0; item < rows.items; ++item)
        for (int head = 0; head < rows.heads; ++head)
          for (std::int64_t i = 0; i < run.count; ++i)
            f(k, rows, item, head, first + i,
              cpu::row_in_layer(s.problem.shape, kv, run, item, i, layout.region().heads.begin + head));
    }
  }
}

template <typename Layer>
auto matrices_of(Layer& tensors, Tensor tensor) {
  const auto parts = cpu::parts_of(tensors, tensor);
  return std::array{parts.rows, parts.v_rows != nullptr ? parts.v_rows : parts.lse};
}

std::vector<std::byte> random_bytes(const Schedule& s, ValueId v) {
  constexpr std::size_t kNumbers = 4093;  // prime, so that rows differ
  std::mt19937 generator(v);
  std::normal_distribution<float> normal;
  const float lse = std::log(static_cast<float>(s.problem.shape.seq_kv));
  const ValueLayout layout(s, v);
  std::vector<std::byte> bytes;
  bytes.reserve(s.bytes(v));
  const Tensor tensor = s.values[v].tensor;
  for (int k = 0; k < layout.matrices(); ++k)
    with_type(layout.matrix(k).dtype, [&]<typename T>(T) {
      std::vector<T> some(kNumbers);
      for (T& x : some)
        x = from_float<T>(tensor == Tensor::kDelta || (tensor == Tensor::kO && k == 1) ? lse : normal(generator));
      const auto from = std::as_bytes(std::span(some));
      for (auto left = static_cast<std::uint64_t>(layout.matrix(k).row_count()) * layout.matrix(k).row_bytes();
           left > 0;) {
        const auto part = from.first(std::min<std::uint64_t>(left, from.size()));
        bytes.insert(bytes.end(), part.begin(), part.end());
        left -= part.size();
      }
    });
  return bytes;
}

}  // namespace

std::vector<std::byte> input_bytes(const Schedule& s, ValueId v, const cpu::Tensors* given) {
  if (given == nullptr) return random_bytes(s, v);
  std::vector<std::byte> bytes(s.bytes(v));
  const auto from = matrices_of(*given, s.values[v].tensor);
  for_each_row(s, v, [&](int k, const MatrixView& rows, int item, int head, std::int64_t token, std::size_t in_layer) {
    const std::vector<double>& tensor = *from[static_cast<std::size_t>(k)];
    const auto width = static_cast<std::size_t>(rows.width);
    if (tensor.size() < (in_layer + 1) * width)
      throw InvalidInput(fmt::format("{} is given with {} numbers, too few for its shape", name_of(s.values[v].tensor),
                                     tensor.size()));
    visit_row(bytes.data(), rows, item, head, token, [&]<typename T>(T* to) {
      for (std::size_t c = 0; c < width; ++c) to[c] = from_float<T>(static_cast<float>(tensor[in_layer * width + c]));
    });
  });
  return bytes;
}

void read_output(const Schedule& s, ValueId v, std::span<const std::byte> bytes, cpu::Tensors& to) {
  const auto into = matrices_of(to, s.values[v].tensor);
  std::vector<std::byte> copy(bytes.begin(), bytes.end());
  for_each_row(s, v, [&](int k, const MatrixView& rows, int item, int head, std::int64_t token, std::size_t in_layer) {
    std::vector<double>& tensor = *into[static_cast<std::size_t>(k)];
    const auto width = static_cast<std::size_t>(rows.width);
    if (tensor.empty())
      tensor.assign(cpu::rows_of_layer(s.problem.shape, on_kv_side(s.values[v].tensor)) * width,
                    std::numeric_limits<double>::quiet_NaN());
    visit_row(copy.data(), rows, item, head, token, [&](const auto* from) {
      for (std::size_t c = 0; c < width; ++c) tensor[in_layer * width + c] = static_cast<double>(to_float(from[c]));
    });
  });
}

cpu::Tensors rounded(const AttentionShape& shape, cpu::Tensors tensors) {
  if (shape.dtype == Dtype::kFp32) return tensors;
  for (std::vector<double>* tensor : {&tensors.q, &tensors.k, &tensors.v, &tensors.d_o, &tensors.o})
    for (double& x : *tensor) {
      const auto given = static_cast<float>(x);
      x = static_cast<double>(shape.dtype == Dtype::kBf16 ? to_float(from_float<Bf16>(given))
                                                          : to_float(from_float<Fp16>(given)));
    }
  return tensors;
}

}  // namespace meshattn::gpu
