#pragma once

#include <variant>
#include <vector>

#include "gpu/kernels/band.h"
#include "gpu/kernels/matrix_view.h"

namespace meshattn::gpu {

/// Sets every number of a matrix.
struct Clear {
  MatrixView rows;
  float to = 0;
};

/// Attention of a block of queries × keys. Each head of k and v serves `q.heads / k.heads` neighbouring heads of q, o
/// and lse. The softmax scale is 1/√width; log-sum-exps (natural) and sums are in fp32.
struct AttendCall {
  MatrixView q, k, v;
  MatrixView o, lse;
  Band band;
  bool merge = false;  ///< merge into o and lse by log-sum-exp; else overwrite them
};

/// The gradients of a block, from the log-sum-exp and delta of the whole sequence.
struct BackwardCall {
  MatrixView q, d_o, lse, delta, k, v;
  MatrixView dq, dk, dv;
  Band band;
  bool add_dq = false, add_dkv = false;  ///< add to dq, or to dk and dv; else overwrite them
};

/// made_lse = lse, made_delta = rowsum(dO∘O).
struct DeltaCall {
  MatrixView o, lse, d_o;
  MatrixView made_lse, made_delta;
};

/// made = a surrogate O' with rowsum(dO∘O') = delta, for kernels that compute delta from O and dO themselves.
struct SurrogateCall {
  MatrixView d_o, delta;
  MatrixView made;
};

/// A summand of a CombineCall. The width of `lse` is 0 for gradients.
struct Summand {
  MatrixView rows, lse;
};

/// made = the summands, combined in this order: merged by log-sum-exp if they have one, else added up. Computed in fp32
/// and rounded once.
struct CombineCall {
  std::vector<Summand> summands;
  MatrixView made, made_lse;
};

/// A kernel on one rank's arena.
using Call = std::variant<Clear, AttendCall, BackwardCall, DeltaCall, SurrogateCall, CombineCall>;

}  // namespace meshattn::gpu
