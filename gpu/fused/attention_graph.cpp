#include "gpu/fused/attention_graph.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/base/error.h"

namespace meshattn::gpu {

namespace {

using Tensor = Graph::Tensor;
using Bounds = FusedKey::Bounds;

cudnnDataType_t type_of(Dtype dtype) {
  return dtype == Dtype::kBf16 ? CUDNN_DATA_BFLOAT16 : dtype == Dtype::kFp16 ? CUDNN_DATA_HALF : CUDNN_DATA_FLOAT;
}

/// Builds the graph of either pass in the pattern of matmul, pointwise and reduction nodes that cuDNN recognizes as
/// fused attention (cuDNN developer guide, graph patterns).
class Builder {
 public:
  explicit Builder(const FusedKey& key) : k_(key), io_(type_of(key.dtype)) {}

  Graph forward() {
    const Tensor q = rows(kGraphQ, k_.heads, k_.queries, k_.q, io_), v = rows(kGraphV, k_.kv_heads, k_.keys, k_.k, io_);
    const Tensor o = rows(kGraphO, k_.heads, k_.queries, k_.o, CUDNN_DATA_FLOAT);
    const Tensor scores = masked(scaled(q, transposed(kGraphK, k_.k)));
    const Tensor highest = per_query(), sum = per_query(), log = per_query();
    const Tensor shifted = like(scores), weights = like(scores);
    g_.reduce(CUDNN_REDUCE_TENSOR_MAX, scores, highest);
    g_.binary(CUDNN_POINTWISE_SUB, scores, highest, shifted);
    g_.unary(CUDNN_POINTWISE_EXP, shifted, weights);
    g_.reduce(CUDNN_REDUCE_TENSOR_ADD, weights, sum);
    g_.unary(CUDNN_POINTWISE_LOG, sum, log);
    g_.binary(CUDNN_POINTWISE_ADD, highest, log, lse());
    const Tensor p = like(scores, io_);
    g_.binary(CUDNN_POINTWISE_DIV, weights, sum, p);
    g_.matmul(p, v, o);
    return std::move(g_);
  }

  Graph backward() {
    const Tensor q = rows(kGraphQ, k_.heads, k_.queries, k_.q, io_);
    const Tensor d_o = rows(kGraphDO, k_.heads, k_.queries, k_.d_o, io_);
    const Tensor k_t = transposed(kGraphK, k_.k), v_t = transposed(kGraphV, k_.k);
    const Tensor delta = delta_from_o(d_o), scale = g_.scalar(kGraphScale, CUDNN_DATA_FLOAT);
    const Tensor raw = scores(), in_scale = scores(), above = scores(), p = scores();
    g_.matmul(q, k_t, raw);
    g_.binary(CUDNN_POINTWISE_MUL, raw, scale, in_scale);
    g_.binary(CUDNN_POINTWISE_SUB, in_scale, lse(), above);
    g_.unary(CUDNN_POINTWISE_EXP, masked(above), p);
    g_.matmul(transposed_scores(p), d_o, rows(kGraphDV, k_.heads, k_.keys, k_.dk, CUDNN_DATA_FLOAT));
    const Tensor dp = scores(), centred = scores(), weighted = scores(), ds = like(p, io_);
    g_.matmul(d_o, v_t, dp);
    g_.binary(CUDNN_POINTWISE_SUB, dp, delta, centred);
    g_.binary(CUDNN_POINTWISE_MUL, centred, p, weighted);
    g_.binary(CUDNN_POINTWISE_MUL, weighted, scale, ds);
    g_.matmul(transposed_scores(ds), q, rows(kGraphDK, k_.heads, k_.keys, k_.dk, CUDNN_DATA_FLOAT));
    const Tensor k =
        g_.virtual_tensor({k_.items, k_.kv_heads, k_.keys, k_.width}, io_, {k_.k.item, k_.k.head, k_.k.token, 1});
    g_.reshape(k_t, k);
    const Tensor dq = rows(kGraphDQ, k_.heads, k_.queries, k_.dq, CUDNN_DATA_FLOAT);
    if (k_.repeatable) {
      g_.matmul(ds, k, dq);
    } else {  // with a sum of dq in memory cuDNN chooses kernels that do not store all of ds
      const Tensor sum =
          g_.in_memory(kGraphDQSum, dq.dims, {k_.heads * k_.queries * k_.width, k_.queries * k_.width, k_.width, 1},
                       CUDNN_DATA_FLOAT, {.order = CUDNN_TENSOR_REORDERING_F16x16});
      g_.matmul(ds, k, sum);
      g_.unary(CUDNN_POINTWISE_IDENTITY, sum, dq);
    }
    return std::move(g_);
  }

