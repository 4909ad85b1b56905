#include "tests/gpu/fused/graph_interpreter.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <stdexcept>
#include <vector>

#include "gpu/kernels/float_types.h"

namespace meshattn::testing {

namespace {

using gpu::Graph;
using Index = std::array<std::int64_t, 4>;
using Node = Graph::Node;

class Interpreter {
 public:
  explicit Interpreter(std::span<const std::pair<std::int64_t, void*>> places)
      : places_(places.begin(), places.end()) {}

  void run(const Node& node) {
    if (node.kind == Node::Kind::kReshape) return reshape(node);
    for_each(node.result, [&](const Index& i) { write(node.result, i, value(node, i)); });
  }

 private:
  template <typename F>
  static void for_each(const Graph::Tensor& t, F&& f) {
    Index i{};
    for (i[0] = 0; i[0] < t.dims[0]; ++i[0])
      for (i[1] = 0; i[1] < t.dims[1]; ++i[1])
        for (i[2] = 0; i[2] < t.dims[2]; ++i[2])
          for (i[3] = 0; i[3] < t.dims[3]; ++i[3]) f(i);
  }

  /// Where a number is; a dimension of one number is the same for all.
  static std::size_t offset(const Graph::Tensor& t, const Index& i) {
    std::int64_t at = 0;
    for (std::size_t k = 0; k < 4; ++k) at += (t.dims[k] == 1 ? 0 : i[k]) * t.strides[k];
    return static_cast<std::size_t>(at);
  }

  std::vector<double>& own(const Graph::Tensor& t) {
    std::vector<double>& numbers = owned_[t.number];
    Index last{};
    for (std::size_t k = 0; k < 4; ++k) last[k] = t.dims[k] - 1;
    numbers.resize(std::max(numbers.size(), offset(t, last) + 1), std::nan(""));
    return numbers;
  }

  [[nodiscard]] double read(const Graph::Tensor& t, const Index& i) {
    const auto place = places_.find(t.number);
    const std::size_t at = offset(t, i);
    if (place == places_.end()) return own(t)[at];
    switch (t.type) {
      case CUDNN_DATA_FLOAT:
        return static_cast<const float*>(place->second)[at];
      case CUDNN_DATA_INT32:
        return static_cast<const std::int32_t*>(place->second)[at];
      case CUDNN_DATA_BFLOAT16:
        return gpu::to_float(static_cast<const gpu::Bf16*>(place->second)[at]);
      default:
        throw std::logic_error("a type that no tensor has");
    }
  }
  void write(const Graph::Tensor& t, const Index& i, double x) {
    const auto place = places_.find(t.number);
    if (place == places_.end())
      own(t)[offset(t, i)] = x;
    else
      static_cast<float*>(place->second)[offset(t, i)] = static_cast<float>(x);  // results are in fp32
  }

  [[nodiscard]] double value(const Node& node, const Index& i) {
    switch (node.kind) {
      case Node::Kind::kMatmul:
        return product(node, i);
      case Node::Kind::kReduce:
        return reduced(node, i);
      case Node::Kind::kIndex:
        return static_cast<double>(i[static_cast<std::size_t>(node.mode)]);
      case Node::Kind::kSelect:
        return read(node.inputs[0], i) != 0 ? read(node.inputs[1], i) : read(node.inputs[2], i);
      default:
        return pointwise(node, i);
    }
  }

  [[nodiscard]] double product(const Node& node, const Index& i) {
    const Graph::Tensor &a = node.inputs[0], &b = node.inputs[1];
    const std::int64_t heads = node.result.dims[1];
    double sum = 0;
    for (std::int64_t k = 0; k < a.dims[3]; ++k)
      sum += read(a, {i[0], i[1] * a.dims[1] / heads, i[2], k}) * read(b, {i[0], i[1] * b.dims[1] / heads, k, i[3]});
    return sum;
  }

  [[nodiscard]] double reduced(const Node& node, const Index& i) {
    const Graph::Tensor& x = node.inputs[0];
    const bool highest = node.mode == CUDNN_REDUCE_TENSOR_MAX;
    double result = highest ? -std::numeric_limits<double>::infinity() : 0;
    for (std::int64_t k = 0; k < x.dims[3]; ++k) {
      const double one = read(x, {i[0], i[1], i[2], k});
      result = highest ? std::max(result, one) : result + one;
    }
    return result;
  }

  [[nodiscard]] double pointwise(const Node& node, const Index& i) {
    const double x = read(node.inputs[0], i), b = node.inputs.size() > 1 ? read(node.inputs[1], i) : 0;
    switch (static_cast<cudnnPointwiseMode_t>(node.mode)) {
      case CUDNN_POINTWISE_ADD:
        return x + b;
      case CUDNN_POINTWISE_SUB:
        return x - b;
      case CUDNN_POINTWISE_MUL:
        return x * b;
      case CUDNN_POINTWISE_DIV:
        return x / b;
      case CUDNN_POINTWISE_EXP:
        return std::exp(x);
      case CUDNN_POINTWISE_LOG:
        return std::log(x);
      case CUDNN_POINTWISE_IDENTITY:
        return x;
      case CUDNN_POINTWISE_CMP_GE:
        return x >= b ? 1 : 0;
      case CUDNN_POINTWISE_CMP_LE:
        return x <= b ? 1 : 0;
      default:
        throw std::logic_error("an operation that no graph has");
    }
  }

  /// The same memory with other dimensions.
  void reshape(const Node& node) {
    const auto place = places_.find(node.inputs[0].number);
    if (place != places_.end())
      places_[node.result.number] = place->second;
    else
      owned_[node.result.number] = owned_[node.inputs[0].number];
  }

  std::map<std::int64_t, void*> places_;
  std::map<std::int64_t, std::vector<double>> owned_;
};

}  // namespace

void interpret(const gpu::Graph& graph, std::span<const std::pair<std::int64_t, void*>> places) {
  Interpreter interpreter(places);
  for (const Node& node : graph.nodes()) interpreter.run(node);
}

}  // namespace meshattn::testing
