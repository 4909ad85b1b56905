#pragma once

#include <variant>
#include <vector>

#include "gpu/kernels/band.h"
#include "gpu/kernels/matrix_view.h"

namespace meshattn::gpu {

/// Sets all numbers of rows.
struct Clear {
  MatrixView rows;
  float to = 0;
};

/// Attention of a block of queries × keys. Of the heads of q, o and lse, `q.heads / k.heads` neighbours share one of k
/// and v. Softmax scale 1/√width; log-sum-exp (natural) and sums in fp32.
struct AttendCall {
  MatrixView q, k, v;
  MatrixView o, lse;
  Band band;
  bool merge = false;  ///< into what o and lse hold (log-sum-exp merge); else written over it
};

/// The gradients of such a block, from the log-sum-exp and delta of the whole sequence.
struct BackwardCall {
  MatrixView q, d_o, lse, delta, k, v;
  MatrixView dq, dk, dv;
  Band band;
  bool add_dq = false, add_dkv = false;  ///< to what dq, dk and dv hold; else written over it
};

/// made_lse = lse, made_delta = rowsum(dO∘O).
struct DeltaCall {
  MatrixView o, lse, d_o;
  MatrixView made_lse, made_delta;
};

/// made = an O' of which dO has the row sum delta, as it has of O: for kernels that make delta from O themselves.
struct SurrogateCall {
  MatrixView d_o, delta;
  MatrixView made;
};

/// One of the summands of a CombineCall; `lse` has no width for gradients.
struct Summand {
  MatrixView rows, lse;
};

/// made = the summands, in this order: log-sum-exp merge if there is a log-sum-exp, sum if not; in fp32, rounded once.
struct CombineCall {
  std::vector<Summand> summands;
  MatrixView made, made_lse;
};

/// One kernel on one rank's arena.
using Call = std::variant<Clear, AttendCall, BackwardCall, DeltaCall, SurrogateCall, CombineCall>;

}  // namespace meshattn::gpu