 private:
  Tensor rows(std::int64_t number, std::int64_t heads, std::int64_t tokens, const MatrixStrides& s,
              cudnnDataType_t type) {
    return g_.in_memory(number, {k_.items, heads, tokens, k_.width}, {s.item, s.head, s.token, 1}, type, {});
  }
  Tensor transposed(std::int64_t number, const MatrixStrides& s) {
    return g_.in_memory(number, {k_.items, k_.kv_heads, k_.width, k_.keys}, {s.item, s.head, 1, s.token}, io_, {});
  }
  Tensor lse() {
    return g_.in_memory(kGraphLse, {k_.items, k_.heads, k_.queries, 1}, {k_.lse.item, k_.lse.head, k_.lse.token, 1},
                        CUDNN_DATA_FLOAT, {.alignment = 4});
  }
  Tensor scores() { return g_.virtual_tensor({k_.items, k_.heads, k_.queries, k_.keys}, CUDNN_DATA_FLOAT); }
  Tensor per_query() { return g_.virtual_tensor({k_.items, k_.heads, k_.queries, 1}, CUDNN_DATA_FLOAT); }
  Tensor like(const Tensor& x, cudnnDataType_t type = CUDNN_DATA_FLOAT) {
    return g_.virtual_tensor(x.dims, type, x.strides);
  }

  Tensor scaled(const Tensor& q, const Tensor& k_t) {
    const Tensor raw = scores(), in_scale = scores();
    g_.matmul(q, k_t, raw);
    g_.binary(CUDNN_POINTWISE_MUL, raw, g_.scalar(kGraphScale, CUDNN_DATA_FLOAT), in_scale);
    return in_scale;
  }

  /// delta = rowsum(dO∘O), which cuDNN's pattern includes.
  Tensor delta_from_o(const Tensor& d_o) {
    const Tensor o = rows(kGraphO, k_.heads, k_.queries, k_.o, io_);
    const Tensor products = g_.virtual_tensor({k_.items, k_.heads, k_.queries, k_.width}, CUDNN_DATA_FLOAT);
    const Tensor sum = per_query(), delta = per_query();
    g_.binary(CUDNN_POINTWISE_MUL, d_o, o, products);
    g_.reduce(CUDNN_REDUCE_TENSOR_ADD, products, sum);
    g_.binary(CUDNN_POINTWISE_MUL, sum, g_.scalar(kGraphOne, CUDNN_DATA_FLOAT), delta);
    return delta;
  }

  /// The transpose of scores, in 16 bits.
  Tensor transposed_scores(const Tensor& x) {
    const Tensor y = g_.virtual_tensor({k_.items, k_.heads, k_.keys, k_.queries}, io_,
                                       {k_.heads * k_.queries * k_.keys, k_.queries * k_.keys, 1, k_.keys});
    g_.reshape(x, y);
    return y;
  }

