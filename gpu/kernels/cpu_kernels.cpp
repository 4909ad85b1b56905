#include "gpu/kernels/cpu_kernels.h"

#include "gpu/kernels/row_kernels.h"

namespace meshattn::gpu {

namespace {

/// The team of a CPU: one thread computes a whole row.
struct SingleThread {
  static constexpr int kMembers = 1;
  [[nodiscard]] constexpr int member() const { return 0; }
  [[nodiscard]] constexpr float sum(float x) const { return x; }
  constexpr void sync() const {}
};

template <typename F>
void for_each_row(const MatrixView& rows, F&& f) {
  for (int item = 0; item < rows.items; ++item)
    for (int head = 0; head < rows.heads; ++head)
      for (std::int64_t i = 0; i < rows.tokens; ++i) f(item, head, i);
}

struct OnCpu {
  std::byte* arena;

  void operator()(const Clear& call) const {
    for_each_row(call.rows, [&](int item, int head, std::int64_t i) {
      std::fill_n(at<float>(arena, call.rows, item, head, i), call.rows.width, call.to);
    });
  }
  void operator()(const AttendCall& call) const {
    with_type(call.q.dtype, [&]<typename T>(T) {
      for_each_row(call.q, [&](int item, int head, std::int64_t i) {
        attend_row<T>(SingleThread{}, call, arena, item, head, i);
      });
    });
  }
  void operator()(const BackwardCall& call) const {
    with_type(call.q.dtype, [&]<typename T>(T) {
      for_each_row(call.q, [&](int item, int head, std::int64_t i) {
        backward_query_row<T>(SingleThread{}, call, arena, item, head, i);
      });
      for_each_row(call.k, [&](int item, int head, std::int64_t j) {
        backward_key_row<T>(SingleThread{}, call, arena, item, head, j);
      });
    });
  }
  void operator()(const DeltaCall& call) const {
    with_type(call.o.dtype, [&]<typename T>(T) {
      for_each_row(call.o, [&](int item, int head, std::int64_t i) {
        delta_row<T>(SingleThread{}, call, arena, item, head, i);
      });
    });
  }
  void operator()(const SurrogateCall& call) const {
    with_type(call.d_o.dtype, [&]<typename T>(T) {
      for_each_row(call.made, [&](int item, int head, std::int64_t i) {
        surrogate_row<T>(SingleThread{}, call, arena, item, head, i);
      });
    });
  }
  void operator()(const CombineCall& call) const {
    for_each_row(call.made, [&](int item, int head, std::int64_t i) {
      combine_row(SingleThread{}, call.summands.data(), static_cast<int>(call.summands.size()), call.made,
                  call.made_lse, arena, item, head, i);
    });
  }
};

}  // namespace

void run_on_cpu(const Call& call, std::byte* arena) { std::visit(OnCpu{arena}, call); }

}  // namespace meshattn::gpu
