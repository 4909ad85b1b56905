#include <string>

#include "core/base/error.h"
#include "gpu/base/cuda.h"
#include "gpu/kernels/cuda_kernels.h"
#include "gpu/kernels/row_kernels.h"

namespace meshattn::gpu {

namespace {

constexpr int kWarp = 32, kWarpsOfBlock = 8;

/// The team of a device: a warp computes a row.
struct Warp {
  static constexpr int kMembers = kWarp;
  __device__ int member() const { return static_cast<int>(threadIdx.x) % kWarp; }
  __device__ float sum(float x) const {
    for (int distance = kWarp / 2; distance > 0; distance /= 2) x += __shfl_xor_sync(0xFFFFFFFFu, x, distance);
    return x;
  }
  __device__ void sync() const { __syncwarp(); }
};

/// The row of a warp in a grid over `rows`. Neighbouring warps have neighbouring tokens.
struct WarpRow {
  int item, head;
  std::int64_t token;
  bool exists;

  __device__ explicit WarpRow(const MatrixView& rows) {
    const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * kWarpsOfBlock + threadIdx.x / kWarp;
    exists = row < rows.row_count();
    token = row % rows.tokens;
    head = static_cast<int>(row / rows.tokens % rows.heads);
    item = static_cast<int>(row / rows.tokens / rows.heads);
  }
};

__global__ void clear(Clear call, std::byte* arena) {
  const WarpRow p(call.rows);
  if (!p.exists) return;
  float* row = at<float>(arena, call.rows, p.item, p.head, p.token);
  for (int c = Warp{}.member(); c < call.rows.width; c += kWarp) row[c] = call.to;
}

template <typename T>
__global__ void attend(AttendCall call, std::byte* arena) {
  if (const WarpRow p(call.q); p.exists) attend_row<T>(Warp{}, call, arena, p.item, p.head, p.token);
}

template <typename T>
__global__ void backward_queries(BackwardCall call, std::byte* arena) {
  if (const WarpRow p(call.q); p.exists) backward_query_row<T>(Warp{}, call, arena, p.item, p.head, p.token);
}

template <typename T>
__global__ void backward_keys(BackwardCall call, std::byte* arena) {
  if (const WarpRow p(call.k); p.exists) backward_key_row<T>(Warp{}, call, arena, p.item, p.head, p.token);
}

template <typename T>
__global__ void delta(DeltaCall call, std::byte* arena) {
  if (const WarpRow p(call.o); p.exists) delta_row<T>(Warp{}, call, arena, p.item, p.head, p.token);
}

template <typename T>
__global__ void surrogate(SurrogateCall call, std::byte* arena) {
  if (const WarpRow p(call.made); p.exists) surrogate_row<T>(Warp{}, call, arena, p.item, p.head, p.token);
}

template <int kMax>
struct Summands {
  Summand summand[kMax];
  int count;
};

template <int kMax>
__global__ void combine(const __grid_constant__ Summands<kMax> summands, MatrixView made, MatrixView made_lse,
                        std::byte* arena) {
  if (const WarpRow p(made); p.exists)
    combine_row(Warp{}, summands.summand, summands.count, made, made_lse, arena, p.item, p.head, p.token);
}

/// Launches a kernel with one warp for each row.
template <typename... Parameters, typename... Arguments>
void launch_over(const MatrixView& rows, cudaStream_t stream, void (*kernel)(Parameters...),
                 const Arguments&... arguments) {
  const std::int64_t blocks = (rows.row_count() + kWarpsOfBlock - 1) / kWarpsOfBlock;
  if (blocks == 0) return;
  kernel<<<static_cast<unsigned>(blocks), kWarpsOfBlock * kWarp, 0, stream>>>(arguments...);
  check(cudaGetLastError(), "kernel launch");
}

struct OnDevice {
  std::byte* arena;
  cudaStream_t stream;

  void operator()(const Clear& call) const { launch_over(call.rows, stream, clear, call, arena); }
  void operator()(const AttendCall& call) const {
    with_type(call.q.dtype, [&]<typename T>(T) { launch_over(call.q, stream, attend<T>, call, arena); });
  }
  void operator()(const BackwardCall& call) const {
    with_type(call.q.dtype, [&]<typename T>(T) {
      launch_over(call.q, stream, backward_queries<T>, call, arena);
      launch_over(call.k, stream, backward_keys<T>, call, arena);
    });
  }
  void operator()(const DeltaCall& call) const {
    with_type(call.o.dtype, [&]<typename T>(T) { launch_over(call.o, stream, delta<T>, call, arena); });
  }
  void operator()(const SurrogateCall& call) const {
    with_type(call.d_o.dtype, [&]<typename T>(T) { launch_over(call.made, stream, surrogate<T>, call, arena); });
  }
  void operator()(const CombineCall& call) const {
    if (call.summands.size() <= 4) return sum<4>(call);
    if (call.summands.size() <= 32) return sum<32>(call);
    if (call.summands.size() <= kMaxSummands) return sum<kMaxSummands>(call);
    throw DeviceError("a sum of " + std::to_string(call.summands.size()) + " partials: the kernel takes up to " +
                      std::to_string(kMaxSummands));
  }

 private:
  template <int kMax>
  void sum(const CombineCall& call) const {
    Summands<kMax> summands{};
    for (const Summand& s : call.summands) summands.summand[summands.count++] = s;
    launch_over(call.made, stream, combine<kMax>, summands, call.made, call.made_lse, arena);
  }
};

}  // namespace

void launch(const Call& call, std::byte* arena, cudaStream_t stream) { std::visit(OnDevice{arena, stream}, call); }

}  // namespace meshattn::gpu