  /// Scores with those of pairs outside the band replaced, so that they get no weight.
  Tensor masked(const Tensor& x) {
    if (k_.bounds == Bounds::kFull) return x;
    const Tensor masked_score = g_.scalar(kGraphMaskedScore, CUDNN_DATA_FLOAT);
    const Tensor query = like(x, CUDNN_DATA_INT32), key = like(x, CUDNN_DATA_INT32);
    g_.index(x, 2, query);
    g_.index(x, 3, key);
    Tensor result = x;
    const auto keep = [&](const Tensor& limit, cudnnPointwiseMode_t how) {
      const Tensor where = like(x, CUDNN_DATA_BOOLEAN), kept = like(x);
      g_.binary(how, limit, key, where, CUDNN_DATA_BOOLEAN);
      g_.select(where, result, masked_score, kept);
      result = kept;
    };
    const auto moved = [&](GraphTensorNumber by) {
      const Tensor limit = like(x, CUDNN_DATA_INT32);
      g_.binary(CUDNN_POINTWISE_ADD, query, g_.scalar(by, CUDNN_DATA_INT32), limit, CUDNN_DATA_INT32);
      return limit;
    };
    if (k_.bounds == Bounds::kCausal) keep(query, CUDNN_POINTWISE_CMP_GE);
    if (k_.bounds == Bounds::kUpper || k_.bounds == Bounds::kBoth) keep(moved(kGraphUpper), CUDNN_POINTWISE_CMP_GE);
    if (k_.bounds == Bounds::kLower || k_.bounds == Bounds::kBoth) keep(moved(kGraphLower), CUDNN_POINTWISE_CMP_LE);
    return result;
  }

  FusedKey k_;
  cudnnDataType_t io_;
  Graph g_;
};

/// cuDNN accepts some invalid shapes and then reads out of bounds.
void require_shapes(const FusedKey& key) {
  if (std::min({key.items, key.heads, key.kv_heads, key.queries, key.keys, key.width}) < 1)
    throw DeviceError("attention graph: every size must be 1 or more");
  if (key.heads % key.kv_heads != 0)
    throw DeviceError(
        fmt::format("attention graph: {} heads are not a multiple of {} key/value heads", key.heads, key.kv_heads));
}

}  // namespace

GraphScalars scalars_of(const FusedKernel& kernel) {
  GraphScalars scalars;
  // The masked score of cuDNN's own frontend: minus infinity from version 9.10 on.
  scalars.masked_score =
      cudnnGetVersion() >= 91000 ? -std::numeric_limits<float>::infinity() : std::numeric_limits<float>::lowest();
  const Band band = std::visit([](const auto& call) { return call.band; }, kernel.call);
  scalars.scale = 1 / std::sqrt(static_cast<float>(kernel.key.width));
  scalars.upper = static_cast<std::int32_t>(band.upper);
  scalars.lower = static_cast<std::int32_t>(band.lower);
  return scalars;
}

std::vector<std::pair<std::int64_t, void*>> graph_tensors(const FusedKernel& kernel, GraphScalars& scalars,
                                                          std::byte* arena) {
  std::vector<std::pair<std::int64_t, void*>> all{{kGraphScale, &scalars.scale}};
  const auto add = [&](GraphTensorNumber number, const MatrixView& rows) {
    all.emplace_back(number, arena + rows.offset);
  };
  const auto common = [&](const auto& call) {
    add(kGraphQ, call.q);
    add(kGraphK, call.k);
    add(kGraphV, call.v);
    add(kGraphLse, call.lse);
  };
  std::visit(common, kernel.call);
  if (const auto* forward = std::get_if<AttendCall>(&kernel.call)) add(kGraphO, forward->o);
  if (const auto* backward = std::get_if<BackwardCall>(&kernel.call)) {
    add(kGraphO, kernel.prologue->made);
    add(kGraphDO, backward->d_o);
    add(kGraphDQ, backward->dq);
    add(kGraphDK, backward->dk);
    add(kGraphDV, backward->dv);
    all.emplace_back(kGraphOne, &scalars.one);
    if (!kernel.key.repeatable) all.emplace_back(kGraphDQSum, arena + kernel.dq_sum);
  }
  const Bounds bounds = kernel.key.bounds;
  if (bounds != Bounds::kFull) all.emplace_back(kGraphMaskedScore, &scalars.masked_score);
  if (bounds == Bounds::kUpper || bounds == Bounds::kBoth) all.emplace_back(kGraphUpper, &scalars.upper);
  if (bounds == Bounds::kLower || bounds == Bounds::kBoth) all.emplace_back(kGraphLower, &scalars.lower);
  return all;
}

Graph forward_graph(const FusedKey& key) {
  require_shapes(key);
  return Builder(key).forward();
}

Graph backward_graph(const FusedKey& key) {
  require_shapes(key);
  if (key.heads != key.kv_heads) throw DeviceError("cuDNN's backward: grouped heads must be folded");
  return Builder(key).backward();
}

}  // namespace meshattn::gpu
