#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/execution/cpu/reference.h"
#include "core/schedule/schedule.h"

namespace meshattn::cpu {

/// The whole tensors (members of `Tensors`) that a value of this kind is a part of: its rows, V or dV with K or dK, and
/// log-sum-exp with O.
/// @throws InvalidSchedule for delta, which is no tensor of the layer.
template <typename Layer>
[[nodiscard]] auto parts_of(Layer& t, Tensor tensor) {
  struct Parts {
    decltype(&t.q) rows = nullptr;
    decltype(&t.q) v_rows = nullptr;
    decltype(&t.q) lse = nullptr;
  };
  switch (tensor) {
    case Tensor::kQ:
      return Parts{&t.q};
    case Tensor::kKV:
      return Parts{&t.k, &t.v};
    case Tensor::kO:
      return Parts{&t.o, nullptr, &t.lse};
    case Tensor::kDO:
      return Parts{&t.d_o};
    case Tensor::kDQ:
      return Parts{&t.dq};
    case Tensor::kDKV:
      return Parts{&t.dk, &t.dv};
    case Tensor::kDelta:
      break;
  }
  throw InvalidSchedule(std::string(name_of(tensor)) +
                        " is no tensor of a layer: a schedule neither takes nor returns it");
}

/// Number of rows (batch × tokens × heads) of a whole tensor.
[[nodiscard]] inline std::size_t rows_of_layer(const AttentionShape& s, bool kv_side) {
  return static_cast<std::size_t>(s.batch * (kv_side ? s.seq_kv * s.kv_heads : s.seq_q * s.heads));
}

/// Index of the row of token i of a run, batch item b and head h, in a whole tensor.
[[nodiscard]] inline std::size_t row_in_layer(const AttentionShape& s, bool kv_side, const TokenRun& run, int b,
                                              std::int64_t i, int h) {
  const std::int64_t position = run.start + i * run.stride;
  const std::int64_t row = kv_side ? (b * s.seq_kv + position) * s.kv_heads + h
                                   : (b * s.seq_q + position - (s.seq_kv - s.seq_q)) * s.heads + h;
  return static_cast<std::size_t>(row);
}

}  // namespace meshattn::cpu
